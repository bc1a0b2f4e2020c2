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

static aq_status import_text(const uint8_t *root, const char *text) {
  aq_interchange_stats stats;
  return aq_interchange_import(&g_db, root, aq_bytes_str(text), &stats, NULL);
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
  assert_int_equal(aq_interchange_export(&g_db, root, &out, &stats, NULL), AQ_OK);
  teardown(state), setup(state);
  assert_int_equal(aq_interchange_import(&g_db, root, aq_buf_bytes(&out), &stats, NULL), AQ_OK);
  assert_int_equal(aq_interchange_export(&g_db, NULL, &again, &stats, NULL), AQ_OK);
  assert_int_equal(aq_interchange_import(&g_db, root, aq_buf_bytes(&again), &stats, NULL), AQ_OK);
  assert_int_equal(aq_interchange_export(&g_db, NULL, &twice, &stats, NULL), AQ_OK);
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
      aq_status st = aq_interchange_import(&g_db, root, aq_bytes_of(text, len), &stats, NULL);
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
  aq_store_sign a = {AQ_SIGN_PARTIAL, {1}, {64, AQ_DUTY_ATTESTER}, 0, {0x11}, 1, 2}, b = a, c = a;
  b.kind = AQ_SIGN_GROUP;
  c.duty = (aq_duty){65, AQ_DUTY_PROPOSER}, c.root[0] = 0x22, c.source_epoch = c.target_epoch = 0;
  assert_int_equal(sign(&a) | sign(&b) | sign(&c), AQ_OK);
  aq_buf out = AQ_BUF(1 << 20);
  aq_interchange_stats stats;
  assert_int_equal(aq_interchange_export(&g_db, NULL, &out, &stats, NULL), AQ_E_NOTFOUND);
  assert_int_equal(aq_interchange_export(&g_db, root, &out, &stats, NULL), AQ_OK);
  assert_int_equal(stats.validators, 1);
  assert_int_equal(stats.blocks, 1);
  assert_int_equal(stats.attestations, 1);
  assert_non_null(strstr(aq_buf_cstr(&out), "\"signed_blocks\":[{\"slot\":\"65\",\"signing_root\":\"0x2200"));
  assert_non_null(
      strstr(aq_buf_cstr(&out), "{\"source_epoch\":\"1\",\"target_epoch\":\"2\",\"signing_root\":\"0x1100"));
  teardown(state), setup(state);
  assert_int_equal(aq_interchange_import(&g_db, NULL, aq_buf_bytes(&out), &stats, NULL), AQ_OK);
  assert_int_equal(stats.validators, 1);
  a.root[0] = 0x33, c.root[0] = 0x33;
  assert_int_equal(sign(&a), AQ_E_SLASH);
  assert_int_equal(sign(&c), AQ_E_SLASH);
  aq_buf again = AQ_BUF(1 << 20);
  assert_int_equal(aq_interchange_export(&g_db, NULL, &again, &stats, NULL), AQ_OK);
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
  const aq_store_sign s = {AQ_SIGN_PARTIAL, {1}, {5, AQ_DUTY_PROPOSER}, 0, {1}, 0, 0};
  assert_int_equal(sign(&s), AQ_OK);
  snprintf(text, sizeof text, "%s%s]}", head, good);
  uint8_t other[32] = {7};
  assert_int_equal(import_text(other, text), AQ_E_UNKNOWN);
  assert_int_equal(import_text(NULL, text), AQ_OK);
  strchr(text, 'x')[1] = '1';
  assert_int_equal(import_text(NULL, text), AQ_E_UNKNOWN);
}

static void count_line(void *arg, aq_bytes line) {
  yyjson_doc *doc = aq_json_parse(line, 1 << 20, NULL);
  assert_non_null(doc);
  assert_non_null(aq_json_str(yyjson_doc_get_root(doc), "table"));
  yyjson_doc_free(doc);
  ++*(size_t *)arg;
}

/* Goal: the reports count what is there, every line of the dump is JSON; a store that is used or missing is refused.
   Method: one signature and one vote with a long message; a second view for writing. */
static void test_reports(void **state) {
  (void)state;
  static const char long_text[200] = "\0binary";
  const aq_store_sign s = {AQ_SIGN_PARTIAL, {1}, {5, AQ_DUTY_PROPOSER}, 0, {1}, 0, 0};
  const aq_store_vote v = {
      .duty = {5, AQ_DUTY_ATTESTER}, .msg_type = 2, .round = 1, .msg = {(const uint8_t *)long_text, sizeof long_text}};
  assert_int_equal(sign(&s), AQ_OK);
  assert_int_equal(aq_db_vote(&g_db, &v, NULL), AQ_OK);
  assert_int_equal(aq_db_peer(&g_db, 1, "say \"hi\":1"), AQ_OK);
  aq_buf out = AQ_BUF(1 << 16);
  assert_int_equal(aq_db_check(&g_db, &out), AQ_OK);
  assert_string_equal(aq_buf_cstr(&out), "vote: 1\nblob: 0\ndecided: 0\nsign: 1\nmark: 0\npeer: 1\n");
  aq_buf_free(&out);
  size_t lines = 0;
  assert_int_equal(aq_db_dump(&g_db, count_line, &lines), AQ_OK);
  assert_int_equal(lines, 4 + 3);
  aq_db other;
  assert_int_equal(aq_db_view(&other, g_path, true, NULL), AQ_E_EXISTS);
  assert_int_equal(aq_db_view(&other, g_path, false, NULL), AQ_OK);
  aq_db_close(&other);
  assert_int_equal(aq_db_view(&other, "no/such/file", false, NULL), AQ_E_NOTFOUND);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {T(test_vectors), T(test_round_trip), T(test_malformed), T(test_reports)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
