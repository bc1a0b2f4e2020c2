/* flow/workflow_internal.h - what the workflow's files share: workflow.c wires the components, workflow_sign.c
   carries partial and group signatures, workflow_object.c makes signed objects of agreed data, workflow_resume.c
   brings back what the client was promised before a restart, workflow_exit.c keeps exits on their way. */
#ifndef AQ_FLOW_WORKFLOW_INTERNAL_H
#define AQ_FLOW_WORKFLOW_INTERNAL_H

#include "base/line_limit.h"
#include "base/list.h"
#include "base/map.h"
#include "exchange/infosync.h"
#include "exchange/parsigex.h"
#include "flow/judge.h"
#include "flow/tracker.h"
#include "flow/workflow.h"
#include "ledger/parsigdb.h"

enum { AQ_WORKFLOW_OBJECT_MAX = 64 << 20 }; /* scratch for one object: a block with its blobs, twice */

struct aq_workflow {
  aq_workflow_cfg cfg;
  bool started;
  uint32_t n, threshold;
  aq_map validators;
  uint8_t (*pubkey)[48];   /* by lock index */
  uint8_t (*peer_key)[33]; /* by operator */
  aq_bls_pk *group, *share;
  aq_tss_cluster cluster;
  const char **peer_name;
  aq_line_limit refused_line[32]; /* partials that tss refused, by operator */
  char (*peer_text)[16];
  aq_dutydb *dutydb;
  aq_aggsigdb *aggsigdb;
  aq_parsigdb *parsigdb;
  aq_parsigex *parsigex;
  aq_scheduler *scheduler;
  aq_fetcher *fetcher;
  aq_broadcaster *broadcaster;
  aq_consensus *consensus;
  aq_judge *judge;
  aq_infosync *infosync;
  aq_tss *tss; /* NULL: does not combine */
  aq_tracker *tracker;
  aq_list submissions; /* of the validator client, under way */
  aq_list resumed;     /* partial signatures of before this start that have not been sent again */
  uint32_t resumed_cnt;
  aq_list groups; /* group signatures on their way into the journal, or waiting for the flush */
  aq_timer flush;
  aq_list leaving; /* own exits that no beacon node has taken */
  uint32_t leaving_cnt;
  aq_timer leave_again;
  uint64_t unproven_until_ns; /* no signature of ours for duties that began up to then; 0: none is held back */
  bool abstain_logged;
  aq_duty misdirected; /* the last proposal whose block paid somebody else; slot 0: none */
  bool refetch;        /* and which waits for the beacon nodes to be told */
};

/* workflow_object.c: the object that the validator client would sign, with a zero signature. Views into `in` and the
   arena. */
AQ_NODISCARD aq_status aq_signed_of_agreed(aq_signed_data *out, aq_arena *a, const aq_chain *chain, aq_duty duty,
                                           const aq_unsigned_data *in);

/* workflow_sign.c */
void aq_workflow_received(void *arg, const aq_parsigex_set *set);
void aq_workflow_signature(void *arg, const aq_sign_key *key, const uint8_t root[32], const uint8_t sig[96]);
/* workflow_resume.c. keep: what the store has of a partial signature; free it. resume: at start, once the consensus
   has read its records. recall: the object of the decision, whose signature may have been given before. resend: those
   of the duty that are whole. */
void aq_workflow_keep(aq_buf *out, const aq_signed_data *d);
AQ_NODISCARD aq_status aq_workflow_resume(aq_workflow *w);
void aq_workflow_recall(aq_workflow *w, const aq_sign_key *key, const aq_signed_data *agreed);
void aq_workflow_resend(aq_workflow *w, aq_duty duty);
void aq_workflow_resume_stop(aq_workflow *w);

/* workflow_exit.c. leaving: the share was sent to the peers; of other duties: nothing. left: it is over. */
void aq_workflow_leaving(aq_workflow *w, aq_duty duty, uint32_t validator, const aq_parsig *p);
void aq_workflow_left(aq_workflow *w, aq_duty duty, uint32_t validator);
void aq_workflow_exit_stop(aq_workflow *w);

void aq_workflow_sign_stop(aq_workflow *w); /* ends submissions with AQ_E_CLOSED, drops group signatures */

#endif
