/* `aequa enr`: the ENR of a node's key. */
#include <stdio.h>

#include "base/hex.h"
#include "cluster/datadir.h"
#include "cmd/cmd.h"
#include "codec/base64.h"

typedef struct {
  const char *data_dir;
  bool verbose;
} enr_cfg;

static const aq_option options[] = {
    {.flag = "data-dir",
     .kind = AQ_OPT_PATH,
     .off = offsetof(enr_cfg, data_dir),
     .def = ".charon",
     .help = "directory with the identity key"},
    {.flag = "verbose",
     .kind = AQ_OPT_BOOL,
     .off = offsetof(enr_cfg, verbose),
     .help = "also public key, peer id, signature"},
};

/* The signature is the first item of the record: 64 bytes behind a two byte list header and a two byte string header.
   */
static void print_details(const aq_k1_key *key, const char *enr) {
  enum { SIG_OFF = 4, SIG_LEN = 64 };
  uint8_t pubkey[33];
  char hex[2 * SIG_LEN + 1], peer[AQ_PEER_ID_TEXT_MAX];
  aq_buf raw = AQ_BUF(AQ_ENR_TEXT_MAX);
  aq_k1_pubkey(pubkey, key);
  aq_hex_encode(hex, aq_bytes_of(pubkey, sizeof pubkey));
  printf("public key: 0x%s\n", hex);
  aq_peer_id_text(peer, pubkey);
  printf("peer id: %s\n", peer);
  if (aq_base64_decode(&raw, aq_bytes_str(enr + 4), AQ_BASE64_URL) == AQ_OK && raw.len > SIG_OFF + SIG_LEN) {
    aq_hex_encode(hex, aq_bytes_of(raw.ptr + SIG_OFF, SIG_LEN));
    printf("signature: 0x%s\n", hex);
  }
  aq_buf_free(&raw);
}

static int run(const aq_cmd_ctx *ctx, void *cfg) {
  (void)ctx;
  const enr_cfg *c = cfg;
  char path[4096];
  aq_k1_key *key = NULL;
  aq_err err = {AQ_OK, ""};
  int len = snprintf(path, sizeof path, "%s/" AQ_KEY_FILE, c->data_dir);
  if (len < 0 || (size_t)len >= sizeof path) return aq_cmd_fail("--data-dir is too long");
  if (aq_identity_load(&key, path, &err) != AQ_OK) return aq_cmd_fail("%s", err.text);
  aq_buf enr = AQ_BUF(AQ_ENR_TEXT_MAX);
  aq_status st = aq_enr_write(&enr, key, NULL);
  if (st == AQ_OK) puts(aq_buf_cstr(&enr));
  if (st == AQ_OK && c->verbose) print_details(key, aq_buf_cstr(&enr));
  aq_buf_free(&enr);
  aq_k1_key_free(key);
  return st == AQ_OK ? AQ_EXIT_OK : aq_cmd_fail("%s", aq_status_text(st));
}

const aq_command aq_cmd_enr = {
    .name = "enr",
    .summary = "print the ENR of this node",
    .option = options,
    .option_cnt = AQ_COUNT(options),
    .cfg_size = sizeof(enr_cfg),
    .run = run,
};
