/* qbft/qbft_internal.h - the state of an instance, shared by qbft.c (inputs and actions) and qbft_rules.c (what a
   message is worth). Private. */
#ifndef AQ_QBFT_INTERNAL_H
#define AQ_QBFT_INTERNAL_H

#include "qbft/qbft_store.h"

enum { AQ_QBFT_FX_MAX = 32, AQ_QBFT_OWN_MAX = 4 };

/* Messages kept with their bytes: slot holds them, msg is the same list as the plain array that effects point to. */
typedef struct {
  aq_qbft_slot *slot;
  aq_qbft_msg *msg;
  uint32_t cnt, max;
} aq_qbft_kept;

typedef struct {
  const aq_qbft_msg *item[AQ_QBFT_JUST_MAX];
  uint32_t cnt;
} aq_qbft_refs;

struct aq_qbft {
  aq_qbft_cfg cfg;
  uint32_t quorum, faulty;
  aq_qbft_store *store;
  bool started, abstain, has_input, restored;
  aq_hash input;
  int64_t round;
  bool pending;      /* this node leads `round` and owes a PRE-PREPARE with justification `just` */
  aq_qbft_kept just; /* of the latest own PRE-PREPARE, or of the owed one */
  int64_t pr;        /* highest prepared certificate */
  aq_hash pv;
  aq_qbft_kept pj;
  int64_t cf;                      /* strict: round in which the comparison failed last */
  int64_t fired[AQ_QBFT_RULE_CNT]; /* message round a rule ran for since the last round change; 0: it did not */
  bool decided;
  aq_qbft_msg decision;
  aq_qbft_kept commits;
  struct {
    int64_t round;
    uint32_t cnt;
  } resent[AQ_QBFT_NODES_MAX];
  int64_t timer_round;           /* armed for, 0: off */
  int64_t armed_round;           /* armed for last */
  int64_t last[AQ_QBFT_DECIDED]; /* highest round of an own message by type, consensus.md S1 and S3 */
  bool extended;                 /* the latest arming was the second one of its round */
  bool shortened;                /* that one was taken back, because the value is in doubt */
  bool checking;
  aq_hash check_value;
  bool moved; /* the round changed since the held messages were looked at */
  aq_qbft_fx fx[AQ_QBFT_FX_MAX];
  uint32_t fx_head, fx_cnt;
  aq_qbft_msg own[AQ_QBFT_OWN_MAX]; /* own messages on their way to this node itself */
  uint32_t own_cnt;
};

bool aq_qbft_justified(const aq_qbft *q, const aq_qbft_msg *m);
/* Rule that m sets off now; refs: the messages the rule rests on. */
aq_qbft_rule aq_qbft_classify(const aq_qbft *q, const aq_qbft_msg *m, aq_qbft_refs *refs);
int64_t aq_qbft_jump_round(const aq_qbft *q); /* of f_plus_1_round_changes */
/* First message of each source, of the type, round and (value not NULL) value. */
void aq_qbft_pick(const aq_qbft *q, aq_qbft_type type, int64_t round, const aq_hash *value, aq_qbft_refs *out);

#endif
