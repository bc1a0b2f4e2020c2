/* Deposit files of the reference, byte for byte, and the rules of amounts. */
#include "cluster/deposit.h"

#include "aq_test.h"
#include "base/hex.h"
#include "crypto/aead.h"

static void take(uint8_t *out, size_t len, yyjson_val *obj, const char *name) {
  aq_buf b = aq_test_hex_of(obj, name);
  assert_int_equal(b.len, len);
  memcpy(out, b.ptr, len);
  aq_buf_free(&b);
}

/* Goal: deposit files are written byte for byte as the reference's, from the deposits alone. Method: every
   deposit-data*.json of the golden directories; entries are given in reverse order. One wrong signature stops it. */
static void files(void **state) {
  (void)state;
  static const struct {
    const char *path;
    uint64_t gwei;
  } row[] = {{"hoodi-4x2/node0/deposit-data.json", 32 * AQ_GWEI_PER_ETH},
             {"hoodi-4x2/node0/deposit-data-1eth.json", AQ_GWEI_PER_ETH},
             {"hoodi-3x1-full/node0/deposit-data-1eth.json", AQ_GWEI_PER_ETH},
             {"testnet-7x1/node0/deposit-data-2048eth.json", 2048 * AQ_GWEI_PER_ETH},
             {"testnet-7x1/node0/deposit-data-256eth.json", 256 * AQ_GWEI_PER_ETH}};
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    char path[128], name[AQ_DEPOSIT_FILE_NAME_MAX];
    aq_deposit d[8];
    uint8_t fork[4], root[32], want[32];
    snprintf(path, sizeof path, "cluster/golden/%s", row[i].path);
    aq_deposit_file_name(name, row[i].gwei);
    assert_string_equal(strrchr(path, '/') + 1, name);
    yyjson_doc *doc = aq_test_json(path);
    yyjson_val *list = yyjson_doc_get_root(doc), *it;
    size_t k, cnt;
    yyjson_arr_foreach(list, k, cnt, it) {
      aq_deposit *to = &d[cnt - 1 - k];
      take(to->pubkey, 48, it, "pubkey");
      take(to->withdrawal_credentials, 32, it, "withdrawal_credentials");
      take(to->signature, 96, it, "signature");
      take(fork, 4, it, "fork_version");
      to->amount = aq_test_u64(it, "amount");
      take(want, 32, it, "deposit_message_root");
      aq_deposit_message_root(root, to);
      assert_memory_equal(root, want, 32);
    }
    const char *network = aq_test_str(yyjson_arr_get(list, 0), "network_name");
    aq_buf out = AQ_BUF(1 << 20), file = aq_test_file(path);
    assert_int_equal(aq_deposit_file_write(&out, d, cnt, fork, network), AQ_OK);
    assert_bytes(aq_buf_bytes(&out), aq_buf_bytes(&file));
    d[0].amount++;
    assert_int_equal(aq_deposit_file_write(&out, d, cnt, fork, network), AQ_E_AUTH);
    aq_buf_free(&out), aq_buf_free(&file);
    yyjson_doc_free(doc);
  }
}

/* Goal: the amounts follow the rules, with their defaults, distinct and ascending.
   Method: a table of lists at the borders. */
static void amounts(void **state) {
  (void)state;
#define E AQ_GWEI_PER_ETH
  static const struct {
    uint64_t v[4];
    size_t cnt;
    bool compounding, ok;
  } row[] = {{{0}, 0, false, true},
             {{32 * E}, 1, false, true},
             {{31 * E}, 1, false, false},
             {{33 * E}, 1, false, false},
             {{2048 * E}, 1, true, true},
             {{2049 * E}, 1, true, false},
             {{8 * E, 8 * E, 16 * E}, 3, false, true},
             {{E - 1, 32 * E}, 2, false, false},
             {{UINT64_MAX, 32 * E}, 2, true, false}};
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    assert_int_equal(aq_deposit_amounts_check(row[i].v, row[i].cnt, row[i].compounding, NULL) == AQ_OK, row[i].ok);
  }
  uint64_t out[AQ_DEPOSIT_AMOUNTS_MAX], many[AQ_DEPOSIT_AMOUNTS_MAX + 1];
  for (size_t i = 0; i < AQ_COUNT(many); i++) many[i] = 32 * E;
  assert_int_equal(aq_deposit_amounts_check(many, AQ_DEPOSIT_AMOUNTS_MAX, false, NULL), AQ_OK);
  assert_int_equal(aq_deposit_amounts_check(many, AQ_COUNT(many), false, NULL), AQ_E_LIMIT);
  aq_definition d = {.deposit_amounts = row[6].v, .deposit_amount_cnt = 3};
  assert_int_equal(aq_deposit_amounts(out, &d), 2);
  assert_true(out[0] == 8 * E && out[1] == 16 * E);
  d.deposit_amount_cnt = 0;
  assert_int_equal(aq_deposit_amounts(out, &d), 2);
  d.compounding = true;
  assert_int_equal(aq_deposit_amounts(out, &d), 4);
  assert_true(out[0] == E && out[3] == 256 * E);
  char name[AQ_DEPOSIT_FILE_NAME_MAX];
  aq_deposit_file_name(name, 1500000000);
  assert_string_equal(name, "deposit-data-1.5eth.json");
  aq_deposit_file_name(name, 32000000001);
  assert_string_equal(name, "deposit-data-32.000000001eth.json");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(files), cmocka_unit_test(amounts)};
  aq_crypto_init();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
