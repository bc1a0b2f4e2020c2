/* tss/tss_internal.h - what the files of this folder share. sessions.c owns sessions and duties, batch.c turns ready
   sessions into group signatures, check.c verifies single partials (suspect peers, strict mode, audit), work.c is what
   workers run, hashes.c remembers hashed roots. Spec: tss.md. */
#ifndef AQ_TSS_INTERNAL_H
#define AQ_TSS_INTERNAL_H

#include "base/arena.h"
#include "base/line_limit.h"
#include "base/list.h"
#include "base/map.h"
#include "tss/tss.h"

enum {
  TSS_BLAMES = 4,      /* values of aq_blame */
  TSS_BATCH_MAX = 256, /* sessions of one batch, tss.md 5 */
  TSS_CHUNK = 16,      /* sessions of one job, so that a proposal can overtake */
  TSS_GROUPS_MAX = 4,  /* tss.md 3; more only where (n-1)/3 liars could fill them */
  TSS_HASHES_MAX = 4096,
  TSS_AUDIT_MAX = 4096, /* late partials waiting for a look; more are not looked at */
  TSS_AUDIT_BATCH = 64,
  TSS_EXEMPT_MAX = 10,   /* sessions without a deadline a (share, validator, type) */
  TSS_IN_FLIGHT_MAX = 2, /* batches; what becomes ready meanwhile collects */
  TSS_SELFTEST_S = 30,
  TSS_SUSPECT_EPOCHS = 2
};

/* Arenas of work, an item: what it is made of and what the worker's lists of it need, with their rounding. */
enum { TSS_ITEM_SPARE = 64, TSS_WORK_SPARE = 64 << 10, TSS_LISTS_SPARE = 256 };
#define TSS_CHECK_ARENA(cnt) \
  ((size_t)(cnt) * (sizeof(tss_check_item) + sizeof(tss_root) + sizeof(aq_bls_item) + TSS_ITEM_SPARE) + TSS_WORK_SPARE)

typedef enum { TSS_P_NONE, TSS_P_FRESH, TSS_P_HELD, TSS_P_GOOD } tss_partial_state;
typedef enum { TSS_S_OPEN, TSS_S_GATHER, TSS_S_READY, TSS_S_LINGER } tss_state;
/* What a worker found out about one partial. */
typedef enum { TSS_F_NONE, TSS_F_ENCODING, TSS_F_SUBGROUP, TSS_F_SIGNATURE, TSS_F_DOUBT } tss_fault;

/* Partials of equal root. state and sig are arrays of n behind the struct. */
typedef struct tss_group {
  struct tss_group *next;
  uint8_t root[32];
  uint8_t *state;
  uint8_t (*sig)[96];
} tss_group;

typedef struct tss_duty {
  aq_list link, sessions;
  aq_tss *tss;
  aq_timer timer;
  aq_duty duty;
  bool expired;
  uint32_t open, cnt;                      /* sessions not ended, sessions in memory */
  uint32_t ok, failed, batches, batch_max; /* since the last summary line */
  uint64_t slowest_ns;
} tss_duty;

typedef struct tss_session {
  aq_list in_duty;
  aq_list queue;  /* TSS_S_OPEN of a remote opener: by age; TSS_S_READY: waiting for a batch */
  aq_list exempt; /* duties without a deadline: by age */
  tss_duty *duty;
  uint64_t id; /* never reused: a late result finds nobody */
  uint32_t validator, sub;
  tss_state state;
  bool armed, has_root, had_threshold, in_flight, broken;
  uint8_t root[32];              /* agreed; of the signature once lingering */
  uint32_t seen, banned;         /* bit share - 1 */
  uint64_t entered_ns, armed_ns; /* monotonic */
  tss_group *group;
  uint32_t group_cnt;
} tss_session;

typedef struct {
  aq_list sessions;
} tss_exempt;

typedef struct {
  uint64_t level, filled_ns; /* token bucket, in tokens times slot_ns */
  uint64_t suspect_until_ns; /* monotonic; 0: good standing */
  aq_line_limit blame_line[TSS_BLAMES], exempt_line;
} tss_peer;

typedef struct tss_hash {
  aq_list link; /* oldest use first */
  uint8_t root[32];
  aq_bls_point point;
} tss_hash;

/* A root inside a job. */
typedef struct {
  uint8_t root[32];
  aq_bls_point point;
  bool known, cached;
} tss_root;

typedef struct {
  aq_sign_key key;
  uint64_t id;
  uint32_t root; /* index of the batch's roots */
  aq_bls_pk pk;
  uint32_t *idx; /* t share indices; the arrays below go with it */
  uint8_t (*raw)[96];
  bool *good; /* verified before */
  aq_bls_pk *share;
  aq_bls_point *point;
  tss_fault *fault;
  bool *proved;
  aq_bls_point sum;
  bool usable, ok, local_fault;
  uint8_t sig[96];
  uint64_t ready_ns;
} tss_item;

typedef struct tss_batch tss_batch;
typedef struct {
  aq_job job;
  tss_batch *batch;
  uint32_t from, to;
} tss_chunk;

struct tss_batch {
  aq_job job; /* the pairing, after the chunks */
  aq_list link;
  aq_tss *tss; /* NULL: the subsystem is gone */
  aq_arena arena;
  tss_item *item;
  uint32_t cnt, t, n;
  tss_root *root;
  uint32_t root_cnt;
  tss_chunk *chunk;
  uint32_t chunk_cnt, chunks_left;
  uint8_t *rnd;      /* 8 * cnt * (n + 1) */
  aq_bls_item *list; /* cnt, for the checks */
  bool failed;
  uint64_t started_ns;
};

typedef struct tss_check_entry {
  aq_list link;
  aq_sign_key key;
  uint64_t id; /* 0: audit */
  uint32_t share;
  uint64_t since_ns;
  uint8_t root[32], raw[96];
} tss_check_entry;

typedef struct {
  aq_sign_key key;
  uint64_t id;
  uint32_t share, root;
  uint8_t raw[96];
  aq_bls_pk pk;
  aq_bls_point point;
  tss_fault fault;
} tss_check_item;

typedef struct {
  aq_bls_item *list;
  tss_check_item **part;
  bool *bad;
} tss_check_work;

typedef struct {
  aq_job job;
  aq_list link;
  aq_tss *tss;
  aq_arena arena;
  tss_check_item *item;
  uint32_t cnt;
  tss_root *root;
  uint32_t root_cnt;
  uint8_t *rnd;        /* 8 * cnt */
  tss_check_work work; /* cnt of each, for the search */
  bool audit;
  uint64_t started_ns;
} tss_check;

typedef struct tss_selftest tss_selftest;

struct aq_tss {
  aq_tss_cfg cfg;
  uint32_t n, t, group_max;
  uint64_t next_id;
  uint32_t open, open_max;
  aq_arena arena; /* sessions, groups, entries; recycled through the lists below */
  aq_list free_session, free_entry;
  tss_group *free_group;
  aq_map sessions, duties, exempts, hashes;
  aq_list duty_list, remote_open, ready, hash_list;
  aq_list batches, checks; /* in flight */
  uint32_t batch_cnt, check_cnt, audit_cnt;
  aq_list held, audit;             /* entries waiting for a check */
  tss_peer *peer;                  /* n */
  char (*name)[8];                 /* first digits of the group keys, filled when a line needs them */
  uint64_t budget_slot, budget_ns; /* verification work for suspect peers this slot */
  aq_timer tick;
  uint64_t last_end_ns;
  tss_selftest *selftest;
};

/* sessions.c */
tss_session *tss_find(const aq_tss *s, const aq_sign_key *key);
tss_session *tss_open(aq_tss *s, const aq_sign_key *key, bool remote, aq_status *st);
void tss_session_free(aq_tss *s, tss_session *e);
void tss_finish(aq_tss *s, tss_session *e, const uint8_t root[32], const uint8_t sig[96]);
void tss_end_all(aq_tss *s, aq_tss_result result);
aq_sign_key tss_key_of(const tss_session *e);
tss_group *tss_group_of(const tss_session *e, const uint8_t root[32]);
tss_group *tss_group_add(aq_tss *s, tss_session *e, const uint8_t root[32], bool local);
void tss_arm(aq_tss *s, tss_session *e);
void tss_exempt_trim(aq_tss *s, tss_session *e, uint32_t share);
void tss_duty_summary(tss_duty *d);

/* tss.c */
bool tss_suspect(aq_tss *s, uint32_t share);
void tss_distrust(aq_tss *s, uint32_t share);
void tss_bad(aq_tss *s, const aq_sign_key *key, uint32_t share,
             aq_blame why);                  /* counts, logs, reports; lowers the standing */
void tss_advance(aq_tss *s, tss_session *e); /* does what the session's state now asks for */
void tss_drop(tss_session *e, tss_group *g, uint32_t share, bool ban);
static inline aq_blame tss_blame_of(tss_fault f) {
  return f == TSS_F_ENCODING ? AQ_BLAME_ENCODING : f == TSS_F_SUBGROUP ? AQ_BLAME_SUBGROUP : AQ_BLAME_SIGNATURE;
}

/* batch.c, check.c, hashes.c, selftest.c */
void tss_kick(aq_tss *s); /* starts what may start: batches, checks, audit */
bool tss_eligible(const tss_session *e, const tss_group *g);
uint32_t tss_usable(aq_tss *s, const tss_group *g); /* bit set of shares */
void tss_hold(aq_tss *s, tss_session *e, tss_group *g, uint32_t share);
void tss_audit(aq_tss *s, const aq_sign_key *key, uint32_t share, const uint8_t root[32], const uint8_t sig[96]);
void tss_check_kick(aq_tss *s);
void tss_hash_get(aq_tss *s, tss_root *r);
void tss_hash_put(aq_tss *s, const tss_root *r);
void tss_hashes_free(aq_tss *s);
uint32_t tss_root_index(aq_tss *s, tss_root *list, uint32_t *cnt, const uint8_t root[32]);
void tss_selftest_start(aq_tss *s);
void tss_selftest_stop(aq_tss *s);

/* work.c: pure */
void tss_work_combine(tss_batch *b, uint32_t from, uint32_t to);
void tss_work_verify(tss_batch *b);
void tss_work_check(tss_check_item *item, uint32_t cnt, tss_root *root, uint32_t root_cnt, const uint8_t *rnd,
                    tss_check_work *w);
bool tss_check_work_init(tss_check_work *w, aq_arena *a, uint32_t cnt);

static inline double tss_ms(uint64_t ns) { return (double)ns / 1e6; }

#endif
