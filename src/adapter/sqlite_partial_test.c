/* Partial signatures that a client was told are taken: kept, found again, gone in time. */
#include "fake/store_dir.h"

/* The bytes of partial signatures: on the disk with their record, as long as they may be of use. */

static aq_store_sign record(uint8_t validator, aq_duty duty, uint32_t sub, uint8_t root, const char *partial) {
  aq_store_sign s = {.kind = AQ_SIGN_PARTIAL, .pubkey = {validator}, .duty = duty, .sub = sub, .root = {root}};
  s.partial = aq_bytes_str(partial);
  if (duty.type == AQ_DUTY_ATTESTER) s.source_epoch = duty.slot / 32, s.target_epoch = duty.slot / 32 + 1;
  return s;
}

/* The caller's bytes are gone when the call returns. */
static aq_status sign(const aq_store_sign *s, uint32_t cnt) {
  aq_status st = AQ_E_AGAIN;
  aq_store_sign own[4];
  char bytes[4][16];
  assert_true(cnt <= AQ_COUNT(own));
  for (uint32_t i = 0; i < cnt; i++) {
    assert_true(s[i].partial.len <= sizeof bytes[i]);
    memcpy(bytes[i], s[i].partial.ptr, s[i].partial.len);
    own[i] = s[i], own[i].partial.ptr = (const uint8_t *)bytes[i];
  }
  g_port->sign(g_port->ctx, own, cnt, on_answer, &st);
  memset(bytes, 'x', sizeof bytes);
  flush();
  return st;
}

static aq_status sign_one(uint8_t validator, uint64_t slot, aq_duty_type type, uint8_t root, const char *partial) {
  const aq_store_sign s = record(validator, (aq_duty){slot, type}, 0, root, partial);
  return sign(&s, 1);
}

static void see(void *arg, const aq_store_partial *p) {
  aq_buf_printf(arg, "%s/%llu/%u/%u:%.*s;", aq_duty_name(p->duty.type), (unsigned long long)p->duty.slot, p->pubkey[0],
                (unsigned)p->sub, (int)p->partial.len, (const char *)p->partial.ptr);
}

static void expect(uint64_t from_slot, const char *want) {
  aq_buf text = AQ_BUF(1 << 16);
  const aq_store_visitor v = {.arg = &text, .partial = see};
  assert_int_equal(g_port->load(g_port->ctx, from_slot, &v), AQ_OK);
  assert_string_equal(aq_buf_cstr(&text), want);
  aq_buf_free(&text);
}

/* Goal: what was acknowledged is there after a restart, of each validator, duty and subcommittee; nothing without its
   record, and never a second one. Method: records in a set, a repetition with other bytes, refused ones alone and in a
   set. */
static void test_with_its_record(void **state) {
  (void)state;
  const aq_duty selection = {40, AQ_DUTY_PREPARE_SYNC_CONTRIBUTION};
  const aq_store_sign set[] = {record(1, selection, 0, 1, "s0"), record(1, selection, 3, 2, "s3"),
                               record(2, selection, 0, 3, "t"), record(2, (aq_duty){41, AQ_DUTY_RANDAO}, 0, 4, "")};
  assert_int_equal(sign(set, 4), AQ_OK);
  assert_int_equal(sign_one(1, 64, AQ_DUTY_ATTESTER, 1, "one"), AQ_OK);
  assert_int_equal(sign_one(1, 64, AQ_DUTY_ATTESTER, 1, "two"), AQ_OK);
  assert_int_equal(sign_one(1, 64, AQ_DUTY_ATTESTER, 2, "bad"), AQ_E_SLASH);
  const aq_store_sign mixed[] = {record(3, (aq_duty){64, AQ_DUTY_ATTESTER}, 0, 1, "good"),
                                 record(1, (aq_duty){64, AQ_DUTY_ATTESTER}, 0, 2, "bad")};
  assert_int_equal(sign(mixed, 2), AQ_E_SLASH);
  static const char want[] =
      "prepare_sync_contribution/40/1/0:s0;prepare_sync_contribution/40/1/3:s3;prepare_sync_contribution/40/2/0:t;"
      "attester/64/1/0:one;";
  expect(0, want);
  reopen();
  expect(0, want);
  expect(41, "attester/64/1/0:one;");
}

/* Goal: a record of before brings its bytes with a repetition. Method: as an earlier version left it. */
static void test_later(void **state) {
  (void)state;
  assert_int_equal(sign_one(1, 64, AQ_DUTY_ATTESTER, 1, ""), AQ_OK);
  expect(0, "");
  assert_int_equal(sign_one(1, 64, AQ_DUTY_ATTESTER, 1, "one"), AQ_OK);
  reopen();
  expect(0, "attester/64/1/0:one;");
}

/* Goal: they do not pile up: they go with the votes, but exits, which have no deadline, when they are done. The records
   stay. Method: a prune beyond and within what is kept; `over` of one exit. */
static void test_prune(void **state) {
  (void)state;
  const aq_store_vote newest = {.duty = {1000, AQ_DUTY_ATTESTER}, .msg_type = 2, .round = 1};
  assert_int_equal(sign_one(1, 800, AQ_DUTY_ATTESTER, 1, "old"), AQ_OK);
  assert_int_equal(sign_one(1, 903, AQ_DUTY_RANDAO, 1, "older"), AQ_OK);
  assert_int_equal(sign_one(1, 904, AQ_DUTY_RANDAO, 1, "kept"), AQ_OK);
  assert_int_equal(sign_one(1, 32, AQ_DUTY_EXIT, 1, "exit"), AQ_OK);
  assert_int_equal(sign_one(2, 32, AQ_DUTY_EXIT, 1, "exit"), AQ_OK);
  g_port->vote(g_port->ctx, &newest, NULL, NULL, NULL);
  g_port->prune(g_port->ctx, UINT64_C(1) << 40);
  flush();
  expect(0, "exit/32/1/0:exit;exit/32/2/0:exit;randao/904/1/0:kept;");
  expect(950, "exit/32/1/0:exit;exit/32/2/0:exit;");
  g_port->over(g_port->ctx, (const uint8_t[48]){1}, (aq_duty){32, AQ_DUTY_EXIT});
  flush();
  reopen();
  expect(0, "exit/32/2/0:exit;randao/904/1/0:kept;");
  assert_int_equal(sign_one(1, 800, AQ_DUTY_ATTESTER, 2, "x"), AQ_E_SLASH);
  assert_int_equal(sign_one(1, 32, AQ_DUTY_EXIT, 2, "x"), AQ_E_SLASH);
}

/* Goal: the store of an earlier version is taken as it is, and keeps them from then on; its backup too. Method: the
   table is dropped from a database with a record, which its version of the schema does not tell. */
static void test_earlier_version(void **state) {
  (void)state;
  sqlite3 *h;
  assert_int_equal(sign_one(1, 64, AQ_DUTY_ATTESTER, 1, ""), AQ_OK);
  aq_sqlite_close(g_store);
  assert_int_equal(sqlite3_open(g_path, &h), SQLITE_OK);
  assert_int_equal(sqlite3_exec(h, "DROP TABLE partial", NULL, NULL, NULL), SQLITE_OK);
  assert_int_equal(sqlite3_close(h), SQLITE_OK);
  open_store(AQ_STORE_OK);
  assert_int_equal(sign_one(1, 64, AQ_DUTY_ATTESTER, 2, "bad"), AQ_E_SLASH);
  assert_int_equal(sign_one(1, 96, AQ_DUTY_ATTESTER, 1, "one"), AQ_OK);
  g_port->backup(g_port->ctx);
  flush();
  aq_sqlite_close(g_store);
  assert_int_equal(remove(g_path), 0);
  open_store(AQ_STORE_FALLBACK);
  expect(0, "attester/96/1/0:one;");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_with_its_record, setup, teardown),
      cmocka_unit_test_setup_teardown(test_later, setup, teardown),
      cmocka_unit_test_setup_teardown(test_prune, setup, teardown),
      cmocka_unit_test_setup_teardown(test_earlier_version, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
