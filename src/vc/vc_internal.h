/* vc/vc_internal.h - the validator client's state, shared by its epoch part (vc.c) and its duty parts. */
#ifndef AQ_VC_VC_INTERNAL_H
#define AQ_VC_VC_INTERNAL_H

#include "beacon/bn.h"
#include "codec/json.h"
#include "duty/payload.h"
#include "vc/vc.h"

enum { AQ_VC_ANSWER_MAX = 64 << 20 };
#define AQ_VC_WAIT_NS AQ_SECONDS(12) /* the node answers once the cluster has decided */

typedef struct {
  uint8_t pubkey[48];
  bool known; /* the beacon API knows it as active */
  uint64_t index;
} aq_vc_key;

typedef struct {
  uint32_t key;
  uint64_t slot, committee_index, committee_length, position;
} aq_vc_att;

typedef struct {
  uint32_t key;
  uint64_t slot;
} aq_vc_prop;

/* Duties of an epoch. Those of the running one are asked for each slot, since a reorganisation moves them: prop_asked
   and prop_heard are the slot of the last question, and of the last answer or failure, plus one; att_asked the same of
   two questions a slot. */
typedef struct {
  uint64_t epoch;
  bool used, att_known, prop_known, att_open, prop_open; /* open: a question is under way */
  uint64_t att_asked, prop_asked, prop_heard;
  aq_vc_att *att;
  uint32_t att_cnt;
  aq_vc_prop *prop;
  uint32_t prop_cnt;
} aq_vc_epoch;

struct aq_vc {
  aq_vc_cfg cfg;
  aq_bn *bn;
  aq_chain chain; /* its forks to come are kept up to date */
  aq_vc_key *key;
  uint64_t keys_call, keys_epoch; /* 0: not being asked for; epoch of the last answer */
  bool ready;
  aq_vc_epoch epoch[2]; /* by epoch mod 2 */
  aq_timer slot_timer, att_timer, retry_timer;
  uint64_t att_slot, prop_slot; /* next slot whose duty was not started yet */
  uint64_t unproven_ns;         /* duties that began up to here may have been signed before, without a record */
  bool abstain_logged;
  aq_clock_look look;
  uint64_t head_call;  /* 0: the beacon API is not being asked where the chain is */
  uint64_t kept_epoch; /* one after the epoch in which the journal was pruned and copied last */
  uint32_t busy;       /* jobs and journal writes under way: freed when they are back */
  bool closing;
  aq_vc_stats stats;
};

void aq_vc_attest(aq_vc *v, uint64_t slot, const aq_vc_epoch *e);
void aq_vc_propose(aq_vc *v, uint64_t slot, const aq_vc_epoch *e);
void aq_vc_error(aq_vc *v, const char *what, uint64_t slot, aq_status st, const aq_bn_answer *ans);
void aq_vc_unbusy(aq_vc *v);
/* The line for a signature that was not recorded and so is not sent. */
void aq_vc_refused(aq_vc *v, aq_duty_type type, uint64_t slot, uint64_t validator_index, aq_status st);
const char *aq_vc_refusal_text(aq_status st, aq_store_refusal why); /* never NULL */
void aq_vc_clock(aq_vc *v);                                         /* vc_clock.c: a look at the clock */

#endif
