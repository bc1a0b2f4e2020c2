/* All recipients in one request, repeated until it is taken, and made anew at the next epoch. */
#include "schedule/preparer.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/log.h"
#include "codec/json_out.h"

enum { BODY_MAX = 8 << 20 }; /* some 100 bytes a validator, AQ_VALIDATORS_MAX of them */
_Static_assert(BODY_MAX >= 200 * AQ_VALIDATORS_MAX, "entries of all validators fit");

/* Short enough for the first proposal after a start, long enough not to press a beacon node that refuses. */
#define RETRY_NS AQ_SECONDS(2)

struct aq_preparer {
  aq_preparer_cfg cfg;
  aq_timer timer;
  uint64_t call;
};

static void prepare(void *arg);

static void next_epoch(aq_preparer *p) {
  const aq_clock *c = &p->cfg.chain->clock;
  uint64_t now_ns = aq_now_ns(p->cfg.env), epoch = aq_epoch_of(c, aq_slot_at(c, now_ns)) + 1;
  uint64_t at_ns = aq_slot_start_ns(c, epoch * c->slots_per_epoch);
  aq_timer_after(p->cfg.env, &p->timer, at_ns - now_ns, prepare, p); /* also when the clock is set */
}

static void again(aq_preparer *p) { aq_timer_after(p->cfg.env, &p->timer, RETRY_NS, prepare, p); }

static void answered(void *arg, aq_status st, const aq_bn_answer *ans) {
  aq_preparer *p = arg;
  p->call = 0;
  if (st == AQ_OK) {
    next_epoch(p);
    if (p->cfg.told) p->cfg.told(p->cfg.arg);
    return;
  }
  AQ_LOG(AQ_LOG_WARN, "fee_recipients", AQ_INT("code", ans ? ans->code : 0), AQ_STR("err", aq_status_text(st)),
         AQ_STR("note", "the beacon node did not take the fee recipients: blocks may pay somebody else"));
  again(p);
}

/* Entries of the validators that the chain knows as active; their number. */
static uint32_t put_entries(aq_buf *out, const aq_preparer *p) {
  uint32_t cnt = 0;
  aq_json_out o = aq_json_out_line(out);
  aq_json_out_open(&o, NULL, '[');
  for (uint32_t i = 0; i < p->cfg.lock->validator_cnt; i++) {
    const aq_validator_state *v = aq_scheduler_validator(p->cfg.scheduler, i);
    uint8_t address[20];
    if (!v || !v->active || !aq_lock_fee_recipient(address, p->cfg.lock, i)) continue;
    aq_json_out_open(&o, NULL, '{');
    aq_json_out_u64_str(&o, "validator_index", v->index);
    aq_json_out_hex(&o, "fee_recipient", aq_bytes_of(address, sizeof address));
    aq_json_out_close(&o, '}');
    cnt++;
  }
  aq_json_out_close(&o, ']');
  return cnt;
}

static void prepare(void *arg) {
  aq_preparer *p = arg;
  aq_buf body = AQ_BUF(BODY_MAX);
  if (put_entries(&body, p) == 0) {
    again(p);
  } else {
    const aq_bn_req req = {.endpoint = "submit_proposal_preparations",
                           .method = "POST",
                           .path = "/eth/v1/validator/prepare_beacon_proposer",
                           .body = aq_buf_bytes(&body),
                           .submit = true};
    p->call = aq_bn_call(p->cfg.bn, &req, answered, p);
  }
  aq_buf_free(&body);
}

aq_preparer *aq_preparer_new(const aq_preparer_cfg *cfg) {
  aq_preparer *p = calloc(1, sizeof *p);
  AQ_ASSERT(p);
  p->cfg = *cfg;
  return p;
}

void aq_preparer_start(aq_preparer *p) { aq_timer_after(p->cfg.env, &p->timer, 0, prepare, p); }

void aq_preparer_again(aq_preparer *p) {
  if (!p->call) aq_preparer_start(p);
}

void aq_preparer_free(aq_preparer *p) {
  if (!p) return;
  aq_timer_cancel(p->cfg.env, &p->timer);
  if (p->call) aq_bn_cancel(p->cfg.bn, p->call);
  free(p);
}
