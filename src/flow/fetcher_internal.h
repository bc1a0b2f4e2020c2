/* flow/fetcher_internal.h - what the files of the fetcher share: one task a duty, made of items that are fetched side
   by side. */
#ifndef AQ_FLOW_FETCHER_INTERNAL_H
#define AQ_FLOW_FETCHER_INTERNAL_H

#include "beacon/retry.h"
#include "flow/fetcher.h"

enum {
  AQ_FETCH_TASKS_MAX = 256,
  AQ_FETCH_VALUE_MAX = 64 << 20, /* a block with its blobs; core.md 14.20 */
  AQ_FETCH_SMALL_MAX = 64 << 10, /* answers of one object */
  AQ_FETCH_AGGREGATE_MAX = 1 << 20
};

typedef struct aq_fetch_task aq_fetch_task;

/* One request of a task. Attester: one a committee. Proposer, aggregator: one a validator. */
typedef struct {
  aq_fetch_task *task;
  uint32_t def;       /* the definition it is for; attester: the first of its committee */
  uint64_t committee; /* committee asked for */
  bool open, waiting; /* this try; waiting: for another module, not for the beacon node */
  bool got;           /* ended well: value is there, or `none` */
  bool none;          /* nothing to propose: not selected */
  bool old_form;      /* the form asked last */
  bool resent;        /* the other form of the route was tried in this try */
  bool unlabelled;    /* a block came in SSZ that does not say of which kind it is, */
  bool json_only;     /* and was asked for again in JSON, which does */
  uint64_t call_id;
  aq_aggsigdb_waiter sig_wait;
  aq_dutydb_waiter data_wait;
  uint8_t sig[96];  /* RANDAO or selection proof */
  uint8_t root[32]; /* attestation data root */
  aq_fork fork;
  bool blinded;
  const aq_ssz_type *type;
  aq_buf value; /* SSZ of type */
} aq_fetch_item;

struct aq_fetch_task {
  aq_list link;
  aq_fetcher *f;
  aq_duty duty;
  uint64_t deadline_ns;
  aq_duty_def *def;
  uint32_t def_cnt;
  uint32_t *item_of; /* by definition */
  aq_fetch_item *item;
  uint32_t item_cnt, open;
  uint32_t tries;
  aq_timer timer;     /* the next try */
  aq_timer cut_timer; /* aggregators: no more waiting for other validators */
  aq_status st;       /* of the first failure of this try */
  bool final;
  char why[AQ_FAILURE_TEXT_MAX];
};

struct aq_fetcher {
  aq_fetcher_cfg cfg;
  aq_list tasks;
  size_t task_cnt;
  bool blocks_json;  /* this beacon node, or what is before it, drops the headers that SSZ needs */
  bool blocks_v2;    /* this beacon node has no v3 blocks (Lodestar 1.5.1) */
  bool aggregate_v1; /* nor v2 aggregates */
};

/* A row a type of duty. */
typedef struct {
  void (*start)(aq_fetch_item *it); /* the item ends by aq_fetch_end; NULL: such a duty is not fetched */
  bool by_committee;                /* one item for all validators of a committee, not one each */
} aq_fetch_ops;

const aq_fetch_ops *aq_fetch_ops_of(aq_duty_type type); /* fetcher_requests.c */

/* fetcher.c. end: st AQ_OK with value or none set. failed: from an answer of the beacon node. */
void aq_fetch_end(aq_fetch_item *it, aq_status st, bool final, const char *why);
void aq_fetch_failed(aq_fetch_item *it, aq_status st, const aq_bn_answer *ans);

#endif
