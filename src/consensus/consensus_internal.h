/* consensus/consensus_internal.h - one duty's instance around the pure machine: held messages, values, journal,
   sends, timer, decision. Spec: consensus.md 2.3, 4.6, 7.2, 8.5. Private to the component: consensus.c (instances,
   receipt, quotas), instance.c (effects of the machine), values.c (bytes behind the hashes), outbox.c (what leaves
   and is repeated), recovery.c (restart), ingress.c (what comes in, until its signatures are known), votes.c (what
   peers know of us). */
#ifndef AQ_CONSENSUS_INTERNAL_H
#define AQ_CONSENSUS_INTERNAL_H

#include "base/line_limit.h"
#include "base/list.h"
#include "base/map.h"
#include "base/time.h"
#include "consensus/consensus.h"
#include "consensus/votes.h"
#include "qbft/qbft_wire.h"
#include "qbft/timer.h"

enum {
  AQ_INST_WAITING_PER_PEER = 64,    /* instances that did not start, consensus.md 2.3 */
  AQ_INST_WAITING_BYTES = 16 << 20, /* values of those, a peer */
  AQ_INST_WAITING_VALUES = 4,       /* values a peer may leave in one that did not start */
  AQ_INST_VALUES_PER_PEER = 8,      /* and in a running one: one for each round it leads, and more only by lying */
  AQ_INST_HELD_BYTES = 64 << 20,    /* values a peer may leave in all instances together */
  AQ_INST_ENDED_MAX = 512,          /* duties of ours that are over, remembered: those of three epochs, five a slot */
  AQ_INST_ASKS_MAX = 64,            /* questions to the journal under way */
  AQ_INST_BAD_DECIDED_MAX = 3,      /* unjust DECIDED a peer may deliver in an instance, consensus.md 7.4 */
  AQ_INST_VOTES_ROOM = 64 << 10,    /* of the votes around a value */
  AQ_INST_VALUE_MAX = AQ_QBFT_MSG_MAX - AQ_INST_VOTES_ROOM,
  AQ_INST_ARENA_MAX = 256 << 20,
  AQ_INST_SCRATCH = 1 << 20 /* for what a decoder makes beside copies, and for one that only looks at votes */
};
/* Copies of a message, or of a value inside it: its bytes, and their canonical form. */
#define AQ_INST_COPIES(len) (2 * (size_t)(len))
/* A value decoded: items, keys and JSON of the smallest entries make eight times its bytes. */
#define AQ_INST_DECODED(len) (8 * (size_t)(len) + AQ_INST_SCRATCH)

_Static_assert((AQ_QBFT_JUST_MAX + 1) * (AQ_QBFT_RAW_MAX + 8) <= AQ_INST_VOTES_ROOM, "a vote and its proofs fit");
_Static_assert((int)AQ_INST_WAITING_BYTES <= (int)AQ_INST_HELD_BYTES, "what waits is held");

/* Bytes behind a hash; first writer stays. */
typedef struct {
  aq_list node;
  aq_hash hash;
  aq_buf bytes;    /* canonical */
  uint32_t peer;   /* who delivered it; self: ours */
  bool journalled; /* the journal said so: a write that is under way may fail */
} aq_inst_value;

/* A message held until the instance starts: QBFTConsensusMsg without values, signatures checked. */
typedef struct {
  aq_list node;
  uint32_t peer;
  aq_buf bytes;
} aq_inst_held;

/* An own vote as it was sent, for recognising it when it comes back from outside. */
typedef struct {
  aq_list node;
  aq_qbft_type type;
  int64_t round, prepared_round;
  aq_hash value, prepared_value;
} aq_inst_sent;

/* What the store's callback finds when the instance is gone meanwhile. */
typedef struct aq_inst_record {
  aq_consensus *c;
  struct aq_instance *in; /* NULL: closed */
  aq_list node;
  aq_hash value;
} aq_inst_record;

typedef struct aq_instance {
  aq_consensus *c;
  aq_list node; /* of all instances, in order of creation */
  aq_duty duty;
  char trace[40]; /* "attester/123" */
  const char *timer_name;
  aq_arena arena;       /* machine and small records */
  aq_arena store_arena; /* the machine's messages, freed at the decision */
  aq_qbft *q;
  aq_list values, held, sent, outbox;
  uint16_t held_cnt[AQ_QBFT_NODES_MAX], value_cnt[AQ_QBFT_NODES_MAX];
  uint8_t bad_decided[AQ_QBFT_NODES_MAX];
  bool running, participated, proposed, abstain;
  bool foreign_own, held_back;   /* a vote of ours came that the journal lacks: it was told; what began is held back */
  bool wants_start;              /* waits for what the peers know of us */
  struct aq_inst_record *record; /* the decision is on its way to disk */
  bool recorded, delivered, contradicts;      /* it is there; it was handed on; the journal holds another one */
  bool short_of_changes;                      /* a round above 1 ended with too few ROUND-CHANGEs */
  uint32_t answer_later;                      /* peers to answer once the decision is on disk */
  uint32_t committed;                         /* peers whose COMMIT for the decided value came */
  aq_votes_seen *seen[AQ_QBFT_NODES_MAX];     /* newest votes of the others, in the arena; NULL: none */
  uint64_t propose_ns, timer_at_ns, voted_ns; /* voted_ns: last own PREPARE or COMMIT */
  uint64_t first_end_ns, round_end_ns;        /* of an extended round: its end before that, and now */
  bool extended;
  aq_timer round_timer, end_timer, start_timer, retry_timer, offer_timer;
  int64_t timer_round;
  bool timer_deferred;
  bool judging;  /* the verdict on `judged` in judged_round is owed (AQ_VALUE_WAIT, AQ_VALUE_DOUBT) */
  bool seconded; /* it was asked for with the value seconded */
  int64_t judged_round, doubted_round;
  aq_hash judged, certified; /* certified: value of the newest proposal that showed a quorum's PREPAREs of it */
  char why[160];             /* what the last round lacked */
} aq_instance;

struct aq_consensus {
  aq_consensus_cfg cfg;
  aq_timer_flags flags;
  aq_map by_duty;
  aq_list all;
  aq_arena scratch; /* of one event */
  aq_qbft_cache *cache;
  uint64_t abstain_until_ns; /* duties that start at or before take no vote of ours */
  uint64_t mark_ns; /* the journal proves nothing of duties up to then: own votes in them may be of an earlier life */
  uint64_t started_mono_ns;                 /* what follows counts in monotonic time: the clock may be set meanwhile */
  uint64_t double_first_ns, double_last_ns; /* votes of another live instance of us came; 0: none */
  bool double_told, chain_heard;
  uint64_t made_ns, behind_ns; /* start by the clock of then, and by how much that was behind, as far as is known */
  aq_line_limit equivocation_line[AQ_QBFT_NODES_MAX], value_line[AQ_QBFT_NODES_MAX], foreign_line;
  /* Duties in which we voted and whose time was over, by whatever clock: a clock that is set back brings none back. */
  aq_duty ended[AQ_INST_ENDED_MAX];
  size_t ended_next;
  uint64_t ended_before[AQ_DUTY_CNT]; /* slot: so are all earlier ones, by type, whose records may be pruned */
  aq_list asks;
  uint32_t ask_cnt;
  uint32_t waiting_cnt[AQ_QBFT_NODES_MAX];
  size_t waiting_bytes[AQ_QBFT_NODES_MAX], held_bytes[AQ_QBFT_NODES_MAX];
  aq_list tx_all, records; /* under way, also those whose instance is gone */
  struct aq_ingress *ingress;
  aq_votes votes;
};

#define AQ_QBFT_PROTOCOL "/charon/consensus/qbft/2.0.0"

/* consensus.c */
aq_instance *aq_instance_find(const aq_consensus *c, aq_duty duty);
aq_instance *aq_instance_open(aq_consensus *c, aq_duty duty); /* finds or creates; NULL: out of room */
void aq_instance_close(aq_instance *in);                      /* frees it */
void aq_instance_begin(aq_instance *in); /* starts it, or lets it wait for what the peers know of us */
/* A vote with our index, signed by our key, that memory lacks. The journal is asked; when that lacks it, too, our
   voting ends in what began up to now. shown: a peer had it when it was asked for our votes. */
void aq_consensus_own_unknown(aq_consensus *c, aq_duty duty, const aq_qbft_msg *m, uint32_t peer, bool shown);
bool aq_consensus_must_abstain(const aq_consensus *c, aq_duty duty);
bool aq_consensus_has_ended(const aq_consensus *c, aq_duty duty);
void aq_consensus_ended(aq_consensus *c, aq_duty duty); /* never to be voted in again in this life */
void aq_consensus_ended_before(aq_consensus *c, aq_duty_type type, uint64_t slot);
const char *aq_qbft_type_label(aq_qbft_type type, int64_t round);              /* metric label `type` */
void aq_consensus_step(aq_consensus *c, uint32_t peer, const aq_qbft_wire *w); /* a message with good signatures */
void aq_consensus_refuse(const aq_qbft_wire *w, const char *result, const char *reason); /* counted, told at debug */
void aq_consensus_trace(char out[40], const aq_qbft_wire *w);

/* ingress.c: messages from the network. Each peer has a budget; signatures are checked on the workers, a short batch of
   each peer at a time, and its messages stay in order. */
void aq_ingress_start(aq_consensus *c); /* registers with net */
void aq_ingress_stop(aq_consensus *c);

/* instance.c */
void aq_instance_machine(aq_instance *in); /* creates the machine */
void aq_instance_start(aq_instance *in);   /* runs it and takes in what was held */
aq_status aq_instance_recv(aq_instance *in, uint32_t peer, const aq_qbft_wire *w);
void aq_instance_propose(aq_instance *in, const aq_hash *value);
void aq_instance_complete(aq_instance *in); /* tries to record and deliver the decision */
void aq_instance_judge(aq_instance *in);    /* asks again for the verdict that is owed */
void aq_instance_wake(aq_instance *in);     /* next turn: goes on with a decision found at start */
void aq_instance_abstain(aq_instance *in, const char *why);
/* Names what the current round lacks and who is missing, into in->why. */
void aq_instance_explain(aq_instance *in);

/* values.c */
aq_inst_value *aq_value_find(const aq_instance *in, const aq_hash *hash);
/* Admits those of the message's values that some hash in it names and that are not held yet. */
void aq_values_admit(aq_instance *in, uint32_t peer, const aq_qbft_wire *w);
aq_inst_value *aq_value_keep(aq_instance *in, uint32_t peer, const aq_hash *hash,
                             aq_bytes bytes);                /* NULL: out of memory */
void aq_value_durable(aq_instance *in, const aq_hash *hash); /* the journal has its bytes */
void aq_values_drop_peer(aq_instance *in, uint32_t peer);
void aq_values_started(aq_instance *in); /* values no longer count as those of a waiting instance */
/* consensus.md 5.1, for PREPARE in this round; err names the reason. */
aq_value_verdict aq_value_check(aq_instance *in, int64_t round, const aq_hash *hash, aq_err *err);
/* Have f+1 nodes prepared it in this round? */
bool aq_value_seconded(const aq_instance *in, int64_t round, const aq_hash *hash);
/* A proposal whose justification shows a quorum's PREPAREs of its value in one earlier round. */
bool aq_value_certified(const aq_qbft_msg *proposal, uint32_t quorum);

/* outbox.c */
typedef struct aq_tx aq_tx;
void aq_outbox_vote(aq_instance *in, const aq_qbft_fx *fx);                          /* journal, then all peers */
void aq_outbox_decided(aq_instance *in, const aq_qbft_msg *decided, uint32_t peers); /* mask; already on disk */
void aq_outbox_stop(aq_instance *in);                                                /* the instance ends */
void aq_outbox_trim(aq_instance *in); /* gives up what belongs to rounds long left */
void aq_outbox_free(aq_consensus *c); /* everything, at the end */
void aq_inst_sent_add(aq_instance *in, const aq_qbft_msg *m);

/* recovery.c */
bool aq_instance_knows_own(const aq_instance *in, const aq_qbft_msg *m); /* an own message that is in the log */

#endif
