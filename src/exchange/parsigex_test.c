/* Recorded sets of Charon, a set changed in each way that must not pass, and peers that come and go. */
#include "exchange/parsigex.h"

#include "aq_test.h"
#include "base/log.h"
#include "cluster/pubkeys.h"
#include "codec/pb.h"
#include "core.pb-c.h"
#include "fake/link.h"

enum { SELF = 0, N = 4, SENT_MAX = 16 };
#define GENESIS AQ_SECONDS(1742213400)
#define SLOT_NS AQ_SECONDS(12)

typedef struct {
  fake_env env;
  aq_chain chain;
  aq_lock lock;
  aq_dist_validator validator[2];
  aq_operator operators[N];
  fake_links links;
  fake_link link;
  struct {
    uint32_t peer;
    aq_buf msg;
    fake_letter *letter; /* until it is told */
  } sent[SENT_MAX];
  uint32_t sent_cnt, received, items;
  aq_parsigex_item last;
  aq_duty duty;
  aq_map keys;
  aq_parsigex_cfg cfg;
  aq_parsigex *px;
  uint32_t faults;
  aq_status fault;
} fixture;

static uint32_t g_lines;

static void on_post(void *arg, fake_letter *l, aq_bytes msg) {
  fixture *f = arg;
  assert_true(l->proto == AQ_PROTO_PARSIGEX && f->sent_cnt < SENT_MAX);
  f->sent[f->sent_cnt].letter = l;
  f->sent[f->sent_cnt].peer = l->peer;
  f->sent[f->sent_cnt].msg = AQ_BUF(1 << 20);
  aq_buf_put_bytes(&f->sent[f->sent_cnt++].msg, msg);
}

static void on_fault(void *arg, fake_link *from, uint32_t peer, aq_net_proto proto, aq_status st) {
  fixture *f = arg;
  (void)from;
  assert_true(proto == AQ_PROTO_PARSIGEX && peer < N);
  f->faults++;
  f->fault = st;
}

static void hear(fixture *f, uint32_t from, aq_bytes msg) {
  const aq_net_handler *h = &f->link.handler[AQ_PROTO_PARSIGEX];
  h->recv(h->arg, from, msg);
}

static void on_received(void *arg, const aq_parsigex_set *set) {
  fixture *f = arg;
  f->received++;
  f->items += set->cnt;
  f->duty = set->duty;
  f->last = set->item[set->cnt - 1];
}

static void on_line(void *arg, const char *line, size_t len) {
  (void)arg, (void)len;
  if (strstr(line, "\"msg\":\"parsigex\"")) g_lines++;
}

static void open_px(fixture *f, yyjson_val *vectors) {
  static const uint8_t root[] = {0x21, 0x2f, 0x13, 0xfc, 0x4d, 0xf0, 0x78, 0xb6, 0xcb, 0x7d, 0xb2,
                                 0x28, 0xf1, 0xc8, 0x30, 0x75, 0x66, 0xdc, 0xec, 0xf9, 0x00, 0x86,
                                 0x74, 0x01, 0xa9, 0x20, 0x23, 0xd7, 0xba, 0x99, 0xcb, 0x5f};
  memset(f, 0, sizeof *f);
  fake_env_init(&f->env, GENESIS);
  f->chain.clock = (aq_clock){GENESIS, SLOT_NS, 32};
  memcpy(f->chain.genesis_validators_root, root, 32);
  for (uint8_t i = 0; i < AQ_FORK_CNT; i++) {
    f->chain.fork[i] = (aq_fork_at){i == AQ_ELECTRA ? 2048
                                    : i == AQ_FULU  ? 50688
                                                    : 0,
                                    {(uint8_t)(0x10 * (i + 1)), 0, 0x09, 0x10}};
  }
  memcpy(f->chain.genesis_version, f->chain.fork[0].version, 4);
  memcpy(f->chain.capella_version, f->chain.fork[AQ_CAPELLA].version, 4);
  f->lock = (aq_lock){.validators = f->validator, .validator_cnt = 2};
  f->lock.def.operators = f->operators;
  f->lock.def.operator_cnt = N;
  f->lock.def.threshold = 3;
  aq_buf key = aq_test_hex_of(vectors, "validator_public_key");
  memcpy(f->validator[1].pubkey, key.ptr, 48);
  aq_buf_free(&key);
  fake_links_init(&f->links, &f->env, f);
  f->links.post = on_post, f->links.fault = on_fault;
  fake_link_join(&f->links, &f->link, SELF, f);
  f->cfg = (aq_parsigex_cfg){&f->env.env, &f->link.net, &f->chain, &f->lock, SELF, f, on_received};
  f->px = aq_parsigex_new(&f->cfg);
  assert_int_equal(aq_pubkeys_init(&f->keys, &f->env.env, &f->lock), AQ_OK);
}

static void close_px(fixture *f) {
  aq_parsigex_free(f->px);
  fake_link_drop(&f->link);
  aq_map_free(&f->keys);
  fake_env_free(&f->env);
  for (uint32_t i = 0; i < f->sent_cnt; i++) aq_buf_free(&f->sent[i].msg);
}

/* The message without its length prefix. */
static aq_buf message_of(yyjson_val *m) {
  aq_buf all = aq_test_hex_of(m, "delimited_message");
  uint64_t len;
  size_t used;
  assert_int_equal(aq_uvarint_get(&len, &used, aq_buf_bytes(&all)), AQ_OK);
  assert_int_equal(len + used, all.len);
  aq_buf_drop_front(&all, used);
  return all;
}

static void at_slot(fixture *f, uint64_t slot) { fake_env_set(&f->env, GENESIS + slot * SLOT_NS); }

static aq_status decode(fixture *f, uint32_t from, aq_bytes msg, aq_parsigex_item *item, uint32_t *cnt) {
  aq_arena a;
  aq_parsigex_set set;
  aq_arena_init(&a, 8 << 20);
  aq_status st = aq_parsigex_decode(&set, &a, &f->cfg, &f->keys, from, msg);
  if (st == AQ_OK && item) *item = set.item[0];
  if (st == AQ_OK && cnt) *cnt = set.cnt;
  aq_arena_free(&a);
  return st;
}

/* Goal: messages of every duty type and fork are read as Charon writes them, and what is signed is computed from the
   payload.
   Method: the recorded messages; the root must verify the recorded signature under the sender's public share. */
static void test_vectors(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("tss/parsigex.json");
  yyjson_val *all = yyjson_doc_get_root(doc), *m;
  aq_buf share = aq_test_hex_of(yyjson_arr_get(yyjson_obj_get(all, "shares"), 1), "public_share");
  size_t i, max, exits = 0;
  fixture f;
  open_px(&f, all);
  yyjson_arr_foreach(yyjson_obj_get(all, "messages"), i, max, m) {
    aq_buf msg = message_of(m), root = aq_test_hex_of(m, "signing_root"), sig = aq_test_hex_of(m, "signature");
    at_slot(&f, aq_test_u64(m, "duty_slot"));
    aq_parsigex_item item;
    uint32_t cnt;
    assert_int_equal(decode(&f, 1, aq_buf_bytes(&msg), &item, &cnt), AQ_OK);
    assert_int_equal(cnt, 1);
    assert_int_equal(item.validator, 1);
    assert_bytes(aq_bytes_of(item.root, 32), aq_buf_bytes(&root));
    assert_bytes(aq_bytes_of(item.sig, 96), aq_buf_bytes(&sig));
    assert_int_equal(aq_bls_verify(share.ptr, item.root, item.sig), AQ_OK);
    hear(&f, 1, aq_buf_bytes(&msg));
    assert_int_equal(f.received, i + 1);
    assert_int_equal(f.duty.type, aq_test_u64(m, "duty_type"));
    exits += f.duty.type == AQ_DUTY_EXIT;
    aq_buf_free(&msg), aq_buf_free(&root), aq_buf_free(&sig);
  }
  assert_true(max >= 18 && exits == 1);
  close_px(&f);
  aq_buf_free(&share);
  yyjson_doc_free(doc);
}

static yyjson_val *by_name(yyjson_val *all, const char *name) {
  size_t i, max;
  yyjson_val *m;
  yyjson_arr_foreach(yyjson_obj_get(all, "messages"), i, max, m) {
    if (strcmp(aq_test_str(m, "name"), name) == 0) return m;
  }
  fail_msg("no vector %s", name);
  return NULL;
}

/* A message of which `want` is to come; what is somebody's fault is told to the host. */
static void hand_over(fixture *f, uint32_t from, aq_bytes msg, aq_status want) {
  uint32_t before = f->received, faults = f->faults;
  hear(f, from, msg);
  assert_int_equal(f->received - before, want == AQ_OK);
  bool told = want != AQ_OK && want != AQ_E_STALE;
  assert_int_equal(f->faults - faults, told);
  if (told) assert_int_equal(f->fault, want);
}

/* Goal: the checks of wire.md 7.4, each of which drops the whole message. Method: one good message, each field made
   wrong in turn. */
static void test_refused(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("tss/parsigex.json");
  yyjson_val *all = yyjson_doc_get_root(doc), *v = by_name(all, "attester electra");
  fixture f;
  open_px(&f, all);
  aq_buf good = message_of(v);
  uint64_t slot = aq_test_u64(v, "duty_slot");
  at_slot(&f, slot);
  aq_buf sig = aq_test_hex_of(v, "signature");
  for (int bad = 0; bad < 18; bad++) {
    aq_arena a;
    aq_arena_init(&a, 1 << 20);
    Corepb__ParSigExMsg *m = aq_pb_unpack(&a, &corepb__par_sig_ex_msg__descriptor, aq_buf_bytes(&good));
    Corepb__ParSignedDataSetEntry *e = m->data_set->set[0], *two[2] = {e, e}, *many[3];
    uint8_t *at;
    for (size_t k = 0; k < AQ_COUNT(many); k++) many[k] = e;
    aq_status want = AQ_E_FORMAT;
    uint32_t from = 1;
    at_slot(&f, slot);
    switch (bad) {
      case 0: want = AQ_OK; break;
      case 1: m->data_set->n_set = 0; break;
      case 2: m->duty->type = 14; break;
      case 3: m->duty->type = AQ_DUTY_SIGNATURE; break;
      case 4: m->duty->type = AQ_DUTY_INFO_SYNC; break;
      case 5: m->duty->slot += 3 * 32, want = AQ_E_STALE; break; /* the gate: two epochs ahead at most */
      case 6: m->duty->slot -= 1; break;                         /* payload of another slot */
      case 7: e->value->data.data[21] ^= 1; break;               /* does not decode */
      case 8: e->value->share_idx = 3, want = AQ_E_UNKNOWN; break;
      case 9: from = 2, want = AQ_E_UNKNOWN; break;     /* a peer with another's share */
      case 10: from = SELF, want = AQ_E_UNKNOWN; break; /* our own share from outside */
      case 11: e->key[97] = e->key[97] == '0' ? '1' : '0', want = AQ_E_UNKNOWN; break;
      case 12: m->data_set->set = two, m->data_set->n_set = 2; break; /* one validator twice */
      case 13: at_slot(&f, slot + 33), want = AQ_E_STALE; break;
      case 14: /* a key in upper case */
        for (char *c = e->key + 2; *c; c++) *c = *c >= 'a' ? (char)(*c - 'a' + 'A') : *c;
        break;
      case 15: e->key[1] = 'X'; break;
      case 16: /* no signature */
        at = memmem(e->value->data.data, e->value->data.len, sig.ptr, sig.len);
        assert_non_null(at);
        memset(at, 0, sig.len);
        break;
      case 17: /* more than the cluster has validators */
        m->data_set->set = many, m->data_set->n_set = AQ_COUNT(many), want = AQ_E_LIMIT;
        break;
      default: fail();
    }
    if (bad == 6) at_slot(&f, slot - 1);
    aq_buf msg = AQ_BUF(1 << 20);
    aq_pb_pack(&msg, &m->base);
    aq_status got = decode(&f, from, aq_buf_bytes(&msg), NULL, NULL);
    if (got != want) fail_msg("case %d: %s", bad, aq_status_text(got));
    hand_over(&f, from, aq_buf_bytes(&msg), want);
    aq_buf_free(&msg);
    aq_arena_free(&a);
  }
  aq_buf_free(&sig);
  at_slot(&f, slot);
  for (size_t len = 0; len < good.len; len++)
    assert_int_not_equal(decode(&f, 1, aq_bytes_of(good.ptr, len), NULL, NULL), AQ_OK);
  assert_int_equal(decode(&f, N, aq_buf_bytes(&good), NULL, NULL), AQ_E_UNKNOWN);
  aq_buf_free(&good);
  close_px(&f);
  yyjson_doc_free(doc);
}

static char noted[512];
static void note_line(void *arg, const char *line, size_t len) {
  (void)arg;
  if (strstr(line, "p2p_broadcast") && len < sizeof noted) memcpy(noted, line, len), noted[len] = 0;
}

/* Goal: what we send is what Charon sends, to all others, and is accepted again.
   Method: the vector's payload in a set; the bytes equal the recorded message. */
static void test_broadcast(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("tss/parsigex.json");
  yyjson_val *all = yyjson_doc_get_root(doc), *v = by_name(all, "attester fulu");
  fixture f;
  open_px(&f, all);
  aq_buf want = message_of(v), data = aq_test_hex_of(v, "data"), sig = aq_test_hex_of(v, "signature");
  aq_parsig p = {.data = aq_buf_bytes(&data), .share_idx = 2};
  aq_duty duty = {aq_test_u64(v, "duty_slot"), AQ_DUTY_ATTESTER};
  memcpy(p.pubkey, f.validator[1].pubkey, 48);
  memcpy(p.sig, sig.ptr, 96);
  aq_parsigex_free(f.px);
  f.cfg.self = 1;
  f.px = aq_parsigex_new(&f.cfg);
  aq_log_start(AQ_LOG_DEBUG, note_line, NULL);
  aq_parsigex_broadcast(f.px, duty, &(aq_parsig_set){&p, 1});
  aq_log_start(AQ_LOG_WARN, on_line, NULL);
  assert_non_null(strstr(noted, "\"peers\":3,\"result\":\"ok\""));
  assert_int_equal(f.sent_cnt, 3);
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(f.sent[i].peer, i == 0 ? 0 : i + 1);
    assert_bytes(aq_buf_bytes(&f.sent[i].msg), aq_buf_bytes(&want));
  }
  aq_buf_free(&want), aq_buf_free(&data), aq_buf_free(&sig);
  close_px(&f);
  yyjson_doc_free(doc);
}

static void end_send(fixture *f, uint32_t at, aq_status st) {
  fake_letter_tell(f->sent[at].letter, 0, st);
  fake_env_drain(&f->env);
}

/* Goal: who did not get our partial signatures, or comes back, gets the same bytes again while the duty lives, so often
   and not at once; nobody else does, and nothing is sent of a duty that is over. Method: one send of three fails, then
   again and again; another peer connects twice in a moment; then the deadline. */
static void test_sent_again(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("tss/parsigex.json");
  yyjson_val *all = yyjson_doc_get_root(doc), *v = by_name(all, "attester fulu");
  fixture f;
  open_px(&f, all);
  aq_buf data = aq_test_hex_of(v, "data");
  aq_duty duty = {aq_test_u64(v, "duty_slot"), AQ_DUTY_ATTESTER};
  aq_parsig p = {.data = aq_buf_bytes(&data), .share_idx = f.cfg.self + 1};
  memcpy(p.pubkey, f.validator[1].pubkey, 48);
  at_slot(&f, duty.slot);
  aq_parsigex_broadcast(f.px, duty, &(aq_parsig_set){&p, 1});
  assert_int_equal(f.sent_cnt, 3);
  end_send(&f, 0, AQ_OK), end_send(&f, 1, AQ_E_CLOSED), end_send(&f, 2, AQ_OK);
  uint32_t lost = f.sent[1].peer, back = f.sent[2].peer, cnt = 3;
  fake_env_run_for(&f.env, AQ_MILLIS(900));
  assert_int_equal(f.sent_cnt, 3);
  for (uint32_t i = 1; i < AQ_PARSIGEX_TRIES + 2; i++) {
    fake_env_run_for(&f.env, AQ_MILLIS(1100));
    if (i < AQ_PARSIGEX_TRIES) cnt++;
    assert_int_equal(f.sent_cnt, cnt);
    if (i >= AQ_PARSIGEX_TRIES) continue;
    assert_int_equal(f.sent[cnt - 1].peer, lost);
    assert_bytes(aq_buf_bytes(&f.sent[cnt - 1].msg), aq_buf_bytes(&f.sent[1].msg));
    end_send(&f, cnt - 1, AQ_E_TIMEOUT);
  }
  aq_parsigex_again(f.px, back), aq_parsigex_again(f.px, back), aq_parsigex_again(f.px, f.cfg.self);
  assert_int_equal(f.sent_cnt, cnt);
  fake_env_run_for(&f.env, AQ_MILLIS(1100));
  assert_int_equal(f.sent_cnt, ++cnt);
  assert_int_equal(f.sent[cnt - 1].peer, back);
  end_send(&f, cnt - 1, AQ_OK);
  at_slot(&f, duty.slot + 200);
  aq_parsigex_again(f.px, back);
  fake_env_run_for(&f.env, AQ_MILLIS(1100));
  assert_int_equal(f.sent_cnt, cnt);
  aq_buf_free(&data);
  close_px(&f);
  yyjson_doc_free(doc);
}

/* Goal: an object belongs to its duty by slot or, as a reveal or an exit, by epoch; an exit stands at its epoch's first
   slot, so that there is one place for it (wire.md 7). Method: for each kind the right place, and places beside it. */
static void test_belongs(void **state) {
  (void)state;
  const aq_chain chain = {.clock = {GENESIS, SLOT_NS, 32}};
  for (int type = 1; type < AQ_DUTY_CNT; type++) {
    if (!aq_parsigex_travels((aq_duty_type)type)) continue;
    bool any = type == AQ_DUTY_BUILDER_REGISTRATION, exit = type == AQ_DUTY_EXIT,
         by_epoch = exit || type == AQ_DUTY_RANDAO;
    for (uint64_t slot = 60; slot <= 100; slot++) {
      for (uint64_t at = 60; at <= 100; at++) { /* the object is of slot or epoch `at` */
        aq_signed_data d = {.duty = (aq_duty_type)type, .slot = at, .epoch = at / 32};
        bool want = any || (by_epoch ? slot / 32 == at / 32 && (!exit || slot % 32 == 0) : slot == at);
        if (by_epoch) d.slot = 0;
        assert_int_equal(aq_parsigex_belongs(&chain, (aq_duty){slot, (aq_duty_type)type}, &d), want);
        d.subcommittee = 3;
        if (!any && !by_epoch)
          assert_int_equal(aq_parsigex_belongs(&chain, (aq_duty){slot, (aq_duty_type)type}, &d), want);
        d.subcommittee = 4;
        if (!any && !by_epoch) assert_false(aq_parsigex_belongs(&chain, (aq_duty){slot, (aq_duty_type)type}, &d));
      }
    }
  }
}

/* Goal: what a fork that we learn of makes invalid is not sent again; what it leaves as it is goes on.
   Method: a RANDAO and an exit of the same epoch, then a fork from that epoch or from the next one on, and peers that
   come back. */
static void test_fork_between(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("tss/parsigex.json");
  yyjson_val *all = yyjson_doc_get_root(doc);
  for (uint64_t later = 0; later < 2; later++) {
    fixture f;
    open_px(&f, all);
    uint64_t epoch = 60000;
    f.chain.fork[AQ_FULU].epoch = AQ_FAR_EPOCH;
    at_slot(&f, epoch * 32);
    const aq_duty_type types[] = {AQ_DUTY_RANDAO, AQ_DUTY_EXIT};
    for (size_t i = 0; i < AQ_COUNT(types); i++) {
      uint8_t data = (uint8_t)i;
      aq_parsig p = {.data = aq_bytes_of(&data, 1), .share_idx = f.cfg.self + 1};
      memcpy(p.pubkey, f.validator[1].pubkey, 48);
      aq_parsigex_broadcast(f.px, (aq_duty){epoch * 32, types[i]}, &(aq_parsig_set){&p, 1});
    }
    assert_int_equal(f.sent_cnt, 6);
    for (uint32_t i = 0; i < 5; i++) end_send(&f, i, i == 0 ? AQ_E_CLOSED : AQ_OK);
    f.chain.fork[AQ_FULU].epoch = epoch + later;
    aq_parsigex_again(f.px, f.sent[0].peer);
    fake_env_run_for(&f.env, AQ_MILLIS(1100));
    assert_int_equal(f.sent_cnt, 7 + later);
    assert_bytes(aq_buf_bytes(&f.sent[6 + later].msg), aq_buf_bytes(&f.sent[3].msg));
    close_px(&f);
  }
  yyjson_doc_free(doc);
}

/* Goal: a message for which there is no room, or that cannot be written, is an error and nothing else.
   Method: arenas from nothing up to what is enough, both ways. */
static void test_no_room(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("tss/parsigex.json");
  yyjson_val *all = yyjson_doc_get_root(doc), *v = by_name(all, "attester fulu");
  fixture f;
  open_px(&f, all);
  aq_buf msg = message_of(v), data = aq_test_hex_of(v, "data"), out = AQ_BUF(1 << 16);
  aq_parsig p = {.data = aq_buf_bytes(&data), .share_idx = 2};
  aq_duty duty = {aq_test_u64(v, "duty_slot"), AQ_DUTY_ATTESTER};
  aq_status st = AQ_E_LIMIT;
  memcpy(p.pubkey, f.validator[1].pubkey, 48);
  at_slot(&f, duty.slot);
  for (size_t max = 0; st != AQ_OK; max += 8) {
    aq_parsigex_set set;
    aq_arena a;
    aq_arena_init(&a, max);
    st = aq_parsigex_decode(&set, &a, &f.cfg, &f.keys, 1, aq_buf_bytes(&msg));
    assert_true(st == AQ_OK ? set.cnt == 1 : st == AQ_E_LIMIT || st == AQ_E_FORMAT);
    aq_arena_free(&a);
  }
  st = AQ_E_LIMIT;
  for (size_t max = 0; st != AQ_OK; max += 8) {
    aq_arena a;
    aq_arena_init(&a, max);
    st = aq_parsigex_encode(&out, &a, duty, &(aq_parsig_set){&p, 1});
    assert_true(st == AQ_OK || (st == AQ_E_LIMIT && out.len == 0));
    aq_arena_free(&a);
  }
  aq_buf_free(&msg), aq_buf_free(&data), aq_buf_free(&out);
  close_px(&f);
  yyjson_doc_free(doc);
}

/* Goal: one peer's partials are limited (tss.md 3, doubled), a message costs one more; what is over the budget is not
   even read, and writes one line in ten seconds.
   Method: the same message without end in one moment, then in the next slot; one that does not decode meanwhile. */
static void test_limit(void **state) {
  (void)state;
  yyjson_doc *doc = aq_test_json("tss/parsigex.json");
  yyjson_val *all = yyjson_doc_get_root(doc), *v = by_name(all, "sync message");
  fixture f;
  open_px(&f, all);
  aq_buf msg = message_of(v);
  at_slot(&f, aq_test_u64(v, "duty_slot"));
  g_lines = 0;
  for (int i = 0; i < 2000; i++) hear(&f, 1, aq_buf_bytes(&msg));
  assert_int_equal(f.received, (8 * 2 + 512) / 2);
  hear(&f, 1, aq_bytes_str("junk"));
  assert_int_equal(f.fault, AQ_E_LIMIT);
  assert_int_equal(f.faults, 2001 - f.received);
  assert_int_equal(g_lines, 1);
  fake_env_hold(&f.env, SLOT_NS / 2);
  for (int i = 0; i < 100; i++) hear(&f, 1, aq_buf_bytes(&msg));
  assert_int_equal(f.received, (8 * 2 + 512 + 32) / 2);
  fake_env_hold(&f.env, SLOT_NS);
  for (int i = 0; i < 50; i++) hear(&f, 1, aq_bytes_str("junk"));
  assert_int_equal(f.fault, AQ_E_FORMAT);
  assert_int_equal(g_lines, 2);
  aq_buf_free(&msg);
  close_px(&f);
  yyjson_doc_free(doc);
}

int main(void) {
  aq_log_start(AQ_LOG_WARN, on_line, NULL);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors),   cmocka_unit_test(test_refused),
                                     cmocka_unit_test(test_broadcast), cmocka_unit_test(test_no_room),
                                     cmocka_unit_test(test_limit),     cmocka_unit_test(test_sent_again),
                                     cmocka_unit_test(test_belongs),   cmocka_unit_test(test_fork_between)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
