/* Small files of a data directory. Input: a byte, which: 0 the identity key, 1 the key lock beside it, 2 a time stamp,
   3 deposit amounts (8 bytes each); then its content. The key and lock are real files in a scratch directory. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/hex.h"
#include "base/time.h"
#include "cluster/datadir.h"
#include "cluster/deposit.h"
#include "cluster/rfc3339.h"
#include "crypto/aead.h"
#include "fake/fuzz_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char dir[64], key_path[96], lock_path[112];

static void tidy(void) { aq_dir_remove(dir); }

static void once(void) {
  const char *tmp = getenv("TMPDIR");
  if (*dir) return;
  aq_crypto_init();
  snprintf(dir, sizeof dir, "%.32s/aequa-files-XXXXXX", tmp ? tmp : P_tmpdir);
  AQ_ASSERT(mkdtemp(dir));
  snprintf(key_path, sizeof key_path, "%s/key", dir);
  snprintf(lock_path, sizeof lock_path, "%s.lock", key_path);
  atexit(tidy);
}

static void put(const char *path, aq_bytes in) {
  FILE *f = fopen(path, "wb");
  AQ_ASSERT(f);
  if (in.len) fwrite(in.ptr, 1, in.len, f);
  AQ_ASSERT(fchmod(fileno(f), 0600) == 0); /* what others can read is no key */
  fclose(f);
}

/* What loads is stored as the same key. */
static void identity(aq_bytes in) {
  aq_k1_key *key = NULL;
  aq_err err = {AQ_OK, ""};
  uint8_t secret[32];
  char text[65];
  put(key_path, in);
  aq_status st = aq_identity_load(&key, key_path, &err);
  AQ_ASSERT((st == AQ_OK) == (key != NULL) && (st == AQ_OK || err.text[0]));
  if (!key) return;
  aq_k1_export(secret, key);
  aq_hex_encode(text, aq_bytes_of(secret, 32));
  AQ_ASSERT(in.len >= 64);
  size_t at = 0;
  while (in.len - at > 64 && strncasecmp((const char *)in.ptr + at, text, 64) != 0) at++;
  AQ_ASSERT(strncasecmp((const char *)in.ptr + at, text, 64) == 0);
  aq_k1_key_free(key);
}

/* A lock that is taken is ours afterwards: another taker is refused. */
static void keylock(aq_bytes in) {
  static const uint64_t now_ns = AQ_SECONDS(1700000000);
  static const uint8_t none[1] = {0};
  aq_err err = {AQ_OK, ""};
  put(key_path, aq_bytes_of(none, 0));
  put(lock_path, in);
  aq_status st = aq_keylock_take(key_path, "run", "0xaa", now_ns, &err);
  AQ_ASSERT(st == AQ_OK || err.text[0]);
  if (st == AQ_OK) AQ_ASSERT(aq_keylock_take(key_path, "run", "0xaa", now_ns + 1, &err) == AQ_E_EXISTS);
}

/* Against the calendar of the C library; printing and reading again gives the same moment. */
static void stamp(aq_bytes in) {
  char text[AQ_RFC3339_MAX];
  uint64_t ns, again;
  if (aq_rfc3339_parse(&ns, in) != AQ_OK) return;
  aq_rfc3339_print(text, ns, false);
  AQ_ASSERT(aq_rfc3339_parse(&again, aq_bytes_str(text)) == AQ_OK && again == ns);
  struct tm tm = {.tm_mday = 1};
  AQ_ASSERT(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
                   &tm.tm_sec) == 6);
  tm.tm_year -= 1900, tm.tm_mon--;
  AQ_ASSERT((uint64_t)timegm(&tm) == ns / AQ_NS_PER_SEC);
}

static void amounts(aq_bytes in) {
  uint64_t gwei[AQ_DEPOSIT_AMOUNTS_MAX], out[AQ_DEPOSIT_AMOUNTS_MAX], sum = 0;
  size_t cnt = in.len / 8 < AQ_COUNT(gwei) ? in.len / 8 : AQ_COUNT(gwei);
  for (size_t i = 0; i < cnt; i++) gwei[i] = aq_le64_get(in.ptr + 8 * i);
  for (int compounding = 0; compounding < 2; compounding++) {
    aq_err err = {AQ_OK, ""};
    aq_definition d = {.deposit_amounts = gwei, .deposit_amount_cnt = (uint32_t)cnt, .compounding = compounding};
    if (aq_deposit_amounts_check(gwei, cnt, compounding, &err) != AQ_OK) {
      AQ_ASSERT(err.text[0]);
      continue;
    }
    for (size_t i = 0; i < cnt; i++)
      AQ_ASSERT(gwei[i] >= AQ_GWEI_PER_ETH && !__builtin_add_overflow(sum, gwei[i], &sum));
    size_t got = aq_deposit_amounts(out, &d);
    for (size_t i = 0; i < got; i++) {
      char name[AQ_DEPOSIT_FILE_NAME_MAX];
      AQ_ASSERT(i == 0 || out[i - 1] < out[i]);
      aq_deposit_file_name(name, out[i]);
      AQ_ASSERT(strncmp(name, "deposit-data", 12) == 0 && !strchr(name, '/'));
    }
    sum = 0;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len == 0 || len > 1 << 14) return 0;
  once();
  aq_bytes in = aq_bytes_of(data + 1, len - 1);
  switch (data[0] % 4) {
    case 0: identity(in); break;
    case 1: keylock(in); break;
    case 2: stamp(in); break;
    default: amounts(in); break;
  }
  return 0;
}

FUZZ_JSON_MUTATOR(1)
