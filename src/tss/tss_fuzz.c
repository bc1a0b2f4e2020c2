/* Signing sessions under any order of events. Input: four bytes an event. Every session ends once, and only with its
   group signature. */
#include "base/assert.h"
#include "base/log.h"
#include "fake/env.h"
#include "tss/tss_internal.h"

enum { N = 4, T = 3, V = 2, ROOTS = 2, EVENTS_MAX = 48, SLOTS = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

typedef struct {
  aq_bls_pk group[V], share[V * N];
  uint8_t root[ROOTS][32], part[V][N][ROOTS][96], whole[V][ROOTS][96];
  bool made;
} keys;

static keys k;
static uint32_t opened, ended;

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void pk_of(aq_bls_pk *out, const uint8_t sk[32]) {
  uint8_t pk[48];
  aq_bls_secret_to_pubkey(pk, sk);
  AQ_ASSERT(aq_bls_pk_decode(out, pk) == AQ_OK);
}

static void make_keys(void) {
  k.made = true;
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  for (uint32_t r = 0; r < ROOTS; r++) memset(k.root[r], (int)r + 1, 32);
  for (uint32_t v = 0; v < V; v++) {
    uint8_t wide[64], sk[32], coeff[T - 1][32], part[N][32];
    memset(wide, (int)v + 1, 64);
    aq_bls_secret_reduce(sk, wide);
    for (uint32_t i = 0; i < T - 1; i++) {
      wide[0] = (uint8_t)(0x40 + i);
      aq_bls_secret_reduce(coeff[i], wide);
    }
    for (uint32_t r = 0; r < ROOTS; r++) aq_bls_sign(k.whole[v][r], sk, k.root[r]);
    pk_of(&k.group[v], sk);
    AQ_ASSERT(aq_tbls_split(part, sk, (const uint8_t(*)[32])coeff, T, N) == AQ_OK);
    for (uint32_t i = 0; i < N; i++) {
      pk_of(&k.share[v * N + i], part[i]);
      for (uint32_t r = 0; r < ROOTS; r++) aq_bls_sign(k.part[v][i][r], part[i], k.root[r]);
    }
  }
}

static void on_signature(void *arg, const aq_sign_key *key, const uint8_t root[32], const uint8_t sig[96]) {
  (void)arg;
  uint32_t r = memcmp(root, k.root[0], 32) == 0 ? 0 : 1;
  AQ_ASSERT(memcmp(sig, k.whole[key->validator][r], 96) == 0);
}

static void on_end(void *arg, const aq_sign_key *key, aq_tss_result result, uint32_t partials) {
  (void)arg, (void)key;
  AQ_ASSERT(result != AQ_TSS_OK || partials >= T);
  ended++;
}

/* One event: what, who, how spoilt. */
static void event(aq_tss *s, fake_env *env, const uint8_t e[4], uint64_t slot) {
  uint32_t v = e[1] & 1, r = e[1] >> 1 & 1, share = (e[1] >> 2 & 3) + 1;
  aq_tss_partial p = {
      .key = {.duty = {slot + (e[1] >> 4 & 1), e[1] & 0x20 ? AQ_DUTY_RANDAO : AQ_DUTY_SYNC_MESSAGE}, .validator = v},
      .share_idx = share};
  memcpy(p.root, k.root[r], 32);
  memcpy(p.sig, k.part[v][share - 1][r], 96);
  if (e[0] & 0x80) p.sig[e[2] % 96] ^= e[3];
  if (e[0] & 0x40) memcpy(p.sig, k.part[v][e[2] & 3][r ^ (e[3] & 1)], 96);
  uint32_t before = aq_tss_open(s) + ended;
  switch (e[0] & 7) {
    case 0:
      memcpy(p.sig, k.part[v][0][r], 96);
      p.share_idx = 1;
      aq_tss_local(s, &p, 1);
      break;
    case 1: aq_tss_agreed(s, &p.key, p.root); break;
    case 2: (void)fake_env_job_step(env); break;
    case 3: fake_env_run_until(env, fake_env_now(env) + e[2] * AQ_MILLIS(50)); break;
    default: (void)!aq_tss_remote(s, &p, 1); break;
  }
  opened += aq_tss_open(s) + ended - before;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static const aq_chain chain = {
      .clock = {.genesis_ns = AQ_SECONDS(1000), .slot_ns = AQ_SECONDS(12), .slots_per_epoch = 32}};
  fake_env env;
  if (!k.made) make_keys();
  if (len < 1) return 0;
  const aq_tss_cluster cluster = {N, T, 0, V, k.group, k.share};
  fake_env_init(&env, chain.clock.genesis_ns + 100 * chain.clock.slot_ns);
  env.reverse_jobs = data[0] & 1;
  opened = ended = 0;
  aq_tss *s = aq_tss_new(&(aq_tss_cfg){.env = &env.env,
                                       .cluster = &cluster,
                                       .chain = &chain,
                                       .strict = data[0] & 2,
                                       .sessions_max = data[0] & 4 ? 2 : 0,
                                       .signature = on_signature,
                                       .end = on_end});
  AQ_ASSERT(s);
  for (size_t i = 0; i < EVENTS_MAX && 1 + 4 * i + 4 <= len; i++)
    event(s, &env, data + 1 + 4 * i, aq_slot_at(&chain.clock, fake_env_now(&env)));
  fake_env_jobs(&env);
  aq_tss_free(s);
  AQ_ASSERT(opened == ended);
  fake_env_free(&env);
  return 0;
}
