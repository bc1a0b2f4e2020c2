/* The table of duties, when they begin and end, and the gate. */
#include "duty/duty.h"

#include "base/time.h"

#define X(a, b, id, text, number, at, span, lists, first, value, above, rule, bits) \
  [AQ_DUTY_##id] = {.name = #text,                                                  \
                    .start = AQ_START_##at,                                         \
                    .window = AQ_WINDOW_##span,                                     \
                    .definitions = AQ_DUTIES_##lists,                               \
                    .needs = AQ_DUTY_##first,                                       \
                    .data = AQ_DUTY_##value,                                        \
                    .parent = AQ_DUTY_##above,                                      \
                    .slash = AQ_SLASH_##rule,                                       \
                    .flags = (bits)},
static const aq_duty_row rows[AQ_DUTY_CNT] = {[AQ_DUTY_UNKNOWN] = {.name = "unknown", .definitions = AQ_DUTIES_NONE},
                                              AQ_DUTY_MAP(X, , )};
#undef X

const aq_duty_row *aq_duty_of(aq_duty_type type) {
  return aq_duty_type_valid((int64_t)type) ? &rows[type] : &rows[AQ_DUTY_UNKNOWN];
}

const char *aq_duty_name(aq_duty_type type) { return aq_duty_of(type)->name; }

bool aq_duty_type_valid(int64_t type) { return type > AQ_DUTY_UNKNOWN && type < AQ_DUTY_CNT; }

void aq_sign_key_bytes(uint8_t out[AQ_SIGN_KEY_LEN], const aq_sign_key *key) {
  aq_le64_put(out, key->duty.slot);
  aq_le32_put(out + 8, (uint32_t)key->duty.type);
  aq_le32_put(out + 12, key->validator);
  aq_le32_put(out + 16, key->sub);
}

uint64_t aq_duty_start_ns(const aq_chain *c, aq_duty d) {
  aq_fork fork = aq_chain_fork_at(c, aq_epoch_of(&c->clock, d.slot));
  aq_due due = aq_fork_of(fork)->due[aq_duty_of(d.type)->start];
  return aq_slot_time_ns(&c->clock, d.slot, due.num * c->clock.slot_ns / due.den);
}

uint64_t aq_duty_deadline_ns(const aq_chain *c, aq_duty d) {
  uint64_t slot_ns = c->clock.slot_ns, window_ns = slot_ns;
  switch (aq_duty_of(d.type)->window) {
    case AQ_WINDOW_NEVER: return AQ_NEVER;
    case AQ_WINDOW_THIRD: window_ns = aq_clock_is_short(&c->clock) ? slot_ns : slot_ns / 3; break;
    case AQ_WINDOW_EPOCH: window_ns = c->clock.slots_per_epoch * slot_ns; break;
    case AQ_WINDOW_EPOCHS_2: window_ns = 2 * c->clock.slots_per_epoch * slot_ns; break;
    case AQ_WINDOW_SLOT: break;
  }
  return aq_slot_time_ns(&c->clock, d.slot, window_ns + slot_ns / 12);
}

uint64_t aq_duty_gate_end_ns(const aq_clock *c, uint64_t now_ns) {
  return aq_slot_time_ns(c, (aq_epoch_of(c, aq_slot_at(c, now_ns)) + 3) * c->slots_per_epoch, 0);
}

bool aq_duty_gate(const aq_clock *c, uint64_t slot, int64_t type, uint64_t now_ns) {
  return aq_duty_type_valid(type) && aq_epoch_of(c, slot) <= aq_epoch_of(c, aq_slot_at(c, now_ns)) + 2;
}
