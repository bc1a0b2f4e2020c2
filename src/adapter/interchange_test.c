/* Interchange files against the rules of EIP-3076 and against stores that hold, or must not hold, what they say. */
#include "adapter/interchange.h"

#include "aq_test.h"
#include "base/hex.h"
#include "codec/json.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char g_dir[64], g_path[96];
static aq_db g_db;

static int remove_one(const char *path, const struct stat *info, int flag, struct FTW *ftw) {
  (void)info, (void)flag, (void)ftw;
  return remove(path);
}

static int setup(void **state) {
  (void)state;
  const char *tmp = getenv("TMPDIR");
  snprintf(g_dir, sizeof g_dir, "%.32s/aequa-eip-XXXXXX", tmp ? tmp : P_tmpdir);
  if (!mkdtemp(g_dir)) return -1;
  snprintf(g_path, sizeof g_path, "%s/aequa.db", g_dir);
  const aq_sqlite_cfg cfg = {.path = g_path, .self = 1};
  assert_int_equal(aq_db_create(g_path, &cfg, 1, NULL), AQ_OK);
  assert_int_equal(aq_db_view(&g_db, g_path, true, NULL), AQ_OK);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  aq_db_close(&g_db);
  return nftw(g_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const aq_interchange_keys any_keys = {.cnt = 0};

/* As a library: no keys to compare with, files without validators are fine. */
static aq_status import_bytes(const uint8_t *root, aq_bytes text, aq_interchange_stats *stats) {
  const aq_interchange_import_cfg cfg = {.root = root, .network = "the test", .force = true};
  return aq_interchange_import(&g_db, &cfg, text, stats, NULL);
}

static aq_status import_text(const uint8_t *root, const char *text) {
  aq_interchange_stats stats;
  return import_bytes(root, aq_bytes_str(text), &stats);
}

static aq_status export_all(const uint8_t *root, aq_buf *out, aq_interchange_stats *stats) {
  return aq_interchange_export(&g_db, root, &any_keys, AQ_KEYS_SHARE, out, stats, NULL);
}

static aq_status sign(const aq_store_sign *s) {
  assert_int_equal(aq_db_run(&g_db, AQ_DB_BEGIN), AQ_OK);
  aq_status st = aq_db_sign(&g_db, s, 1);
  assert_int_equal(aq_db_run(&g_db, AQ_DB_COMMIT), AQ_OK);
  return st;
}

/* A signing attempt of a vector. Without a root each attempt is one of its own. */
static aq_store_sign attempt_of(yyjson_val *v, bool block) {
  static uint32_t next;
  aq_store_sign s = {.kind = AQ_SIGN_PARTIAL};
  s.duty.type = block ? AQ_DUTY_PROPOSER : AQ_DUTY_ATTESTER;
  assert_true(aq_json_hex(v, "pubkey", s.pubkey, sizeof s.pubkey));
  if (!aq_json_hex(v, "signing_root", s.root, sizeof s.root)) {
    s.root[0] = 0xff;
    aq_le32_put(s.root + 1, ++next);
  }
  if (block) {
    s.duty.slot = aq_test_u64(v, "slot");
  } else {
    s.source_epoch = aq_test_u64(v, "source_epoch"), s.target_epoch = aq_test_u64(v, "target_epoch");
    s.duty.slot = s.target_epoch * 32;
  }
  return s;
}

/* What the weakest allowed store permits must be permitted, what even the strongest refuses must be refused. */
static void try_all(const char *name, yyjson_val *list, bool block) {
  size_t i, max;
  yyjson_val *it;
  yyjson_arr_foreach(list, i, max, it) {
    aq_store_sign s = attempt_of(it, block);
    aq_status st = sign(&s);
    bool must = yyjson_get_bool(yyjson_obj_get(it, "should_succeed"));
    bool may = yyjson_get_bool(yyjson_obj_get(it, "should_succeed_complete"));
    if ((must && st != AQ_OK) || (!may && st != AQ_E_SLASH)) {
      fail_msg("%s: %s %zu: %s", name, block ? "block" : "attestation", i, aq_status_name(st));
    }
  }
}

/* Whatever may not be signed in the end, and another root in the place of whatever was. */
static void try_none(const char *name, yyjson_val *list, bool block) {
  size_t i, max;
  yyjson_val *it;
  yyjson_arr_foreach(list, i, max, it) {
    aq_store_sign s = attempt_of(it, block);
    s.root[31] ^= 0x55;
    aq_status st = sign(&s);
    if (st != AQ_E_SLASH)
      fail_msg("%s: after the move, %s %zu: %s", name, block ? "block" : "attestation", i, aq_status_name(st));
  }
}

/* Moves the journal to a new store by way of two files: the second import of the same must change nothing. */
static void move(void **state, const uint8_t *root) {
  aq_interchange_stats stats;
  aq_buf out = AQ_BUF(1 << 20), again = AQ_BUF(1 << 20), twice = AQ_BUF(1 << 20);
  assert_int_equal(export_all(root, &out, &stats), AQ_OK);
  teardown(state), setup(state);
  assert_int_equal(import_bytes(root, aq_buf_bytes(&out), &stats), AQ_OK);
  assert_int_equal(export_all(NULL, &again, &stats), AQ_OK);
  assert_int_equal(import_bytes(root, aq_buf_bytes(&again), &stats), AQ_OK);
  assert_int_equal(export_all(NULL, &twice, &stats), AQ_OK);
  assert_bytes(aq_buf_bytes(&twice), aq_buf_bytes(&again));
  aq_buf_free(&out), aq_buf_free(&again), aq_buf_free(&twice);
}

/* Goal: imports and the signings after them follow EIP-3076, and an export to another store loses nothing of it.
   Method: the interchange tests v5.3.0, each in a new database; then the journal is moved and all is tried again with
   other roots. */
static void test_vectors(void **state) {
  yyjson_doc *doc = aq_test_json("adapter/interchange.json");
  size_t i, max, j, steps;
  yyjson_val *test, *step;
  size_t ran = 0;
  yyjson_arr_foreach(yyjson_doc_get_root(doc), i, max, test) {
    uint8_t root[32];
    const char *name = aq_test_str(test, "name");
    assert_true(aq_json_hex(test, "genesis_validators_root", root, sizeof root));
    yyjson_arr_foreach(yyjson_obj_get(test, "steps"), j, steps, step) {
      aq_interchange_stats stats;
      size_t len;
      char *text = yyjson_val_write(yyjson_obj_get(step, "interchange"), 0, &len);
      aq_status st = import_bytes(root, aq_bytes_of(text, len), &stats);
      free(text);
      if ((st == AQ_OK) != yyjson_get_bool(yyjson_obj_get(step, "should_succeed"))) {
        fail_msg("%s: step %zu: import %s", name, j, aq_status_name(st));
      }
      try_all(name, yyjson_obj_get(step, "blocks"), true);
      try_all(name, yyjson_obj_get(step, "attestations"), false);
      ran++;
    }
    move(state, root);
    yyjson_arr_foreach(yyjson_obj_get(test, "steps"), j, steps, step) {
      try_none(name, yyjson_obj_get(step, "blocks"), true);
      try_none(name, yyjson_obj_get(step, "attestations"), false);
    }
    teardown(state), setup(state);
  }
  assert_true(ran > 40);
  yyjson_doc_free(doc);
}

/* Goal: an export holds all that was signed and forbids the same in another store.
   Method: signatures of both kinds and an imported watermark; the file is compared, imported elsewhere, and tried. */
static void test_round_trip(void **state) {
  uint8_t root[32] = {0xab};
  aq_store_sign a = {AQ_SIGN_PARTIAL, {1}, {64, AQ_DUTY_ATTESTER}, 0, {0x11}, 1, 2, {NULL, 0}}, b = a, c = a;
  b.kind = AQ_SIGN_GROUP;
  c.duty = (aq_duty){65, AQ_DUTY_PROPOSER}, c.root[0] = 0x22, c.source_epoch = c.target_epoch = 0;
  assert_int_equal(sign(&a) | sign(&b) | sign(&c), AQ_OK);
  aq_buf out = AQ_BUF(1 << 20);
  aq_interchange_stats stats;
  assert_int_equal(export_all(NULL, &out, &stats), AQ_E_NOTFOUND);
  assert_int_equal(export_all(root, &out, &stats), AQ_OK);
  assert_int_equal(stats.validators, 1);
  assert_int_equal(stats.blocks, 1);
  assert_int_equal(stats.attestations, 1);
  assert_non_null(strstr(aq_buf_cstr(&out), "\"signed_blocks\":[{\"slot\":\"65\",\"signing_root\":\"0x2200"));
  assert_non_null(
      strstr(aq_buf_cstr(&out), "{\"source_epoch\":\"1\",\"target_epoch\":\"2\",\"signing_root\":\"0x1100"));
  teardown(state), setup(state);
  assert_int_equal(import_bytes(NULL, aq_buf_bytes(&out), &stats), AQ_OK);
  assert_int_equal(stats.validators, 1);
  a.root[0] = 0x33, c.root[0] = 0x33;
  assert_int_equal(sign(&a), AQ_E_SLASH);
  assert_int_equal(sign(&c), AQ_E_SLASH);
  aq_buf again = AQ_BUF(1 << 20);
  assert_int_equal(export_all(NULL, &again, &stats), AQ_OK);
  assert_non_null(strstr(aq_buf_cstr(&again), "\"signed_blocks\":[{\"slot\":\"65\"}]"));
  assert_non_null(strstr(aq_buf_cstr(&again), "[{\"source_epoch\":\"1\",\"target_epoch\":\"2\"}]"));
  aq_buf_free(&out), aq_buf_free(&again);
}

/* Goal: a file that is not whole changes nothing.
   Method: malformed entries behind a good one; other versions; another network after the first import. */
static void test_malformed(void **state) {
  (void)state;
  static const char head[] =
      "{\"metadata\":{\"interchange_format_version\":\"5\",\"genesis_validators_root\":\"0x"
      "0000000000000000000000000000000000000000000000000000000000000001\"},\"data\":[";
  static const char good[] =
      "{\"pubkey\":\"0x0100000000000000000000000000000000000000000000000000000000000000000000000000"
      "00000000000000000000\",\"signed_blocks\":[{\"slot\":\"9\"}],\"signed_attestations\":[]}";
  static const char *const bad[] = {"{}", "{\"pubkey\":\"0x01\",\"signed_blocks\":[],\"signed_attestations\":[]}", "1",
                                    "null"};
  char text[2048];
  for (size_t i = 0; i < AQ_COUNT(bad); i++) {
    snprintf(text, sizeof text, "%s%s,%s]}", head, good, bad[i]);
    assert_int_equal(import_text(NULL, text), AQ_E_FORMAT);
  }
  assert_int_equal(import_text(NULL, "{"), AQ_E_FORMAT);
  assert_int_equal(import_text(NULL, "{\"metadata\":{\"interchange_format_version\":\"4\"},\"data\":[]}"), AQ_E_FORMAT);
  static const struct {
    const char *metadata;
    aq_status st;
  } version[] = {{"\"interchange_format_version\":\"4\",\"interchange_format\":\"complete\"", AQ_OK},
                 {"\"interchange_format_version\":\"4\",\"interchange_format\":\"minimal\"", AQ_E_FORMAT},
                 {"\"interchange_format_version\":\"4\"", AQ_E_FORMAT},
                 {"\"interchange_format_version\":\"6\",\"interchange_format\":\"complete\"", AQ_E_FORMAT}};
  for (size_t i = 0; i < AQ_COUNT(version); i++) {
    snprintf(text, sizeof text, "{\"metadata\":{%s,\"genesis_validators_root\":\"0x%064d\"},\"data\":[]}",
             version[i].metadata, 1);
    assert_int_equal(import_text(NULL, text), version[i].st);
  }
  const aq_store_sign s = {AQ_SIGN_PARTIAL, {1}, {5, AQ_DUTY_PROPOSER}, 0, {1}, 0, 0, {NULL, 0}};
  assert_int_equal(sign(&s), AQ_OK);
  snprintf(text, sizeof text, "%s%s]}", head, good);
  uint8_t other[32] = {7};
  assert_int_equal(import_text(other, text), AQ_E_UNKNOWN);
  assert_int_equal(import_text(NULL, text), AQ_OK);
  strchr(text, 'x')[1] = '1';
  assert_int_equal(import_text(NULL, text), AQ_E_UNKNOWN);
}

/* ---- two names of a validator ---- */

enum { PAIRS = 3 };

static void pairs_of(aq_key_pair pair[PAIRS]) {
  memset(pair, 0, PAIRS * sizeof *pair);
  for (uint8_t i = 0; i < PAIRS; i++) pair[i].share[0] = (uint8_t)(0x10 + i), pair[i].group[0] = (uint8_t)(0xa0 + i);
}

static void text_of(char out[4096], const uint8_t root, const uint8_t (*key)[48], size_t cnt) {
  size_t len =
      (size_t)snprintf(out, 4096,
                       "{\"metadata\":{\"interchange_format_version\":\"5\",\"genesis_validators_root\":\"0x%02x"
                       "00000000000000000000000000000000000000000000000000000000000000\"},\"data\":[",
                       root);
  for (size_t i = 0; i < cnt; i++) {
    char hex[97];
    aq_hex_encode(hex, aq_bytes_of(key[i], 48));
    len += (size_t)snprintf(out + len, 4096 - len,
                            "%s{\"pubkey\":\"0x%s\",\"signed_blocks\":[{\"slot\":\"90\"}],\"signed_attestations\":"
                            "[{\"source_epoch\":\"8\",\"target_epoch\":\"9\"}]}",
                            i ? "," : "", hex);
  }
  snprintf(out + len, 4096 - len, "]}");
}

static aq_status sign_as(const uint8_t key[48], aq_sign_kind kind, uint64_t target) {
  aq_store_sign s = {.kind = kind,
                     .duty = {target * 32, AQ_DUTY_ATTESTER},
                     .root = {(uint8_t)target},
                     .source_epoch = target - 1,
                     .target_epoch = target};
  memcpy(s.pubkey, key, 48);
  return sign(&s);
}

/* Goal: what a client signed with its shares binds the node's journal of groups, and the reverse; whichever of its
   names a file uses.
   Method: files of shares, of groups and of both into both kinds of journal; what the file forbids is refused under the
   journal's name, the next target is not, and a validator of no file is free. */
static void test_names(void **state) {
  aq_key_pair pair[PAIRS];
  char text[4096];
  pairs_of(pair);
  for (int journal = AQ_KEYS_SHARE; journal <= AQ_KEYS_GROUP; journal++) {
    for (int file = 0; file < 3; file++) {
      aq_interchange_stats stats;
      uint8_t key[2][48];
      memcpy(key[0], file == 1 ? pair[0].group : pair[0].share, 48);
      memcpy(key[1], file == 0 ? pair[1].share : pair[1].group, 48);
      text_of(text, 1, (const uint8_t(*)[48])key, 2);
      const aq_interchange_import_cfg cfg = {.network = "", .keys = {pair, PAIRS, (aq_key_kind)journal}};
      assert_int_equal(aq_interchange_import(&g_db, &cfg, aq_bytes_str(text), &stats, NULL), AQ_OK);
      assert_true(stats.validators == 2 && stats.known == 2 && stats.absent == 1);
      for (int i = 0; i < PAIRS; i++) {
        const uint8_t *name = journal == AQ_KEYS_SHARE ? pair[i].share : pair[i].group;
        for (int kind = AQ_SIGN_PARTIAL; kind <= AQ_SIGN_GROUP; kind++) {
          assert_int_equal(sign_as(name, (aq_sign_kind)kind, 9), i < 2 ? AQ_E_SLASH : AQ_OK);
          assert_int_equal(sign_as(name, (aq_sign_kind)kind, 10), AQ_OK);
        }
      }
      teardown(state), setup(state);
    }
  }
}

/* Goal: an export names what is asked for, one entry a validator, also when the journal has both of its names.
   Method: a node's journal with records of a group, of its share and of a stranger; each kind of export, then into a
   client's journal, which refuses the same. */
static void test_export_names(void **state) {
  aq_key_pair pair[PAIRS];
  uint8_t root[32] = {1}, stranger[48] = {0x77};
  pairs_of(pair);
  const aq_interchange_keys node = {pair, PAIRS, AQ_KEYS_GROUP};
  assert_int_equal(sign_as(pair[0].group, AQ_SIGN_PARTIAL, 5), AQ_OK);
  assert_int_equal(sign_as(pair[0].share, AQ_SIGN_PARTIAL, 6), AQ_OK);
  assert_int_equal(sign_as(stranger, AQ_SIGN_GROUP, 7), AQ_OK);
  aq_buf out[2] = {AQ_BUF(1 << 16), AQ_BUF(1 << 16)};
  for (int as = AQ_KEYS_SHARE; as <= AQ_KEYS_GROUP; as++) {
    aq_interchange_stats stats;
    char hex[97], want[128];
    assert_int_equal(aq_interchange_export(&g_db, root, &node, (aq_key_kind)as, &out[as], &stats, NULL), AQ_OK);
    assert_true(stats.validators == 2 && stats.known == 1 && stats.attestations == 3);
    aq_hex_encode(hex, aq_bytes_of(as == AQ_KEYS_SHARE ? pair[0].share : pair[0].group, 48));
    snprintf(want, sizeof want, "\"pubkey\":\"0x%s\"", hex);
    const char *at = strstr(aq_buf_cstr(&out[as]), want);
    assert_non_null(at);
    assert_null(strstr(at + 1, want));
    aq_hex_encode(hex, aq_bytes_of(as == AQ_KEYS_SHARE ? pair[0].group : pair[0].share, 48));
    assert_null(strstr(aq_buf_cstr(&out[as]), hex));
  }
  teardown(state), setup(state);
  aq_interchange_stats stats;
  const aq_interchange_import_cfg client = {.root = root, .network = "", .keys = {pair, PAIRS, AQ_KEYS_SHARE}};
  assert_int_equal(aq_interchange_import(&g_db, &client, aq_buf_bytes(&out[0]), &stats, NULL), AQ_OK);
  assert_int_equal(sign_as(pair[0].share, AQ_SIGN_PARTIAL, 5), AQ_E_SLASH);
  assert_int_equal(sign_as(pair[0].share, AQ_SIGN_PARTIAL, 6), AQ_E_SLASH);
  assert_int_equal(sign_as(pair[0].share, AQ_SIGN_PARTIAL, 7), AQ_OK);
  aq_buf_free(&out[0]), aq_buf_free(&out[1]);
}

/* Goal: a file that would protect nothing is refused unless it is forced, and the text says what to do.
   Method: only strangers; nobody at all; the other kind than --keys allows; no keys known, which takes all. */
static void test_fits_nothing(void **state) {
  aq_key_pair pair[PAIRS];
  uint8_t stranger[1][48] = {{0x77}}, group[1][48];
  char text[4096];
  pairs_of(pair);
  memcpy(group[0], pair[1].group, 48);
  const struct {
    const uint8_t (*key)[48];
    size_t cnt;
    bool only_shares, only_groups, force, no_keys;
    aq_status st;
  } row[] = {{(const uint8_t(*)[48])stranger, 1, false, false, false, false, AQ_E_NOTFOUND},
             {(const uint8_t(*)[48])stranger, 1, false, false, true, false, AQ_OK},
             {(const uint8_t(*)[48])stranger, 1, false, false, false, true, AQ_OK},
             {(const uint8_t(*)[48])stranger, 0, false, false, false, false, AQ_E_NOTFOUND},
             {(const uint8_t(*)[48])stranger, 0, false, false, false, true, AQ_E_NOTFOUND},
             {(const uint8_t(*)[48])stranger, 0, false, false, true, false, AQ_OK},
             {(const uint8_t(*)[48])group, 1, true, false, false, false, AQ_E_NOTFOUND},
             {(const uint8_t(*)[48])group, 1, false, true, false, false, AQ_OK}};
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    aq_interchange_stats stats;
    aq_err err = {AQ_OK, ""};
    text_of(text, 1, row[i].key, row[i].cnt);
    const aq_interchange_import_cfg cfg = {.network = "",
                                           .keys = {pair, row[i].no_keys ? 0 : PAIRS, AQ_KEYS_GROUP},
                                           .only_shares = row[i].only_shares,
                                           .only_groups = row[i].only_groups,
                                           .force = row[i].force};
    assert_int_equal(aq_interchange_import(&g_db, &cfg, aq_bytes_str(text), &stats, &err), row[i].st);
    if (row[i].st != AQ_OK) assert_non_null(strstr(err.text, "--force"));
    if (row[i].only_shares) assert_non_null(strstr(err.text, "--keys"));
    aq_buf out = AQ_BUF(1 << 16);
    aq_status st = export_all(NULL, &out, &stats);
    assert_int_equal(st, row[i].st == AQ_OK ? AQ_OK : AQ_E_NOTFOUND); /* refused: nothing is recorded */
    aq_buf_free(&out);
    teardown(state), setup(state);
  }
}

/* Goal: a journal is of one chain. A beacon node's word stands; what only a file said gives way to what is known, and
   bars nothing else.
   Method: files of chains 1 and 2, with and without knowing which is right, before and after a beacon node says. */
static void test_chain(void **state) {
  static const uint8_t key[1][48] = {{0x10}}, other[1][48] = {{0x11}}, one[32] = {1}, two[32] = {2};
  char first[4096], second[4096];
  uint8_t root[32];
  bool proven;
  aq_err err = {AQ_OK, ""};
  text_of(first, 1, key, 1), text_of(second, 2, key, 1);
  assert_int_equal(aq_db_chain_get(&g_db, root, &proven), AQ_E_NOTFOUND);
  assert_int_equal(import_text(two, first), AQ_E_UNKNOWN);
  assert_int_equal(aq_db_chain_get(&g_db, root, &proven), AQ_E_NOTFOUND);
  assert_int_equal(import_text(NULL, first), AQ_OK);
  assert_int_equal(import_text(NULL, second), AQ_E_UNKNOWN); /* which of the two is right? */
  assert_int_equal(aq_db_chain_pin(&g_db, two, &err), AQ_E_UNKNOWN);
  assert_non_null(strstr(err.text, "import the right file"));
  assert_int_equal(sign_as(key[0], AQ_SIGN_PARTIAL, 9), AQ_E_SLASH);
  text_of(second, 2, other, 1);
  assert_int_equal(import_text(two, second), AQ_OK); /* the wrong file did not bar the right one */
  assert_int_equal(sign_as(other[0], AQ_SIGN_PARTIAL, 9), AQ_E_SLASH);
  assert_int_equal(sign_as(key[0], AQ_SIGN_PARTIAL, 9), AQ_OK); /* nor the validator */
  text_of(second, 2, key, 1);
  assert_true(aq_db_chain_get(&g_db, root, &proven) == AQ_OK && root[0] == 2 && !proven);
  assert_int_equal(aq_db_chain_pin(&g_db, two, NULL), AQ_OK);
  assert_true(aq_db_chain_get(&g_db, root, &proven) == AQ_OK && root[0] == 2 && proven);
  assert_int_equal(import_text(one, first), AQ_E_UNKNOWN); /* not even when it is said */
  assert_int_equal(import_text(NULL, first), AQ_E_UNKNOWN);
  assert_int_equal(import_text(NULL, second), AQ_OK);
  assert_true(aq_db_chain_get(&g_db, root, &proven) == AQ_OK && root[0] == 2 && proven);
  assert_int_equal(aq_db_chain_pin(&g_db, one, &err), AQ_E_UNKNOWN);
  assert_non_null(strstr(err.text, "give it the right one"));
  assert_int_equal(aq_db_chain_pin(&g_db, two, NULL), AQ_OK);
  aq_buf out = AQ_BUF(1 << 16);
  aq_interchange_stats stats;
  assert_int_equal(export_all(one, &out, &stats), AQ_E_UNKNOWN);
  assert_int_equal(export_all(two, &out, &stats), AQ_OK);
  aq_buf_free(&out);
  teardown(state), setup(state);
  assert_int_equal(sign_as(other[0], AQ_SIGN_PARTIAL, 20), AQ_OK); /* a journal of before chains were recorded */
  assert_int_equal(import_text(NULL, first), AQ_OK);
  assert_int_equal(import_text(two, second), AQ_OK);
  assert_int_equal(sign_as(key[0], AQ_SIGN_PARTIAL, 9), AQ_E_SLASH); /* whose watermarks these are is not known: kept */
  assert_int_equal(sign_as(other[0], AQ_SIGN_PARTIAL, 20 - 1), AQ_OK);
  teardown(state), setup(state);
  assert_int_equal(aq_db_chain_pin(&g_db, one, NULL), AQ_OK); /* nothing recorded before */
  assert_true(aq_db_chain_get(&g_db, root, &proven) == AQ_OK && root[0] == 1 && proven);
}

/* Goal: a check costs the same after a year as after a day: old records become watermarks, which forbid as much.
   Method: a year of one validator's votes, pruned as the client does; rows are counted, and the steps of SQLite's
   machine for one more signature compared with those of a week's journal. */
static int signature_steps(uint32_t epochs) {
  static const uint8_t key[48] = {0x10};
  for (uint64_t e = 1; e <= epochs; e++) {
    assert_int_equal(sign_as(key, AQ_SIGN_PARTIAL, e), AQ_OK);
    if (e % 225 == 0 || e == epochs) { /* the client prunes each epoch, in fewer steps here */
      assert_int_equal(aq_db_run(&g_db, AQ_DB_BEGIN), AQ_OK);
      assert_int_equal(aq_db_prune(&g_db, e * 32), AQ_OK);
      assert_int_equal(aq_db_run(&g_db, AQ_DB_COMMIT), AQ_OK);
    }
  }
  assert_int_equal(sign_as(key, AQ_SIGN_PARTIAL, epochs / 2), AQ_E_SLASH); /* long gone, still forbidden */
  sqlite3_stmt *s = g_db.stmt[AQ_DB_ATTESTATIONS];
  sqlite3_stmt_status(s, SQLITE_STMTSTATUS_VM_STEP, 1);
  assert_int_equal(sign_as(key, AQ_SIGN_PARTIAL, epochs + 1), AQ_OK);
  return sqlite3_stmt_status(s, SQLITE_STMTSTATUS_VM_STEP, 1);
}

static void test_year(void **state) {
  enum { WEEK = 1575, YEAR = 82125, ROWS_MAX = (AQ_DB_JOURNAL_SLOTS + AQ_DB_JOURNAL_SLOTS / 4) / 32 + 2 };
  assert_int_equal(sqlite3_exec(g_db.h, "PRAGMA synchronous=OFF", NULL, NULL, NULL), SQLITE_OK);
  int week = signature_steps(WEEK);
  teardown(state), setup(state);
  assert_int_equal(sqlite3_exec(g_db.h, "PRAGMA synchronous=OFF", NULL, NULL, NULL), SQLITE_OK);
  int year = signature_steps(YEAR);
  aq_buf out = AQ_BUF(1 << 16);
  assert_int_equal(aq_db_check(&g_db, &out), AQ_OK);
  const char *rows = strstr(aq_buf_cstr(&out), "sign: ");
  assert_non_null(rows);
  assert_true(strtol(rows + 6, NULL, 10) <= ROWS_MAX);
  assert_true(week > 0 && year <= week + week / 4);
  aq_buf_free(&out);
}

typedef struct {
  size_t lines;
  aq_buf text;
} dump;

static void take_line(void *arg, aq_bytes line) {
  dump *d = arg;
  yyjson_doc *doc = aq_json_parse(line, 1 << 20, NULL);
  assert_non_null(doc);
  assert_non_null(aq_json_str(yyjson_doc_get_root(doc), "table"));
  yyjson_doc_free(doc);
  d->lines++;
  aq_buf_put_bytes(&d->text, line);
}

/* Goal: the reports count what is there, every line of the dump is JSON and has all bytes of what is short; a store
   that is used or missing is refused.
   Method: one signature, votes with messages of each length up to a long one; a second view for writing. */
static void test_reports(void **state) {
  (void)state;
  static const char long_text[200] = "\0binary";
  const aq_store_sign s = {AQ_SIGN_PARTIAL, {1}, {5, AQ_DUTY_PROPOSER}, 0, {1}, 0, 0, {NULL, 0}};
  assert_int_equal(sign(&s), AQ_OK);
  static const size_t len[] = {0, 1, 2, 64, 65, sizeof long_text};
  for (size_t i = 0; i < AQ_COUNT(len); i++) {
    const aq_store_vote v = {
        .duty = {5, AQ_DUTY_ATTESTER}, .msg_type = 2, .round = 1 + i, .msg = {(const uint8_t *)long_text, len[i]}};
    assert_int_equal(aq_db_vote(&g_db, &v, NULL), AQ_OK);
  }
  assert_int_equal(aq_db_peer(&g_db, 1, "say \"hi\":1"), AQ_OK);
  aq_buf out = AQ_BUF(1 << 16);
  assert_int_equal(aq_db_check(&g_db, &out), AQ_OK);
  assert_string_equal(aq_buf_cstr(&out), "vote: 6\nblob: 0\ndecided: 0\nsign: 1\nmark: 0\npeer: 1\n");
  aq_buf_free(&out);
  dump d = {.text = AQ_BUF(1 << 16)};
  assert_int_equal(aq_db_dump(&g_db, take_line, &d), AQ_OK);
  assert_int_equal(d.lines, 4 + 2 + AQ_COUNT(len));
  for (size_t i = 0; i < AQ_COUNT(len); i++) {
    aq_buf want = AQ_BUF(256);
    if (len[i] > 64) {
      aq_buf_printf(&want, "\"msg\":\"%zu bytes\"", len[i]);
    } else {
      aq_buf_put_str(&want, "\"msg\":\"0x");
      aq_buf_put_hex(&want, aq_bytes_of((const uint8_t *)long_text, len[i]));
      aq_buf_put_str(&want, "\"");
    }
    assert_non_null(strstr(aq_buf_cstr(&d.text), aq_buf_cstr(&want)));
    aq_buf_free(&want);
  }
  aq_buf_free(&d.text);
  aq_db other;
  assert_int_equal(aq_db_view(&other, g_path, true, NULL), AQ_E_EXISTS);
  assert_int_equal(aq_db_view(&other, g_path, false, NULL), AQ_OK);
  aq_db_close(&other);
  assert_int_equal(aq_db_view(&other, "no/such/file", false, NULL), AQ_E_NOTFOUND);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {T(test_vectors), T(test_round_trip),   T(test_malformed),
                                     T(test_names),   T(test_export_names), T(test_fits_nothing),
                                     T(test_chain),   T(test_year),         T(test_reports)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
