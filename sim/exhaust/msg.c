/* The messages of the model as bits of a word: which exist, who can make them when, and how they look with two nodes
   exchanged. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sim/exhaust/exhaust.h"

enum { SETS = 1 << EX_N, CLAIMS = 256, CERTS = 1 + EX_VALUES * SETS };

static bool change_ok[SETS];                       /* by the sources of its PREPAREs */
static bool decided_ok[SETS];                      /* by the sources of its COMMITs */
static bool proposal_ok[EX_VALUES][CLAIMS][CERTS]; /* by the claims in its ROUND-CHANGEs, and its PREPAREs */
static uint32_t change_least, decided_least; /* the smallest set that will do: the liar shows no more than it must */
static uint32_t leader_of[EX_ROUNDS + 1];
static aq_qbft_msg just[2 * EX_N];

static aq_hash value_of(uint32_t v) { return (aq_hash){{(uint8_t)(1 + v)}}; }

static uint32_t number_of(const aq_hash *h) { return (uint32_t)h->b[0] - 1; }

static aq_qbft_msg vote(aq_qbft_type type, uint32_t from, uint32_t round, uint32_t v) {
  return (aq_qbft_msg){.type = type, .from = from, .round = round, .value = value_of(v)};
}

static aq_qbft_msg change(uint32_t from, uint32_t claim) {
  aq_qbft_msg m = {.type = AQ_QBFT_ROUND_CHANGE, .from = from, .round = 2};
  if (claim == 0) return m;
  m.prepared_round = 1;
  m.prepared_value = value_of(claim - 1);
  return m;
}

static uint32_t add_votes(uint32_t at, aq_qbft_type type, uint32_t sources, uint32_t round, uint32_t v) {
  for (uint32_t i = 0; i < EX_N; i++) {
    if (sources >> i & 1) just[at++] = vote(type, i, round, v);
  }
  return at;
}

static void attach(aq_qbft_msg *m, uint32_t cnt) {
  m->just = just;
  m->just_cnt = cnt;
}

/* claims: two bits a source, 0: its ROUND-CHANGE is not there, else 1 + claim. */
static bool judge_proposal(const ex_cfg *cfg, uint32_t v, uint32_t claims, uint32_t cert) {
  aq_qbft_msg m = vote(AQ_QBFT_PRE_PREPARE, cfg->leader[2], 2, v);
  uint32_t cnt = 0;
  for (uint32_t i = 0; i < EX_N; i++) {
    uint32_t claim = claims >> 2 * i & 3;
    if (claim) just[cnt++] = change(i, claim - 1);
  }
  if (cert) cnt = add_votes(cnt, AQ_QBFT_PREPARE, (cert - 1) % SETS, 1, (cert - 1) / SETS);
  attach(&m, cnt);
  return ex_judge(cfg, &m);
}

static uint32_t least(const bool ok[SETS]) {
  uint32_t best = SETS - 1;
  for (uint32_t set = SETS - 1; set > 0; set--) { /* the byzantine's own vote first */
    if (ok[set] && __builtin_popcount(set) < __builtin_popcount(best)) best = set;
  }
  return best;
}

void ex_messages_init(const ex_cfg *cfg) {
  memcpy(leader_of, cfg->leader, sizeof leader_of);
  for (uint32_t set = 0; set < SETS; set++) {
    aq_qbft_msg rc = change(EX_BYZ, 1), d = vote(AQ_QBFT_DECIDED, EX_BYZ, 1, 0);
    attach(&rc, add_votes(0, AQ_QBFT_PREPARE, set, 1, 0));
    change_ok[set] = ex_judge(cfg, &rc);
    attach(&d, add_votes(0, AQ_QBFT_COMMIT, set, 1, 0));
    decided_ok[set] = ex_judge(cfg, &d);
  }
  change_least = least(change_ok);
  decided_least = least(decided_ok);
  for (uint32_t v = 0; v < EX_VALUES; v++) {
    for (uint32_t claims = 0; claims < CLAIMS; claims++) {
      for (uint32_t cert = 0; cert < CERTS; cert++) proposal_ok[v][claims][cert] = judge_proposal(cfg, v, claims, cert);
    }
  }
}

void ex_make(aq_qbft_msg *out, uint32_t bit) {
  if (bit < EX_P) {
    *out = vote(AQ_QBFT_PRE_PREPARE, leader_of[bit / EX_VALUES + 1], bit / EX_VALUES + 1, bit % EX_VALUES);
    for (uint32_t i = 0; i < EX_N; i++) just[i] = change(i, 0);
    if (out->round > 1) attach(out, EX_N);
  } else if (bit < EX_RC) {
    uint32_t at = (bit - EX_P) % (EX_N * 4);
    *out = vote(bit < EX_C ? AQ_QBFT_PREPARE : AQ_QBFT_COMMIT, at / 4, at % 4 / EX_VALUES + 1, at % EX_VALUES);
  } else if (bit < EX_D) {
    uint32_t claim = (bit - EX_RC) % 3;
    *out = change((bit - EX_RC) / 3, claim);
    if (claim) attach(out, add_votes(0, AQ_QBFT_PREPARE, change_least, 1, claim - 1));
  } else {
    uint32_t at = bit - EX_D;
    *out = vote(AQ_QBFT_DECIDED, EX_BYZ, at / EX_VALUES + 1, at % EX_VALUES);
    attach(out, add_votes(0, AQ_QBFT_COMMIT, decided_least, at / EX_VALUES + 1, at % EX_VALUES));
  }
}

uint32_t ex_bit_of(const aq_qbft_msg *m) {
  uint32_t round = (uint32_t)m->round, v = number_of(&m->value);
  if (m->round < 1 || m->round > EX_ROUNDS) return EX_EVENTS;
  if (m->type == AQ_QBFT_ROUND_CHANGE) {
    if (m->prepared_round > 1 || round != 2) return EX_EVENTS;
    return ex_rc(m->from, m->prepared_round ? 1 + number_of(&m->prepared_value) : 0);
  }
  if (v >= EX_VALUES) return EX_EVENTS;
  switch (m->type) {
    case AQ_QBFT_PRE_PREPARE: return EX_PP + ex_rv(round, v);
    case AQ_QBFT_PREPARE: return ex_p(m->from, round, v);
    case AQ_QBFT_COMMIT: return ex_c(m->from, round, v);
    case AQ_QBFT_DECIDED: return EX_D + ex_rv(round, v);
    case AQ_QBFT_ROUND_CHANGE: break;
  }
  return EX_EVENTS;
}

static uint32_t sources(ex_mask have, uint32_t base, uint32_t rv) {
  uint32_t set = 0;
  for (uint32_t i = 0; i < EX_N; i++) set |= (uint32_t)(have >> (base + i * 4 + rv) & 1) << i;
  return set;
}

/* Some set of ROUND-CHANGEs and PREPAREs that were sent, or that the byzantine signs, carries the proposal. */
static bool can_propose(ex_mask have, uint32_t v) {
  uint32_t honest[EX_HONEST], cert[1 + EX_VALUES] = {0};
  for (uint32_t i = 0; i < EX_HONEST; i++) {
    uint32_t sent = (uint32_t)(have >> ex_rc(i, 0)) & 7;
    honest[i] = sent ? (uint32_t)__builtin_ctz(sent) + 1 : 0;
  }
  for (uint32_t w = 0; w < EX_VALUES; w++) cert[1 + w] = 1 + w * SETS + sources(have, EX_P, ex_rv(1, w));
  for (uint32_t part = 0; part < 1 << EX_HONEST; part++) {
    uint32_t claims = 0;
    for (uint32_t i = 0; i < EX_HONEST; i++) claims |= (part >> i & 1 ? honest[i] : 0) << 2 * i;
    for (uint32_t own = 0; own < 4; own++) {
      for (uint32_t c = 0; c <= EX_VALUES; c++) {
        if (proposal_ok[v][claims | own << 2 * EX_BYZ][cert[c]]) return true;
      }
    }
  }
  return false;
}

ex_mask ex_available(const ex_cfg *cfg, ex_mask sent, ex_mask decided, bool silent) {
  if (silent) return sent | decided; /* who decided answers those who still ask */
  ex_mask have =
      sent | UINT64_C(15) << ex_p(EX_BYZ, 1, 0) | UINT64_C(15) << ex_c(EX_BYZ, 1, 0) | ex_bit(ex_rc(EX_BYZ, 0));
  for (uint32_t v = 0; v < EX_VALUES; v++) {
    if (change_ok[sources(have, EX_P, ex_rv(1, v))]) have |= ex_bit(ex_rc(EX_BYZ, 1 + v));
    if (cfg->leader[1] == EX_BYZ) have |= ex_bit(EX_PP + ex_rv(1, v));
    if (cfg->leader[2] == EX_BYZ && can_propose(have, v)) have |= ex_bit(EX_PP + ex_rv(2, v));
    for (uint32_t r = 1; r <= EX_ROUNDS; r++) {
      if (decided_ok[sources(have, EX_C, ex_rv(r, v))]) have |= ex_bit(EX_D + ex_rv(r, v));
    }
  }
  return have;
}

static ex_mask exchange(ex_mask m, uint32_t at, uint32_t width) {
  ex_mask part = ex_bit(width) - 1;
  ex_mask a = m >> (at + width) & part, b = m >> (at + 2 * width) & part;
  m &= ~(part << (at + width) | part << (at + 2 * width));
  return m | b << (at + width) | a << (at + 2 * width);
}

ex_mask ex_swap(ex_mask m) { return exchange(exchange(exchange(m, EX_P, 4), EX_C, 4), EX_RC, 3); }

void ex_name(char out[16], uint32_t event) {
  static const char *const other[] = {"timeout", "input", "verdict"};
  if (event >= EX_TIMEOUT) {
    snprintf(out, 16, "%s", other[event - EX_TIMEOUT]);
    return;
  }
  aq_qbft_msg m;
  ex_make(&m, event);
  static const char *const type[] = {"", "PP", "P", "C", "RC", "D"};
  const aq_hash *v = m.type == AQ_QBFT_ROUND_CHANGE ? &m.prepared_value : &m.value;
  snprintf(out, 16, "%s%u.%u%c", type[m.type], (unsigned)m.round, m.from, "-XY"[v->b[0]]);
}
