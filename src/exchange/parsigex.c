/* A set in is checked and handed on at once; a set out is kept and sent again until each peer has it or its duties
   are over. */
#include "exchange/parsigex.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/bucket.h"
#include "base/hex.h"
#include "base/line_limit.h"
#include "base/list.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cluster/pubkeys.h"
#include "codec/pb.h"
#include "core.pb-c.h"
#include "port/broadcast.h"

enum {
  KEY_TEXT_LEN = 98,      /* 0x and 96 digits */
  MESSAGE_MAX = 32 << 20, /* as the host's limit for the protocol */
  ARENA_SPARE = 1 << 20,
  ENTRY_ARENA = 1024, /* of one that is written: key, headers, pointers */
  SUBCOMMITTEES = 4,
  REASONS_MAX = 20, /* statuses */
  AGAIN_MS = 1000   /* between two tries, and after a connection: a double dial is one */
};

_Static_assert(AQ_PARSIGEX_KEPT_BYTES_MAX >= 2 * MESSAGE_MAX, "two of the largest are kept");

typedef struct {
  aq_bucket bucket;
  aq_line_limit line[REASONS_MAX]; /* by status */
} source;

typedef struct kept kept;
typedef struct {
  kept *k;
  bool under_way, due;
  uint32_t tries;
} kept_peer;

/* One of our messages, as it was sent. */
struct kept {
  aq_list node;
  aq_parsigex *px;
  aq_duty duty;
  aq_fork fork; /* whose version it was signed for */
  uint64_t until_ns;
  aq_buf msg;
  kept_peer peer[];
};

struct aq_parsigex {
  aq_parsigex_cfg cfg;
  aq_map validators;
  aq_bucket_size budget;
  source *peer;
  aq_list kept; /* oldest first */
  uint32_t kept_cnt;
  size_t kept_bytes;
  aq_timer again;
};

/* Twice what tss grants (tss.md 3): 8 (V/32 + 8) partials a slot, at most 8 V + 512. One more a message, taken before
   anything of it is read. */
static bool take_tokens(aq_parsigex *px, uint32_t from, uint64_t cnt) {
  return aq_bucket_take(&px->peer[from].bucket, &px->budget, aq_mono_ns(px->cfg.env), cnt);
}

/* ---- checks ---- */

/* Registrations are understood, but nobody sends them. */
bool aq_parsigex_travels(aq_duty_type type) { return aq_duty_is(type, AQ_DF_SHARED); }

static bool always(const aq_clock *c, aq_duty duty, const aq_signed_data *d) {
  (void)c, (void)duty, (void)d;
  return true;
}

static bool of_slot(const aq_clock *c, aq_duty duty, const aq_signed_data *d) {
  (void)c;
  return d->slot == duty.slot && d->subcommittee < SUBCOMMITTEES;
}

static bool of_epoch(const aq_clock *c, aq_duty duty, const aq_signed_data *d) {
  return d->epoch == aq_epoch_of(c, duty.slot);
}

static bool of_first_slot(const aq_clock *c, aq_duty duty, const aq_signed_data *d) {
  return of_epoch(c, duty, d) && duty.slot % c->slots_per_epoch == 0;
}

/* What of its object says which duty it is of; NULL: none travels. */
typedef bool (*aq_belongs_op)(const aq_clock *c, aq_duty duty, const aq_signed_data *d);
AQ_DUTY_OPS(aq_belongs_op, belongs)
const aq_belongs_op aq_belongs_proposer = of_slot, aq_belongs_attester = of_slot, aq_belongs_exit = of_first_slot,
                    aq_belongs_builder_registration = always, aq_belongs_randao = of_epoch,
                    aq_belongs_prepare_aggregator = of_slot, aq_belongs_aggregator = of_slot,
                    aq_belongs_sync_message = of_slot, aq_belongs_prepare_sync_contribution = of_slot,
                    aq_belongs_sync_contribution = of_slot;
const aq_belongs_op aq_belongs_signature = NULL, aq_belongs_builder_proposer = NULL, aq_belongs_info_sync = NULL;

bool aq_parsigex_belongs(const aq_chain *c, aq_duty duty, const aq_signed_data *d) {
  aq_belongs_op op = *ops_of(duty.type);
  return op && op(&c->clock, duty, d);
}

static aq_status key_parse(uint8_t pubkey[48], const char *text) {
  char again[97];
  aq_bytes in = aq_bytes_str(text);
  if (in.len != KEY_TEXT_LEN || aq_hex_decode(pubkey, 48, in, AQ_HEX_PREFIX) != AQ_OK) return AQ_E_FORMAT;
  aq_hex_encode(again, aq_bytes_of(pubkey, 48));
  return text[1] == 'x' && memcmp(again, text + 2, 96) == 0 ? AQ_OK : AQ_E_FORMAT; /* lower case only */
}

static aq_status entry_check(aq_parsigex_item *out, aq_arena *a, const aq_parsigex_cfg *cfg, const aq_map *validators,
                             aq_duty duty, uint32_t from, const Corepb__ParSignedDataSetEntry *e) {
  aq_signed_data *d = aq_arena_alloc(a, sizeof *d);
  uint8_t pubkey[48];
  if (!d) return AQ_E_LIMIT;
  if (!e->value || aq_signed_decode(d, a, duty.type, aq_bytes_of(e->value->data.data, e->value->data.len)) != AQ_OK) {
    return AQ_E_FORMAT;
  }
  if (key_parse(pubkey, e->key) != AQ_OK) return AQ_E_FORMAT;
  int64_t index = aq_pubkeys_index(validators, cfg->lock, pubkey);
  if (index < 0 || e->value->share_idx < 1 || (uint32_t)e->value->share_idx != from + 1) return AQ_E_UNKNOWN;
  if (!aq_parsigex_belongs(cfg->chain, duty, d) || aq_bytes_is_zero(aq_bytes_of(d->sig, 96))) return AQ_E_FORMAT;
  out->validator = (uint32_t)index;
  out->sub = (uint32_t)d->subcommittee; /* 0 but for types 11 and 12 */
  aq_signed_signing_root(out->root, cfg->chain, d);
  memcpy(out->sig, d->sig, 96);
  out->data = d;
  return AQ_OK;
}

static int by_validator(const void *pa, const void *pb) {
  const aq_parsigex_item *a = pa, *b = pb;
  return a->validator < b->validator ? -1 : a->validator > b->validator;
}

/* px: whose budget pays for the entries before one is looked at; NULL: nobody's. */
static aq_status decode(aq_parsigex_set *out, aq_arena *a, const aq_parsigex_cfg *cfg, const aq_map *validators,
                        uint32_t from, aq_bytes msg, aq_parsigex *px) {
  *out = (aq_parsigex_set){.share = from + 1};
  if (from >= cfg->lock->def.operator_cnt || from == cfg->self) return AQ_E_UNKNOWN;
  const Corepb__ParSigExMsg *m = aq_pb_unpack(a, &corepb__par_sig_ex_msg__descriptor, msg);
  if (!m || !m->duty || !m->data_set || m->data_set->n_set == 0) return AQ_E_FORMAT;
  const aq_clock *clock = &cfg->chain->clock;
  uint64_t now = aq_now_ns(cfg->env);
  if (!aq_duty_type_valid(m->duty->type)) return AQ_E_FORMAT;
  out->duty = (aq_duty){m->duty->slot, (aq_duty_type)m->duty->type};
  if (!aq_parsigex_travels(out->duty.type)) return AQ_E_FORMAT;
  if (!aq_duty_gate(clock, out->duty.slot, m->duty->type, now)) return AQ_E_STALE;
  if (aq_duty_deadline_ns(cfg->chain, out->duty) <= now) return AQ_E_STALE;
  if (m->data_set->n_set > cfg->lock->validator_cnt) return AQ_E_LIMIT;
  if (px && !take_tokens(px, from, m->data_set->n_set)) return AQ_E_LIMIT;
  aq_parsigex_item *item = aq_arena_array(a, m->data_set->n_set, sizeof *item);
  if (!item) return AQ_E_LIMIT;
  for (size_t i = 0; i < m->data_set->n_set; i++) {
    aq_status st = entry_check(&item[i], a, cfg, validators, out->duty, from, m->data_set->set[i]);
    if (st) return st;
  }
  out->cnt = (uint32_t)m->data_set->n_set;
  qsort(item, out->cnt, sizeof *item, by_validator);
  for (uint32_t i = 1; i < out->cnt; i++) {
    if (item[i].validator == item[i - 1].validator) return AQ_E_FORMAT;
  }
  out->item = item;
  return AQ_OK;
}

aq_status aq_parsigex_decode(aq_parsigex_set *out, aq_arena *a, const aq_parsigex_cfg *cfg, const aq_map *validators,
                             uint32_t from, aq_bytes msg) {
  return decode(out, a, cfg, validators, from, msg, NULL);
}

aq_status aq_parsigex_encode(aq_buf *out, aq_arena *a, aq_duty duty, const aq_parsig_set *set) {
  Corepb__Duty d = COREPB__DUTY__INIT;
  Corepb__ParSignedDataSet ds = COREPB__PAR_SIGNED_DATA_SET__INIT;
  Corepb__ParSigExMsg m = COREPB__PAR_SIG_EX_MSG__INIT;
  d.slot = duty.slot;
  d.type = (int32_t)duty.type;
  ds.n_set = set->cnt;
  ds.set = aq_arena_array(a, set->cnt, sizeof *ds.set);
  if (!ds.set) return AQ_E_LIMIT;
  for (uint32_t i = 0; i < set->cnt; i++) {
    const aq_parsig *p = &set->item[i];
    Corepb__ParSignedDataSetEntry *e = aq_arena_alloc(a, sizeof *e);
    Corepb__ParSignedData *v = aq_arena_alloc(a, sizeof *v);
    char *key = aq_arena_alloc(a, KEY_TEXT_LEN + 1);
    if (!e || !v || !key) return AQ_E_LIMIT;
    corepb__par_signed_data_set_entry__init(e);
    corepb__par_signed_data__init(v);
    memcpy(key, "0x", 2);
    aq_hex_encode(key + 2, aq_bytes_of(p->pubkey, 48));
    v->data = (ProtobufCBinaryData){p->data.len, (uint8_t *)(uintptr_t)p->data.ptr};
    v->signature = (ProtobufCBinaryData){96, (uint8_t *)(uintptr_t)p->sig};
    v->share_idx = (int32_t)p->share_idx;
    e->key = key;
    e->value = v;
    ds.set[i] = e;
  }
  aq_status st = aq_pb_sort_map(a, ds.set, &ds.n_set);
  if (st) return st;
  m.duty = &d;
  m.data_set = &ds;
  aq_pb_pack(out, &m.base);
  return aq_buf_status(out);
}

/* ---- life ---- */

/* Lateness is no fault; a late one is told at debug only. */
static void refuse(aq_parsigex *px, uint32_t from, aq_status st) {
  if (st == AQ_E_STALE) {
    AQ_LOG(AQ_LOG_DEBUG, "parsigex", AQ_STR("err", aq_status_text(st)), AQ_UINT("peer", from),
           AQ_STR("result", "dropped"));
    return;
  }
  aq_net_fault(px->cfg.net, from, AQ_PROTO_PARSIGEX, st);
  aq_line_limit *line = &px->peer[from].line[-st];
  if (!aq_line_due(line, aq_mono_ns(px->cfg.env))) return;
  AQ_LOG(AQ_LOG_WARN, "parsigex", AQ_STR("err", aq_status_text(st)), AQ_UINT("more", line->more), AQ_UINT("peer", from),
         AQ_STR("result", "dropped"));
}

static void recv(void *arg, uint32_t from, aq_bytes msg) {
  aq_parsigex *px = arg;
  if (from >= px->cfg.lock->def.operator_cnt) return;
  uint64_t started = aq_mono_ns(px->cfg.env);
  aq_parsigex_set set;
  aq_arena a;
  aq_arena_init(&a, 3 * msg.len + ARENA_SPARE); /* the fields once, JSON converted, the items */
  aq_status st = take_tokens(px, from, 1) ? decode(&set, &a, &px->cfg, &px->validators, from, msg, px) : AQ_E_LIMIT;
  if (st == AQ_OK) {
    px->cfg.received(px->cfg.arg, &set);
    aq_metric_observe(AQ_M_CORE_PARSIGEX_SET_VERIFICATION_SECONDS, (double)(aq_mono_ns(px->cfg.env) - started) / 1e9,
                      AQ_LABELS(aq_duty_name(set.duty.type)));
  } else {
    refuse(px, from, st);
  }
  aq_arena_free(&a);
}

aq_parsigex *aq_parsigex_new(const aq_parsigex_cfg *cfg) {
  aq_parsigex *px = calloc(1, sizeof *px);
  AQ_ASSERT(px);
  px->cfg = *cfg;
  aq_list_init(&px->kept);
  px->peer = calloc(cfg->lock->def.operator_cnt, sizeof *px->peer);
  AQ_ASSERT(px->peer);
  AQ_MUST(aq_pubkeys_init(&px->validators, cfg->env, cfg->lock) == AQ_OK);
  uint64_t v = cfg->lock->validator_cnt;
  px->budget = (aq_bucket_size){.full = 8 * v + 512, .rate = 8 * (v / 32 + 8), .per_ns = cfg->chain->clock.slot_ns};
  cfg->net->handle(cfg->net->ctx, AQ_PROTO_PARSIGEX, &(aq_net_handler){.arg = px, .recv = recv});
  return px;
}

/* ---- what is kept ---- */

static void drop(aq_parsigex *px, kept *k) {
  px->kept_cnt--;
  px->kept_bytes -= k->msg.len;
  aq_list_remove(&k->node);
  aq_buf_free(&k->msg);
  free(k);
}

static bool idle(const kept *k) {
  for (uint32_t i = 0; i < k->px->cfg.lock->def.operator_cnt; i++) {
    if (k->peer[i].under_way) return false;
  }
  return true;
}

/* Exits and registrations keep their version. */
static aq_fork fork_of(const aq_parsigex *px, aq_duty duty) {
  if (aq_duty_of(duty.type)->window == AQ_WINDOW_NEVER) return AQ_PHASE0;
  return aq_chain_fork_at(px->cfg.chain, aq_epoch_of(&px->cfg.chain->clock, duty.slot));
}

/* Also when we learnt of a fork meanwhile, and nobody can use the signatures any more. */
static bool over(const kept *k) {
  return aq_now_ns(k->px->cfg.env) >= k->until_ns || fork_of(k->px, k->duty) != k->fork;
}

static void on_again(void *arg);

static void arm(aq_parsigex *px) {
  if (px->again.pos == 0) aq_timer_after(px->cfg.env, &px->again, AQ_MILLIS(AGAIN_MS), on_again, px);
}

static void on_sent(void *arg, aq_status st) {
  kept_peer *p = arg;
  p->under_way = false;
  if (st != AQ_OK) p->due = true;
  if (p->due && p->tries < AQ_PARSIGEX_TRIES) arm(p->k->px);
}

static void send_to(kept *k, uint32_t peer) {
  const aq_net *net = k->px->cfg.net;
  kept_peer *p = &k->peer[peer];
  p->under_way = true, p->due = false;
  p->tries++;
  net->send(net->ctx, peer, AQ_PROTO_PARSIGEX, aq_buf_bytes(&k->msg), on_sent, p);
}

/* Frees what is over, repeats what is due. */
static void on_again(void *arg) {
  aq_parsigex *px = arg;
  AQ_LIST_EACH(&px->kept, k, kept, node) {
    if (over(k)) {
      if (idle(k)) drop(px, k);
      continue;
    }
    for (uint32_t i = 0; i < px->cfg.lock->def.operator_cnt; i++) {
      kept_peer *p = &k->peer[i];
      if (p->due && !p->under_way && p->tries < AQ_PARSIGEX_TRIES) send_to(k, i);
    }
  }
}

void aq_parsigex_again(aq_parsigex *px, uint32_t peer) {
  if (peer >= px->cfg.lock->def.operator_cnt || peer == px->cfg.self) return;
  AQ_LIST_EACH(&px->kept, k, kept, node) k->peer[peer].due = true;
  if (!aq_list_empty(&px->kept)) arm(px);
}

/* Those that are over make room first, then the oldest that nobody is being sent. */
static void make_room(aq_parsigex *px, size_t len) {
  AQ_LIST_EACH(&px->kept, k, kept, node) {
    bool full = px->kept_cnt >= AQ_PARSIGEX_KEPT_MAX || px->kept_bytes + len > AQ_PARSIGEX_KEPT_BYTES_MAX;
    if ((full || over(k)) && idle(k)) drop(px, k);
  }
}

static kept *keep(aq_parsigex *px, aq_duty duty, aq_bytes msg) {
  const aq_clock *clock = &px->cfg.chain->clock;
  uint32_t n = px->cfg.lock->def.operator_cnt;
  make_room(px, msg.len);
  kept *k = calloc(1, sizeof *k + n * sizeof k->peer[0]);
  AQ_ASSERT(k);
  k->px = px;
  k->duty = duty, k->fork = fork_of(px, duty);
  k->until_ns = aq_duty_deadline_ns(px->cfg.chain, duty);
  if (k->until_ns == AQ_NEVER) k->until_ns = aq_now_ns(px->cfg.env) + clock->slots_per_epoch * clock->slot_ns;
  k->msg = AQ_BUF(MESSAGE_MAX);
  aq_buf_put_bytes(&k->msg, msg);
  AQ_ASSERT(!k->msg.failed);
  for (uint32_t i = 0; i < n; i++) k->peer[i].k = k;
  px->kept_cnt++;
  px->kept_bytes += msg.len;
  aq_list_push(&px->kept, &k->node);
  return k;
}

void aq_parsigex_free(aq_parsigex *px) {
  if (!px) return;
  px->cfg.net->handle(px->cfg.net->ctx, AQ_PROTO_PARSIGEX, &(aq_net_handler){0});
  aq_timer_cancel(px->cfg.env, &px->again);
  AQ_LIST_EACH(&px->kept, k, kept, node) drop(px, k);
  aq_map_free(&px->validators);
  free(px->peer);
  free(px);
}

void aq_parsigex_broadcast(aq_parsigex *px, aq_duty duty, const aq_parsig_set *set) {
  uint64_t start = aq_mono_ns(px->cfg.env);
  aq_arena a;
  aq_buf out = AQ_BUF(MESSAGE_MAX);
  aq_arena_init(&a, (size_t)set->cnt * ENTRY_ARENA + ARENA_SPARE);
  for (uint32_t i = 0; i < set->cnt; i++) AQ_ASSERT(set->item[i].share_idx == px->cfg.self + 1);
  aq_status st = set->cnt > 0 ? aq_parsigex_encode(&out, &a, duty, set) : AQ_E_FORMAT;
  if (st) {
    AQ_LOG(AQ_LOG_ERROR, "parsigex", AQ_STR("duty", aq_duty_name(duty.type)), AQ_STR("err", aq_status_text(st)),
           AQ_UINT("slot", duty.slot));
  }
  kept *k = st == AQ_OK ? keep(px, duty, aq_buf_bytes(&out)) : NULL;
  for (uint32_t peer = 0; k && peer < px->cfg.lock->def.operator_cnt; peer++) {
    if (peer != px->cfg.self) send_to(k, peer);
  }
  aq_broadcast_note(px->cfg.env, "aequa/parsigex/v1", start, st ? 0 : px->cfg.lock->def.operator_cnt - 1,
                    st ? aq_status_text(st) : NULL);
  aq_buf_free(&out);
  aq_arena_free(&a);
}
