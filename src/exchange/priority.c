/* Scores are summed over the lists, ties go by who was seen first: the reference sorts so. */
#include "exchange/priority.h"

#include <stdlib.h>

#include "codec/pb.h"
#include "core.pb-c.h"
#include "crypto/hash.h"
#include "identity/identity.h"

#define VALUE_URL "type.googleapis.com/google.protobuf.Value"
enum { PROPOSAL_MAX = 1024 }; /* bytes of one wrapped priority of our own */
enum { SIG_LEN = 65, TOPIC_PRIORITIES_MAX = 999, TOP_SCORE = 1000, RESULT_MAX = 32 << 20 };

/* wire.md 9.3. buf is reused. */
static bool hash_of(aq_hash *out, aq_buf *buf, const ProtobufCMessage *m) {
  aq_buf_reset(buf);
  aq_pb_pack(buf, m);
  if (!buf->failed) aq_merkle_bytes(out->b, aq_buf_bytes(buf), -1);
  return !buf->failed;
}

static bool digest_of(aq_hash *out, Corepb__PriorityMsg *m) {
  aq_buf text = AQ_BUF(AQ_PRIORITY_MSG_MAX);
  ProtobufCBinaryData signature = m->signature;
  m->signature = (ProtobufCBinaryData){0, NULL};
  bool ok = hash_of(out, &text, &m->base);
  m->signature = signature;
  aq_buf_free(&text);
  return ok;
}

/* ---- our own message ---- */

static Corepb__Any *any_of(aq_arena *a, const char *text) {
  Corepb__Value value = COREPB__VALUE__INIT;
  Corepb__Any *any = aq_arena_alloc(a, sizeof *any);
  aq_buf bytes = AQ_BUF(PROPOSAL_MAX);
  value.kind_case = COREPB__VALUE__KIND_STRING_VALUE;
  value.string_value = (char *)(uintptr_t)text;
  aq_pb_pack(&bytes, &value.base);
  aq_bytes kept = bytes.failed ? aq_bytes_of(NULL, 0) : aq_arena_copy(a, aq_buf_bytes(&bytes));
  aq_buf_free(&bytes);
  if (!any || !kept.ptr) return NULL;
  corepb__any__init(any);
  any->type_url = (char *)(uintptr_t)VALUE_URL;
  any->value = (ProtobufCBinaryData){kept.len, (uint8_t *)(uintptr_t)kept.ptr};
  return any;
}

static Corepb__PriorityTopicProposal *proposal_of(aq_arena *a, const aq_priority_topic *t) {
  Corepb__PriorityTopicProposal *p = aq_arena_alloc(a, sizeof *p);
  if (!p) return NULL;
  corepb__priority_topic_proposal__init(p);
  p->topic = any_of(a, t->name);
  p->priorities = aq_arena_array(a, t->cnt, sizeof *p->priorities);
  p->n_priorities = t->cnt;
  if (!p->topic || !p->priorities) return NULL;
  for (uint32_t i = 0; i < t->cnt; i++) {
    p->priorities[i] = any_of(a, t->item[i]);
    if (!p->priorities[i]) return NULL;
  }
  return p;
}

static aq_status write_msg(aq_buf *out, aq_arena *a, const aq_k1_key *key, aq_duty duty, const aq_priority_topic *topic,
                           uint32_t cnt) {
  Corepb__Duty d = COREPB__DUTY__INIT;
  Corepb__PriorityMsg m = COREPB__PRIORITY_MSG__INIT;
  uint8_t pubkey[33], sig[SIG_LEN];
  char id[AQ_PEER_ID_TEXT_MAX];
  aq_hash digest;
  d.slot = duty.slot;
  d.type = (int32_t)duty.type;
  aq_k1_pubkey(pubkey, key);
  aq_peer_id_text(id, pubkey);
  m.duty = &d;
  m.peer_id = id;
  m.n_topics = cnt;
  m.topics = aq_arena_array(a, cnt, sizeof *m.topics);
  if (!m.topics) return AQ_E_LIMIT;
  for (uint32_t i = 0; i < cnt; i++) {
    m.topics[i] = proposal_of(a, &topic[i]);
    if (!m.topics[i]) return AQ_E_LIMIT;
  }
  if (!digest_of(&digest, &m)) return AQ_E_LIMIT;
  aq_k1_sign(sig, key, digest.b);
  m.signature = (ProtobufCBinaryData){SIG_LEN, sig};
  aq_pb_pack(out, &m.base);
  return aq_buf_status(out);
}

aq_status aq_priority_write(aq_buf *out, const aq_k1_key *key, aq_duty duty, const aq_priority_topic *topic,
                            uint32_t cnt) {
  aq_arena a;
  aq_arena_init(&a, AQ_PRIORITY_MSG_MAX);
  aq_status st = write_msg(out, &a, key, duty, topic, cnt);
  aq_arena_free(&a);
  return st;
}

/* ---- a received message ---- */

static bool within_limits(const Corepb__PriorityMsg *m) {
  size_t all = 0;
  if (m->n_topics > AQ_PRIORITY_TOPICS_MAX) return false;
  for (size_t i = 0; i < m->n_topics; i++) {
    if (m->topics[i]->n_priorities > TOPIC_PRIORITIES_MAX) return false;
    all += m->topics[i]->n_priorities;
  }
  return all <= AQ_PRIORITY_ITEMS_MAX;
}

/* Only the base58 form names a peer here: sorting goes by the text. */
static bool member(uint32_t *peer, const aq_priority_cluster *c, const char *text) {
  uint8_t pubkey[33];
  char again[AQ_PEER_ID_TEXT_MAX];
  if (aq_peer_id_parse(pubkey, aq_bytes_str(text)) != AQ_OK) return false;
  aq_peer_id_text(again, pubkey);
  for (*peer = 0; *peer < c->n; (*peer)++) {
    if (memcmp(c->pubkey[*peer], pubkey, sizeof pubkey) == 0) return strcmp(again, text) == 0;
  }
  return false;
}

static aq_status check(aq_duty *duty, uint32_t *peer, const aq_priority_cluster *c, Corepb__PriorityMsg *m) {
  aq_hash digest;
  if (!within_limits(m) || !aq_duty_type_valid(m->duty->type)) return AQ_E_FORMAT;
  *duty = (aq_duty){m->duty->slot, (aq_duty_type)m->duty->type};
  if (!member(peer, c, m->peer_id)) return AQ_E_UNKNOWN;
  if (m->signature.len != SIG_LEN || !digest_of(&digest, m)) return AQ_E_FORMAT;
  return aq_k1_verify65(c->pubkey[*peer], m->signature.data, digest.b) == AQ_OK ? AQ_OK : AQ_E_AUTH;
}

static Corepb__PriorityMsg *unpack_msg(aq_arena *a, aq_bytes in) {
  if (in.len > AQ_PRIORITY_MSG_MAX) return NULL;
  return aq_pb_unpack(a, &corepb__priority_msg__descriptor, in);
}

aq_status aq_priority_check(aq_duty *duty, uint32_t *peer, aq_arena *a, const aq_priority_cluster *c, aq_bytes msg) {
  Corepb__PriorityMsg *m = unpack_msg(a, msg);
  return m ? check(duty, peer, c, m) : AQ_E_FORMAT;
}

/* ---- the result, wire.md 9.5 ---- */

/* A topic as one message has it. msg: place among the messages sorted by peer id. */
typedef struct {
  aq_hash hash;
  uint32_t msg;
  const Corepb__PriorityTopicProposal *p;
} ref;

/* A priority of one topic. */
typedef struct {
  aq_hash hash;
  uint32_t msg, seen; /* seen: place in the walk */
  int64_t score;
  Corepb__Any *any;
} item;

typedef struct {
  aq_arena *a;
  aq_buf buf; /* of hashing */
  int64_t limit;
} calc;

static int by_peer_id(const void *pa, const void *pb) {
  const Corepb__PriorityMsg *const *a = pa, *const *b = pb;
  return strcmp((*a)->peer_id, (*b)->peer_id);
}

static int by_topic(const void *pa, const void *pb) {
  const ref *a = pa, *b = pb;
  int order = memcmp(a->hash.b, b->hash.b, sizeof a->hash.b);
  return order ? order : (a->msg > b->msg) - (a->msg < b->msg);
}

static int by_item(const void *pa, const void *pb) {
  const item *a = pa, *b = pb;
  int order = memcmp(a->hash.b, b->hash.b, sizeof a->hash.b);
  return order ? order : (a->seen > b->seen) - (a->seen < b->seen);
}

static int by_score(const void *pa, const void *pb) {
  const item *a = pa, *b = pb;
  if (a->score != b->score) return a->score < b->score ? 1 : -1;
  return (a->seen > b->seen) - (a->seen < b->seen);
}

/* The same priority of several messages becomes one. */
static aq_status merge(item *it, size_t *cnt) {
  size_t kept = 0;
  qsort(it, *cnt, sizeof *it, by_item);
  for (size_t i = 0; i < *cnt; i++) {
    item *last = kept ? &it[kept - 1] : NULL;
    if (!last || !aq_hash_eq(&last->hash, &it[i].hash)) {
      it[kept++] = it[i];
      continue;
    }
    if (last->msg == it[i].msg) return AQ_E_FORMAT;
    last->msg = it[i].msg;
    last->score += it[i].score;
  }
  *cnt = kept;
  return AQ_OK;
}

/* Steps 3 to 5 for the messages that have this topic. */
static aq_status score_topic(Corepb__PriorityTopicResult *out, calc *c, const ref *r, size_t refs) {
  size_t cnt = 0, at = 0;
  for (size_t i = 0; i < refs; i++) cnt += r[i].p->n_priorities;
  item *it = aq_arena_array(c->a, cnt, sizeof *it);
  if (!it) return AQ_E_LIMIT;
  for (size_t i = 0; i < refs; i++) {
    for (size_t k = 0; k < r[i].p->n_priorities; k++, at++) {
      it[at] = (item){.msg = r[i].msg, .seen = (uint32_t)at, .score = TOP_SCORE - (int64_t)k};
      it[at].any = r[i].p->priorities[k];
      if (!hash_of(&it[at].hash, &c->buf, &it[at].any->base)) return AQ_E_LIMIT;
    }
  }
  aq_status st = merge(it, &cnt);
  if (st) return st;
  qsort(it, cnt, sizeof *it, by_score);
  while (cnt && it[cnt - 1].score <= c->limit) cnt--;
  Corepb__PriorityScoredResult *scored = aq_arena_array(c->a, cnt, sizeof *scored);
  out->priorities = aq_arena_array(c->a, cnt, sizeof *out->priorities);
  if (!scored || !out->priorities) return AQ_E_LIMIT;
  out->topic = r[0].p->topic;
  out->n_priorities = cnt;
  for (size_t i = 0; i < cnt; i++) {
    corepb__priority_scored_result__init(&scored[i]);
    scored[i].priority = it[i].any;
    scored[i].score = it[i].score;
    out->priorities[i] = &scored[i];
  }
  return AQ_OK;
}

/* The topics of all messages, equal ones together, in the order of the result. */
static aq_status collect(ref **out, size_t *cnt, calc *c, Corepb__PriorityMsg *const *sorted, size_t msgs) {
  size_t all = 0, at = 0;
  for (size_t i = 0; i < msgs; i++) all += sorted[i]->n_topics;
  ref *r = aq_arena_array(c->a, all, sizeof *r);
  if (!r) return AQ_E_LIMIT;
  for (size_t i = 0; i < msgs; i++) {
    for (size_t k = 0; k < sorted[i]->n_topics; k++, at++) {
      r[at] = (ref){.msg = (uint32_t)i, .p = sorted[i]->topics[k]};
      if (!hash_of(&r[at].hash, &c->buf, &r[at].p->topic->base)) return AQ_E_LIMIT;
    }
  }
  qsort(r, all, sizeof *r, by_topic);
  for (size_t i = 1; i < all; i++) {
    if (r[i].msg == r[i - 1].msg && aq_hash_eq(&r[i].hash, &r[i - 1].hash)) return AQ_E_FORMAT;
  }
  *out = r;
  *cnt = all;
  return AQ_OK;
}

static aq_status score_all(Corepb__PriorityResult *out, calc *c, Corepb__PriorityMsg *const *sorted) {
  ref *r;
  size_t refs;
  aq_status st = collect(&r, &refs, c, sorted, out->n_msgs);
  if (st) return st;
  Corepb__PriorityTopicResult *topic = aq_arena_array(c->a, refs, sizeof *topic);
  out->topics = aq_arena_array(c->a, refs, sizeof *out->topics);
  if (!topic || !out->topics) return AQ_E_LIMIT;
  out->n_topics = 0;
  for (size_t i = 0, next; i < refs && st == AQ_OK; i = next) {
    for (next = i + 1; next < refs && aq_hash_eq(&r[next].hash, &r[i].hash); next++) {
    }
    corepb__priority_topic_result__init(&topic[out->n_topics]);
    st = score_topic(&topic[out->n_topics], c, &r[i], next - i);
    out->topics[out->n_topics] = &topic[out->n_topics];
    out->n_topics++;
  }
  return st;
}

/* Fills in the topics that follow from the messages. */
static aq_status calculate(Corepb__PriorityResult *r, aq_arena *a, uint32_t threshold) {
  if (r->n_msgs == 0) return AQ_E_FORMAT;
  Corepb__PriorityMsg **sorted = aq_arena_array(a, r->n_msgs, sizeof *sorted);
  if (!sorted) return AQ_E_LIMIT;
  memcpy(sorted, r->msgs, r->n_msgs * sizeof *sorted);
  qsort(sorted, r->n_msgs, sizeof *sorted, by_peer_id);
  for (size_t i = 0; i < r->n_msgs; i++) {
    const Corepb__PriorityMsg *m = sorted[i], *first = sorted[0];
    if (m->duty->slot != first->duty->slot || m->duty->type != first->duty->type) return AQ_E_FORMAT;
    if (!within_limits(m) || (i && strcmp(sorted[i - 1]->peer_id, m->peer_id) == 0)) return AQ_E_FORMAT;
  }
  calc c = {a, AQ_BUF(AQ_PRIORITY_MSG_MAX), ((int64_t)threshold - 1) * TOP_SCORE};
  aq_status st = score_all(r, &c, sorted);
  aq_buf_free(&c.buf);
  return st;
}

aq_status aq_priority_result(aq_buf *out, aq_arena *a, uint32_t threshold, const aq_bytes *msg, uint32_t cnt) {
  Corepb__PriorityResult r = COREPB__PRIORITY_RESULT__INIT;
  r.n_msgs = cnt;
  r.msgs = aq_arena_array(a, cnt, sizeof *r.msgs);
  if (!r.msgs) return AQ_E_LIMIT;
  for (uint32_t i = 0; i < cnt; i++) {
    r.msgs[i] = unpack_msg(a, msg[i]);
    if (!r.msgs[i]) return AQ_E_FORMAT;
  }
  aq_status st = calculate(&r, a, threshold);
  if (st) return st;
  aq_pb_pack(out, &r.base);
  return aq_buf_status(out);
}

bool aq_priority_valid(aq_arena *a, const aq_priority_cluster *c, aq_duty duty, aq_bytes result) {
  Corepb__PriorityResult *r = aq_pb_unpack(a, &corepb__priority_result__descriptor, result);
  if (!r || r->n_msgs > c->n || r->base.n_unknown_fields) return false;
  for (size_t i = 0; i < r->n_msgs; i++) {
    aq_duty of;
    uint32_t peer;
    if (check(&of, &peer, c, r->msgs[i]) != AQ_OK || !aq_duty_eq(of, duty)) return false;
  }
  if (calculate(r, a, c->threshold) != AQ_OK) return false;
  aq_buf again = AQ_BUF(RESULT_MAX);
  aq_pb_pack(&again, &r->base);
  bool same = !again.failed && aq_bytes_eq(aq_buf_bytes(&again), result);
  aq_buf_free(&again);
  return same;
}

/* ---- the result as text ---- */

static const char *text_of(aq_arena *a, const Corepb__Any *any) {
  if (strcmp(any->type_url, VALUE_URL) != 0) return NULL;
  const Corepb__Value *v = aq_pb_unpack(a, &corepb__value__descriptor, aq_bytes_of(any->value.data, any->value.len));
  return v && v->kind_case == COREPB__VALUE__KIND_STRING_VALUE ? v->string_value : NULL;
}

aq_status aq_priority_read(const aq_priority_topic **topic, uint32_t *cnt, aq_arena *a, aq_bytes result) {
  const Corepb__PriorityResult *r = aq_pb_unpack(a, &corepb__priority_result__descriptor, result);
  if (!r) return AQ_E_FORMAT;
  aq_priority_topic *out = aq_arena_array(a, r->n_topics, sizeof *out);
  if (!out) return AQ_E_LIMIT;
  *topic = out;
  *cnt = 0;
  for (size_t i = 0; i < r->n_topics; i++) {
    const Corepb__PriorityTopicResult *t = r->topics[i];
    aq_priority_topic *o = &out[*cnt];
    const char **list = aq_arena_array(a, t->n_priorities, sizeof *list);
    o->name = text_of(a, t->topic);
    o->item = list;
    if (!list) return AQ_E_LIMIT;
    if (!o->name) continue;
    for (size_t k = 0; k < t->n_priorities; k++) {
      const char *text = text_of(a, t->priorities[k]->priority);
      if (text) list[o->cnt++] = text;
    }
    (*cnt)++;
  }
  return AQ_OK;
}

const aq_priority_topic *aq_priority_find(const aq_priority_topic *topic, uint32_t cnt, const char *name) {
  for (uint32_t i = 0; i < cnt; i++) {
    if (strcmp(topic[i].name, name) == 0) return &topic[i];
  }
  return NULL;
}
