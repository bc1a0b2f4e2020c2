/* The table of duties, slots and the gate. */
#include "eth/duty.h"

#include "base/time.h"

#define X(a, b, id, name_, number, start_, window_, definitions_, needs_, data_, parent_, slash_, flags_) \
  [AQ_DUTY_##id] = {.name = #name_,                                                                       \
                    .start = AQ_START_##start_,                                                           \
                    .window = AQ_WINDOW_##window_,                                                        \
                    .definitions = AQ_DUTIES_##definitions_,                                              \
                    .needs = AQ_DUTY_##needs_,                                                            \
                    .data = AQ_DUTY_##data_,                                                              \
                    .parent = AQ_DUTY_##parent_,                                                          \
                    .slash = AQ_SLASH_##slash_,                                                           \
                    .flags = (flags_)},
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

uint64_t aq_slot_at(const aq_clock *c, uint64_t now_ns) {
  return now_ns < c->genesis_ns ? 0 : (now_ns - c->genesis_ns) / c->slot_ns;
}

uint64_t aq_slot_time_ns(const aq_clock *c, uint64_t slot, uint64_t after_ns) {
  uint64_t t;
  if (__builtin_mul_overflow(slot, c->slot_ns, &t) || __builtin_add_overflow(t, c->genesis_ns, &t) ||
      __builtin_add_overflow(t, after_ns, &t) || t == AQ_NEVER) {
    return AQ_NEVER - 1;
  }
  return t;
}

uint64_t aq_duty_gate_end_ns(const aq_clock *c, uint64_t now_ns) {
  return aq_slot_time_ns(c, (aq_epoch_of(c, aq_slot_at(c, now_ns)) + 3) * c->slots_per_epoch, 0);
}

bool aq_duty_gate(const aq_clock *c, uint64_t slot, int64_t type, uint64_t now_ns) {
  return aq_duty_type_valid(type) && aq_epoch_of(c, slot) <= aq_epoch_of(c, aq_slot_at(c, now_ns)) + 2;
}
