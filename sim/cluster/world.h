/* sim/cluster/world.h - a whole cluster in one thread under virtual time: n nodes as node/core.h builds them, each with
   a validator client and a beacon node, everything they touch (network, disks, clocks, HTTP) simulated and faulty on a
   seed. Shared by the files of this folder. Private.

   A process is an environment of its own: a clock that may be wrong, timers, jobs. When it is killed, at any effect it
   was about to cause, everything it still does before its memory is torn down is without effect; its disk keeps what
   was written. All that waits lies in timers of some process, so that the world has one queue and one order. */
#ifndef AQ_SIM_CLUSTER_WORLD_H
#define AQ_SIM_CLUSTER_WORLD_H

#include "base/list.h"
#include "cluster/lock.h"
#include "exchange/parsigex.h"
#include "fake/http.h"
#include "fake/link.h"
#include "fake/store.h"
#include "node/core.h"
#include "p2p/host.h"
#include "sim/cluster/cluster.h"
#include "simchain/beacon.h"
#include "vc/vc.h"

enum {
  SIM_NODES_MAX = AQ_SIM_NODES_MAX,
  SIM_TWINS_MAX = 10,
  SIM_INSTANCES_MAX = SIM_NODES_MAX + SIM_TWINS_MAX,
  SIM_VALIDATORS_MAX = 16, /* of the cluster */
  SIM_CHAIN_MAX = 256,     /* validators of the chain */
  SIM_FAULTS_MAX = 64,
  SIM_SLOTS_MAX = 512,
  SIM_STEPS_PER_SLOT_MAX = 200000, /* more is a storm */
  SIM_SENDS_MAX = 4096,            /* messages of one node on their way; more is a flood by an honest node */
  SIM_SCRATCH = 1 << 20,           /* an arena for one look at small things */
  SIM_VALUE_SCRATCH = 4 << 20,     /* and at a value: blocks here are nearly empty */
  SIM_MESSAGE_SCRATCH = 64 << 20,  /* and at a whole message, as large as the net takes one */
  SIM_OBJECT_MAX = 64 << 10,       /* an attestation or exit, SSZ or JSON */
  SIM_MEMORY_MAX = 512 << 20
};

typedef struct sim_world sim_world;
typedef struct sim_node sim_node;

/* ---- processes ---- */

typedef struct {
  sim_world *w;
  uint32_t id;
  fake_env env;          /* of the world's time; dead: whatever it does now has no effect */
  uint64_t effects_left; /* dies at the effect that makes this 0; UINT64_MAX: lives on */
  void (*died)(void *arg);
  void *died_arg;
} sim_proc;

/* cluster_env.c */
void sim_proc_init(sim_proc *p, sim_world *w, uint32_t id);
void sim_proc_end(sim_proc *p); /* ends jobs under way; timers that are still armed are a bug of their owner */
void sim_proc_step(sim_proc *p, int64_t step_ns);  /* its clock is set: the environment moves the spans with it */
bool sim_effect(sim_proc *p);                      /* one more effect; false: dead, or dies right here */
bool sim_step(sim_world *w);                       /* the next timer of all; false: the end of the run is reached */
uint64_t sim_random(sim_world *w, uint64_t below); /* 0 <= result < below */
bool sim_chance(sim_world *w, uint32_t per_mille);
uint64_t sim_between(sim_world *w, uint64_t low, uint64_t high);
void sim_trace(sim_world *w, const char *kind, uint64_t a, uint64_t b, aq_bytes data);
void sim_say(sim_world *w, const char *fmt, ...) AQ_PRINTF(2, 3);  /* trace mode only */
void sim_fail(sim_world *w, const char *fmt, ...) AQ_PRINTF(2, 3); /* the first counts */

/* ---- disks ---- */

typedef struct {
  fake_store fake; /* first: what its port is called with. Users get &fake.port */
  aq_store plain;  /* its port, before the simulator's eyes */
  sim_proc *proc;
  sim_node *node;
  bool client; /* of a validator client */
} sim_store;

void sim_store_open(sim_store *s, fake_disk *d, sim_proc *proc, sim_node *node, bool client);
void sim_store_close(sim_store *s, bool killed); /* killed: what was on its way may be there or not, in order */
bool sim_disk_decision(aq_bytes *value, const fake_disk *d, aq_duty duty); /* its bytes, while they are there */

/* ---- HTTP ---- */

void sim_http_init(sim_world *w); /* a client is a port of w->web, whose owner is its process */

/* ---- network ---- */

void sim_links_init(sim_world *w);
void sim_net_reset(sim_world *w, uint32_t a, uint32_t b); /* what is on its way between two operators is lost */

bool sim_cut(sim_world *w, uint32_t from, uint32_t to);        /* nothing arrives between these operators */
uint64_t sim_way_us(sim_world *w, uint32_t from, uint32_t to); /* how long the next piece takes */

/* cluster_wire.c: the same with the real host over simulated sockets. */
void sim_wire_init(sim_world *w);
void sim_wire_free(sim_world *w);
void sim_wire_start(sim_node *n);
void sim_wire_stop(sim_node *n); /* calls under way end */
void sim_wire_end(sim_node *n);  /* after all users are gone */
void sim_wire_faults(sim_world *w);
void sim_wire_reset(sim_world *w, uint32_t a, uint32_t b);

/* ---- nodes ---- */

typedef enum { SIM_HONEST, SIM_LIAR } sim_nature;

struct sim_node {
  sim_world *w;
  uint32_t idx, op; /* instance; operator */
  sim_nature nature;
  sim_proc proc, vc_proc;
  bool up, vc_up, leaving; /* leaving: killed, its memory goes with the next turn */
  uint32_t life;
  aq_core core;
  aq_vc *vc;
  fake_disk disk, old, vc_disk, vc_old; /* old, vc_old: copies from earlier */
  bool old_back;                        /* old takes the place of disk at the next start */
  uint64_t old_ns[2];                   /* the copy that was put back last: when it was made, when it came; 0: none */
  uint64_t copied_ns;                   /* when old was made */
  bool vc_put_back;                     /* vc_old takes the place of vc_disk at the next start */
  bool lose_disk;                       /* the next start is a first one */
  uint64_t lost_ns;                     /* when it lost its disk last */
  uint64_t began_ns;                    /* this life */
  bool misled;                          /* it learnt the chain from garbage, which holds until it is restarted */
  const struct sim_fault *acked;        /* ACK_CRASH: the one that killed it */
  uint64_t voted_ns;                    /* when it last voted */
  sim_store store, vc_store;
  fake_httpc http, vc_http;
  fake_link link;
  char bn_url[2][32], node_url[32];
  const char *endpoint[2];
  aq_timer teardown, vc_teardown, restart, vc_restart, replay;
  struct sim_memory *memory; /* a liar's, of what it heard */
  struct sim_lies *lies;     /* and of what it said about values */
};

/* ---- faults ---- */

#define SIM_FAULT_MAP(X)                                                                                 \
  X(LOSS, "loss")                  /* of messages, p per mille, everywhere */                            \
  X(DELAY, "delay")                /* everything that node a sends is late by up to p ms */              \
  X(REORDER, "reorder")            /* jitter of up to p ms everywhere */                                 \
  X(DUPLICATE, "duplicate")        /* p per mille arrive twice */                                        \
  X(PARTITION, "partition")        /* mask p from the rest */                                            \
  X(ONE_WAY, "one_way")            /* nothing from a reaches b */                                        \
  X(ISOLATE, "isolate")            /* a from everybody */                                                \
  X(RESET, "reset")                /* what is on its way between a and b is lost, both are told */       \
  X(SKEW, "clock_skew")            /* clock of a is off by p ms */                                       \
  X(STEP, "clock_step")            /* clock of a jumps by p ms and stays */                              \
  X(SET, "clock_set")              /* clock of a is off by p/8 s for a while; p's bits: SIM_SET_* */     \
  X(CRASH, "crash")                /* a dies at its p-th effect from now, comes back after a while */    \
  X(CRASH_ALL, "crash_all")        /* power cut: all nodes at once */                                    \
  X(UPGRADE, "upgrade")            /* a is stopped and started again in good order */                    \
  X(WRITE_ERROR, "write_error")    /* commits of a fail, p per mille */                                  \
  X(SLOW_DISK, "slow_disk")        /* commits of a take up to p ms */                                    \
  X(DISK_FULL, "disk_full")        /* all commits of a fail */                                           \
  X(DISK_LOST, "disk_lost")        /* a dies and comes back without its records */                       \
  X(OLD_STORE, "old_store")        /* a dies and comes back with its records of earlier */               \
  X(BN_ERROR, "bn_error")          /* p per mille of the answers of a's beacon node are errors */        \
  X(BN_SILENT, "bn_silent")        /* a's beacon node does not answer */                                 \
  X(BN_SLOW, "bn_slow")            /* it answers late by up to p ms */                                   \
  X(BN_LATE, "bn_late_head")       /* it sees blocks late by p ms */                                     \
  X(BN_FORK, "bn_fork")            /* it sees other blocks, and comes back with a reorg */               \
  X(BN_LIE, "bn_lie")              /* it gives attestation data of its own invention */                  \
  X(BN_GARBAGE, "bn_garbage")      /* it answers with broken bytes, p per mille */                       \
  X(VC_SILENT, "vc_silent")        /* a's validator client is down */                                    \
  X(VC_SLOW, "vc_slow")            /* its requests are late by up to p ms */                             \
  X(VC_GARBAGE, "vc_garbage")      /* what it signs is spoilt, p per mille */                            \
  X(VC_OLD_DB, "vc_old_database")  /* it comes back with a slashing database of earlier */               \
  X(VC_CRASH, "vc_crash")          /* it dies at its p-th effect, comes back */                          \
  X(DOUBLE, "double_identity")     /* a second instance of honest node a appears, with an empty disk */  \
  X(TWIN, "liar_twin")             /* a liar runs two instances that see other halves of the cluster */  \
  X(LIE_MUTATE, "liar_mutates")    /* a liar's consensus messages are changed and signed again */        \
  X(LIE_SHARES, "liar_bad_shares") /* a liar's partial signatures are spoilt */                          \
  X(LIE_REPLAY, "liar_replays")    /* a liar repeats what it heard to everybody */                       \
  X(LIE_FLOOD, "liar_floods")      /* a liar sends garbage, much and large */                            \
  X(LIE_VALUES, "liar_values")     /* a liar proposes values that are not those of its beacon node */    \
  X(SPLIT, "split_views")          /* beacon nodes of mask p see an epoch's first block late by b ms */  \
  X(LEAK, "leak")                  /* the chain justifies nothing */                                     \
  X(ACK_CRASH, "crash_after_ack")  /* a dies when its client hears 200 for votes, back in p ms */        \
  X(BN_RESTART, "bn_restart")      /* all beacon nodes are restarted at once */                          \
  X(LIE_SHOW, "liar_shows_few")    /* a leader shows its proposals to all but f honest nodes, no vote */ \
  X(VC_OTHER, "vc_signs_other")    /* a's client signs another object than it got, p per mille */        \
  X(BN_FIRST, "bn_first_of_two")   /* of two beacon nodes the first is, by p, silent, ill or empty */    \
  X(REORG, "reorg_dependent")      /* the chain leaves a block that duties hang on, for good or not */   \
  X(WITHHOLD, "relay_withholds")   /* the relay bids, and reveals no payload */                          \
  X(BN_LOCAL, "bn_without_relay")  /* a's does not reach the relay; by p only for a slot's later blocks */

typedef enum {
#define X(name, text) SIM_##name,
  SIM_FAULT_MAP(X)
#undef X
      SIM_FAULT_CNT
} sim_fault_kind;

/* What a liar about values proposes: cluster_values.c. */
#define SIM_TRICK_MAP(X)                                                                          \
  X(LEFT_OUT, "left_out")             /* a validator is missing */                                \
  X(TWO_SOURCES, "two_sources")       /* in one set */                                            \
  X(TWO_HEADS, "two_heads")           /* in one committee */                                      \
  X(WRONG_INDEX, "wrong_index")       /* not what the fork wants */                               \
  X(FOR_ITSELF, "for_itself")         /* source and target are the epoch */                       \
  X(NOT_JUSTIFIED, "not_justified")   /* a source above the chain's, while it justifies none */   \
  X(SOURCE_ZERO, "source_zero")       /* though the chain is further */                           \
  X(FOREIGN_SOURCE, "foreign_source") /* a root that nobody has */                                \
  X(FOREIGN_TARGET, "foreign_target") /* the same */                                              \
  X(FALSE_DUTY, "false_duty")         /* a validator's index, its committee's size or its seat */ \
  X(OTHER_FEE, "other_fee")           /* a block that pays the liar */

typedef enum {
#define X(name, text) SIM_##name,
  SIM_TRICK_MAP(X)
#undef X
      SIM_TRICK_CNT
} sim_trick;

/* A restart while the clock is off, and as the first start of all; a restart once it is right again. */
enum { SIM_SET_RESTART = 1, SIM_SET_FIRST = 2, SIM_SET_AFTER = 4 };

enum { SIM_FIRST_SILENT, SIM_FIRST_ILL, SIM_FIRST_EMPTY, SIM_FIRST_CNT };
enum { SIM_LOCAL_ALL, SIM_LOCAL_LATER, SIM_LOCAL_CNT };

typedef struct sim_fault {
  sim_world *w;
  aq_timer timer;
  sim_fault_kind kind;
  uint64_t from_ns, until_ns; /* world time */
  uint32_t a, b;              /* operators */
  uint64_t p;
  bool on;
} sim_fault;

void sim_faults_make(sim_world *w);
void sim_faults_arm(sim_world *w);
void sim_faults_free(sim_world *w);
uint32_t sim_faults_print(const sim_world *w);
const sim_fault *sim_fault_of(const sim_world *w, sim_fault_kind k, uint32_t op); /* active at that operator; NULL */
uint64_t sim_resumes_ns(const sim_world *w); /* how long a node may be silent after its clock is right again */
uint32_t sim_faulty_ops(const sim_world *w, uint64_t from_ns, uint64_t until_ns); /* mask of operators that a fault
   touches then; all of them: one that touches everybody */
void sim_acked(sim_node *n);                                                      /* its client was answered */
void sim_count_fault(sim_world *w, sim_fault_kind k);                             /* it had an effect */

/* cluster_node.c */
void sim_node_start(sim_node *n);
void sim_node_lose(sim_node *n);                         /* its disk */
void sim_node_kill(sim_node *n, uint64_t back_after_ns); /* AQ_NEVER: for good */
void sim_node_stop(sim_node *n);                         /* in good order */
void sim_vc_start(sim_node *n);
void sim_vc_kill(sim_node *n, uint64_t back_after_ns);
void sim_nodes_free(sim_world *w);
sim_node *sim_instance(sim_world *w, uint32_t op, sim_nature nature); /* a new one */

/* cluster_liar.c: what leaves a liar's node instead of `msg`; false: as it is. */
bool sim_lie(sim_node *n, aq_net_proto proto, aq_bytes msg, aq_buf *out);
void sim_liar_heard(sim_node *n, aq_net_proto proto, aq_bytes msg);
void sim_liar_arm(sim_node *n);
void sim_liar_free(sim_node *n);

/* cluster_values.c: a proposal, or a vote for one, with another value; false: as it is. */
bool sim_lie_values(sim_node *n, aq_bytes msg, aq_buf *out);
void sim_values_free(sim_node *n);

/* cluster_chain.c: one beacon node a operator, blocks of the validators that are not ours, who heard what when. */
void sim_chain_shape(sim_world *w); /* the fork of the run */
void sim_chain_start(sim_world *w);
void sim_chain_free(sim_world *w);
void sim_chain_heal(sim_world *w, uint32_t op);        /* blocks that only it saw go */
void sim_chain_leak(sim_world *w, const sim_fault *f); /* nothing is justified from the next epoch on to its end */
void sim_chain_leave(sim_world *w, uint32_t op, uint64_t slot, uint64_t ms); /* a beacon node leaves a block, then */
void sim_chain_again(sim_world *w, uint64_t slot);                           /* the one that was left is back */
/* Would the chain count this vote? Its source is the justified one, its target a block of its begin or older, its head
   a block. */
bool sim_chain_counts(const sim_world *w, const aq_att_data *d);
bool sim_chain_answer(sim_world *w, uint32_t op, const aq_http_req *req,
                      aq_buf *out); /* BN_LIE: an answer of its own */

/* cluster_moves.c: duties depend on blocks that the chain may leave. */
void sim_moves_told(sim_world *w, uint32_t op, uint64_t epoch); /* its beacon node handed out duties */
void sim_moves_look(sim_world *w);                              /* after each change of the chain */
void sim_moves_free(sim_world *w);
void sim_chain_reorg(sim_world *w, sim_fault *f);        /* b: the slot whose block it leaves; 0: none */
void sim_chain_return(sim_world *w, const sim_fault *f); /* the chain takes it back */
bool sim_chain_told(const sim_world *w, uint64_t slot, uint64_t validator, bool attester); /* by any beacon node */
bool sim_chain_moved(const sim_world *w, uint64_t slot, bool attesters); /* too late for all operators to know */
/* Of an epoch before Electra: were there, or are there at this operator, other seats than the chain's? */
bool sim_chain_differed(const sim_world *w, uint32_t op, uint64_t epoch);
/* cluster_builder.c */
void sim_builder_shape(sim_world *w);
void sim_builder_faults(sim_world *w);
const aq_beacon_builder *sim_builder_of(sim_world *w, uint32_t op); /* NULL: that beacon node has none */
void sim_check_asked(sim_node *n, const aq_httpc_req *req);         /* its beacon node */

/* cluster_check.c */
/* A consensus message begins with the sender's own vote: its bytes, and where it ends. */
/* Does a liar keep this message from that operator? */
bool sim_hides(sim_node *n, uint32_t op, aq_net_proto proto, aq_bytes msg);
bool sim_first_vote(aq_bytes *raw, size_t *end, aq_bytes msg);
/* A node's own set of shares as a peer reads it. */
AQ_NODISCARD aq_status sim_read_shares(aq_parsigex_set *out, aq_arena *a, sim_node *n, aq_bytes msg);
void sim_check_sent(sim_node *n, uint32_t to, aq_net_proto proto, aq_bytes msg);
void sim_check_told(sim_node *from, aq_bytes msg); /* a consensus message that arrived */
void sim_check_voted(sim_node *n, const aq_store_vote *v);
void sim_check_decided(sim_node *n, const aq_store_decided *d);
/* The journal of an honest node refused what that node made. */
void sim_check_refused(sim_node *n, bool of_consensus, aq_duty duty);
/* A decision reached the disk: its value did too, and is the decided one. */
void sim_check_bytes(sim_node *n, aq_duty duty, const uint8_t hash[32], const aq_store_blob *blob);
void sim_check_client(const sim_node *n, const aq_store_sign *s); /* a client recorded what it will send */
void sim_check_attested(sim_world *w, uint64_t validator, const aq_att_data *d, const uint8_t root[32]);
void sim_check_proposed(sim_world *w, const aq_beacon_block *b, bool counts);
void sim_check_forged(sim_world *w, uint32_t op, uint64_t slot, uint64_t validator);
void sim_check_slot(sim_world *w, uint64_t slot);
void sim_check_end(sim_world *w);
void sim_check_free(sim_world *w);

/* cluster_signed.c: what leaves signed is what was decided, and recorded. */
void sim_check_share_root(const sim_node *n, aq_duty duty, const aq_parsigex_item *it);
void sim_check_submitted(sim_node *n, const aq_httpc_req *req); /* to the beacon node */
/* VC_OTHER: what a client posts becomes another object, signed as well; false: as it was. */
bool sim_sign_other(sim_world *w, uint32_t op, const aq_http_req *req);

/* cluster_exit.c: operators that take a validator out, and what is promised of it. */
void sim_exits_make(sim_world *w);
void sim_exits_arm(sim_world *w);
void sim_exits_free(sim_world *w);
void sim_exit_sent(sim_node *n, aq_duty duty, const aq_parsigex_item *it);
void sim_exit_submitted(sim_node *n, const aq_httpc_req *req);
void sim_exit_seen(sim_world *w, uint32_t op, uint64_t validator, uint64_t epoch, bool valid); /* by a beacon node */
void sim_exit_end(sim_world *w);

/* ---- the world ---- */

typedef struct sim_checks sim_checks;
typedef struct sim_exits sim_exits;

/* Whose beacon node saw something. */
typedef struct {
  sim_world *w;
  uint32_t op;
} sim_seat;

struct sim_world {
  aq_sim_opts opts;
  aq_sim_result *out;
  fake_time time;
  uint64_t genesis_ns, heal_ns, end_ns;
  uint64_t slot_fired; /* timers that had fired when the slot began */
  sim_proc own;        /* of the world: what is on its way between processes */

  uint32_t n, threshold, f;
  uint32_t validators, chain_validators;
  uint64_t slot_ns, slots_per_epoch, slots;
  uint32_t liars, doubled; /* masks of operators: hostile; with a second instance of their own */
  uint32_t paired;         /* with two ways to their beacon node: faults of answers concern the first */
  aq_relay *relay;         /* NULL: no builder */
  bool builder_api;        /* the nodes' setting; without a relay it is off */
  bool bids_differ;        /* by beacon node, else by slot alone */
  uint32_t bid_share;      /* per mille of the slots */
  uint32_t relayed;        /* operators whose beacon node knows the relay */
  aq_fork fork, next_fork; /* at genesis; scheduled while the run goes on */
  uint64_t fork_epoch;     /* of the latter; AQ_FAR_EPOCH: none */
  aq_timer learn[SIM_NODES_MAX];
  uint64_t learn_ns[SIM_NODES_MAX]; /* when each beacon node gets it */
  uint32_t unlearnt[SIM_SLOTS_MAX]; /* operators whose node or client did not know it, by the epoch's begin */
  aq_lock lock;
  aq_operator operators[SIM_NODES_MAX];
  aq_validator_address addresses[SIM_VALIDATORS_MAX];
  aq_dist_validator dist[SIM_VALIDATORS_MAX];
  uint8_t share_pub[SIM_VALIDATORS_MAX][SIM_NODES_MAX][48];
  uint8_t share_secret[SIM_NODES_MAX][SIM_VALIDATORS_MAX][32];
  uint8_t chain_pub[SIM_CHAIN_MAX][48];
  aq_k1_key *key[SIM_NODES_MAX];
  char name[SIM_NODES_MAX][16];
  const char *names[SIM_NODES_MAX];

  sim_node *node[SIM_INSTANCES_MAX];
  uint32_t node_cnt;
  fake_http web;
  fake_links links;
  struct sim_wires *wires; /* wire mode */
  aq_host_peer peers[SIM_NODES_MAX];
  uint32_t base_ms[SIM_NODES_MAX][SIM_NODES_MAX]; /* region matrix */

  aq_beacon *bn[SIM_NODES_MAX];
  aq_beacon *chain; /* as it is: no view of an operator; nobody asks it but the simulator */
  sim_proc bn_proc[SIM_NODES_MAX], chain_proc;
  aq_beacon_watch watch[SIM_NODES_MAX];
  sim_seat seat[SIM_NODES_MAX];
  aq_beacon_builder way[SIM_NODES_MAX];
  uint64_t bid_slot[SIM_NODES_MAX]; /* that each was asked about last */
  bool withheld[SIM_SLOTS_MAX];     /* the payload of a signed block, at least once */
  aq_timer slot_timer;
  aq_list blocks; /* on their way between beacon nodes */
  bool forked[SIM_NODES_MAX][SIM_SLOTS_MAX];
  uint8_t root_seen[SIM_SLOTS_MAX][32]; /* the chain's block of a slot */
  bool has_root[SIM_SLOTS_MAX], over;   /* over: nothing that comes still counts */
  bool left[SIM_SLOTS_MAX];             /* the chain had a block there, and left it */
  struct sim_duties *duties;            /* where they were, and when they moved */

  sim_fault fault[SIM_FAULTS_MAX];
  uint32_t fault_cnt;
  sim_checks *checks;
  sim_exits *exits; /* NULL: nobody leaves */
};

#endif
