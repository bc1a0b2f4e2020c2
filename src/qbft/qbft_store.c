/* Fixed rows by source, type and round, so that memory and work are bounded by the number of nodes. */
#include "qbft/qbft_store.h"

#include "base/assert.h"

enum { GROUPS = 3 }; /* PRE-PREPARE, PREPARE, COMMIT */

typedef struct {
  uint8_t cnt[GROUPS], rc_cnt;
  uint8_t fifo_first, fifo_cnt; /* strict */
} source;

/* The slots follow the head and are not cleared: the counters say what is in use. */
struct aq_qbft_store {
  uint32_t n;
  bool strict;
  source src[AQ_QBFT_NODES_MAX];
  aq_qbft_slot *group;   /* n * GROUPS * AQ_QBFT_GROUP_MAX */
  aq_qbft_slot *rc;      /* n * AQ_QBFT_RC_MAX */
  aq_qbft_slot *cert;    /* n * AQ_QBFT_RC_MAX rows of n PREPAREs */
  aq_qbft_msg *cert_msg; /* the same rows as plain messages: what m.just of a ROUND-CHANGE points to */
  aq_qbft_msg *fifo;     /* strict: n * AQ_QBFT_FIFO_MAX rows of 1 + 2n messages */
};

static size_t aligned(size_t len) { return (len + 15) & ~(size_t)15; }
static size_t fifo_row(uint32_t n) { return 1 + 2 * (size_t)n; }

void aq_qbft_slot_set(aq_qbft_slot *s, const aq_qbft_msg *m) {
  AQ_ASSERT(m->raw.len <= sizeof s->raw);
  s->m = *m;
  if (m->raw.len) memcpy(s->raw, m->raw.ptr, m->raw.len);
  s->m.raw = aq_bytes_of(s->raw, m->raw.len);
  s->m.just = NULL;
  s->m.just_cnt = 0;
}

size_t aq_qbft_store_size(uint32_t n, bool strict) {
  size_t head = aligned(sizeof(aq_qbft_store));
  if (strict) return head + n * AQ_QBFT_FIFO_MAX * fifo_row(n) * sizeof(aq_qbft_msg);
  size_t slots = n * (GROUPS * AQ_QBFT_GROUP_MAX + AQ_QBFT_RC_MAX + AQ_QBFT_RC_MAX * (size_t)n);
  return head + aligned(slots * sizeof(aq_qbft_slot)) + AQ_QBFT_RC_MAX * (size_t)n * n * sizeof(aq_qbft_msg);
}

aq_qbft_store *aq_qbft_store_init(void *mem, uint32_t n, bool strict) {
  AQ_ASSERT(n >= 1 && n <= AQ_QBFT_NODES_MAX);
  aq_qbft_store *s = mem;
  uint8_t *rest = (uint8_t *)mem + aligned(sizeof *s);
  memset(s, 0, sizeof *s);
  s->n = n;
  s->strict = strict;
  if (strict) {
    s->fifo = (aq_qbft_msg *)(void *)rest;
    return s;
  }
  s->group = (aq_qbft_slot *)(void *)rest;
  s->rc = s->group + n * GROUPS * AQ_QBFT_GROUP_MAX;
  s->cert = s->rc + n * AQ_QBFT_RC_MAX;
  size_t slots = n * (GROUPS * AQ_QBFT_GROUP_MAX + AQ_QBFT_RC_MAX + AQ_QBFT_RC_MAX * (size_t)n);
  s->cert_msg = (aq_qbft_msg *)(void *)(rest + aligned(slots * sizeof(aq_qbft_slot)));
  return s;
}

/* ---- strict: Charon's FIFO ---- */

static aq_qbft_msg *fifo_at(const aq_qbft_store *s, uint32_t src, uint32_t pos) {
  uint32_t row = (s->src[src].fifo_first + pos) % AQ_QBFT_FIFO_MAX;
  return s->fifo + (src * (size_t)AQ_QBFT_FIFO_MAX + row) * fifo_row(s->n);
}

static void fifo_add(aq_qbft_store *s, const aq_qbft_msg *m) {
  source *src = &s->src[m->from];
  AQ_ASSERT(m->just_cnt <= 2 * s->n);
  if (src->fifo_cnt == AQ_QBFT_FIFO_MAX) {
    src->fifo_first = (uint8_t)((src->fifo_first + 1) % AQ_QBFT_FIFO_MAX);
    src->fifo_cnt--;
  }
  aq_qbft_msg *row = fifo_at(s, m->from, src->fifo_cnt++);
  row[0] = *m;
  row[0].just = row + 1;
  row[0].raw = aq_bytes_of(NULL, 0);
  for (uint32_t i = 0; i < m->just_cnt; i++) {
    row[1 + i] = m->just[i];
    row[1 + i].raw = aq_bytes_of(NULL, 0);
    row[1 + i].just = NULL;
    row[1 + i].just_cnt = 0;
  }
}

static const aq_qbft_msg *fifo_next(const aq_qbft_store *s, aq_qbft_it *it, aq_qbft_type type) {
  for (; it->src < s->n; it->src++, it->pos = 0) {
    for (; it->pos < s->src[it->src].fifo_cnt; it->pos++, it->sub = 0) {
      const aq_qbft_msg *row = fifo_at(s, it->src, it->pos);
      while (it->sub <= row->just_cnt) {
        const aq_qbft_msg *m = row + it->sub++;
        if (m->type == type) return m;
      }
    }
  }
  return NULL;
}

/* ---- ours ---- */

static aq_qbft_slot *group_of(const aq_qbft_store *s, uint32_t src, uint32_t g) {
  return s->group + (src * GROUPS + g) * (size_t)AQ_QBFT_GROUP_MAX;
}

static aq_status group_add(aq_qbft_store *s, const aq_qbft_msg *m, const aq_qbft_msg **other) {
  uint32_t g = (uint32_t)m->type - AQ_QBFT_PRE_PREPARE;
  aq_qbft_slot *slot = group_of(s, m->from, g);
  uint8_t *cnt = &s->src[m->from].cnt[g];
  uint32_t same_round = 0, lowest = 0;
  for (uint32_t i = 0; i < *cnt; i++) {
    if (slot[i].m.round < slot[lowest].m.round) lowest = i;
    if (slot[i].m.round != m->round) continue;
    if (aq_hash_eq(&slot[i].m.value, &m->value)) return AQ_E_DUP;
    *other = &slot[i].m;
    same_round++;
  }
  if (same_round >= 2) return AQ_E_LIMIT;
  if (*cnt < AQ_QBFT_GROUP_MAX) {
    aq_qbft_slot_set(&slot[(*cnt)++], m);
    return AQ_OK;
  }
  if (m->round <= slot[lowest].m.round) return AQ_E_STALE;
  aq_qbft_slot_set(&slot[lowest], m);
  return AQ_OK;
}

static bool same_change(const aq_qbft_msg *a, const aq_qbft_msg *b) {
  return a->prepared_round == b->prepared_round && aq_hash_eq(&a->prepared_value, &b->prepared_value);
}

/* The ROUND-CHANGEs of the two highest rounds, one content each: only the first one of a source counts anyway. */
static aq_status rc_add(aq_qbft_store *s, const aq_qbft_msg *m, const aq_qbft_msg **other) {
  source *src = &s->src[m->from];
  aq_qbft_slot *rc = s->rc + m->from * (size_t)AQ_QBFT_RC_MAX;
  uint32_t at = src->rc_cnt;
  for (uint32_t i = 0; i < src->rc_cnt; i++) {
    if (rc[i].m.round != m->round) continue;
    if (same_change(&rc[i].m, m)) return AQ_E_DUP;
    *other = &rc[i].m;
    return AQ_E_LIMIT;
  }
  if (at < AQ_QBFT_RC_MAX) {
    src->rc_cnt++;
  } else {
    at = rc[0].m.round < rc[1].m.round ? 0 : 1;
    if (m->round < rc[at].m.round) return AQ_E_STALE;
  }
  aq_qbft_slot_set(&rc[at], m);
  size_t row = (m->from * (size_t)AQ_QBFT_RC_MAX + at) * s->n;
  AQ_ASSERT(m->just_cnt <= s->n); /* distinct sources, qbft_rules.c */
  for (uint32_t i = 0; i < m->just_cnt; i++) {
    aq_qbft_slot_set(&s->cert[row + i], &m->just[i]);
    s->cert_msg[row + i] = s->cert[row + i].m;
  }
  rc[at].m.just = s->cert_msg + row;
  rc[at].m.just_cnt = m->just_cnt;
  return AQ_OK;
}

aq_status aq_qbft_store_add(aq_qbft_store *s, const aq_qbft_msg *m, const aq_qbft_msg **other) {
  AQ_ASSERT(m->from < s->n);
  *other = NULL;
  if (s->strict) {
    fifo_add(s, m);
    return AQ_OK;
  }
  switch (m->type) {
    case AQ_QBFT_PRE_PREPARE:
    case AQ_QBFT_PREPARE:
    case AQ_QBFT_COMMIT: return group_add(s, m, other);
    case AQ_QBFT_ROUND_CHANGE: return rc_add(s, m, other);
    case AQ_QBFT_DECIDED: return AQ_OK; /* a justified one ends the instance: nothing to keep */
  }
  return AQ_E_FORMAT;
}

const aq_qbft_msg *aq_qbft_store_next(const aq_qbft_store *s, aq_qbft_it *it, aq_qbft_type type) {
  if (s->strict) return fifo_next(s, it, type);
  for (; it->src < s->n; it->src++, it->pos = 0) {
    const source *src = &s->src[it->src];
    if (type == AQ_QBFT_ROUND_CHANGE) {
      if (it->pos < src->rc_cnt) return &s->rc[it->src * (size_t)AQ_QBFT_RC_MAX + it->pos++].m;
      continue;
    }
    uint32_t g = (uint32_t)type - AQ_QBFT_PRE_PREPARE;
    if (g < GROUPS && it->pos < src->cnt[g]) return &group_of(s, it->src, g)[it->pos++].m;
  }
  return NULL;
}
