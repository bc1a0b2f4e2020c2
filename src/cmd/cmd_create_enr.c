/* `aequa create enr`: a new identity key, and its ENR on stdout. */
#include <stdio.h>

#include "cluster/datadir.h"
#include "cmd/cmd.h"

typedef struct {
  const char *data_dir;
} create_enr_cfg;

static const aq_option options[] = {
    {.flag = "data-dir",
     .kind = AQ_OPT_PATH,
     .off = offsetof(create_enr_cfg, data_dir),
     .def = ".charon",
     .help = "directory for the key; created when missing"},
};

static int run(const aq_cmd_ctx *ctx, void *cfg) {
  (void)ctx;
  const create_enr_cfg *c = cfg;
  char path[4096];
  aq_k1_key *key = NULL;
  aq_err err = {AQ_OK, ""};
  int len = snprintf(path, sizeof path, "%s/" AQ_KEY_FILE, c->data_dir);
  if (len < 0 || (size_t)len >= sizeof path) return aq_cmd_fail("--data-dir is too long");
  if (aq_identity_create(&key, path, &err) != AQ_OK) return aq_cmd_fail("%s", err.text);
  aq_buf enr = AQ_BUF(AQ_ENR_TEXT_MAX);
  aq_status st = aq_enr_write(&enr, key, NULL);
  if (st == AQ_OK) {
    printf("Created the identity key: %s\n%s\n", path, aq_buf_cstr(&enr));
    printf("\nBack this key up now: without it this node cannot take part in its cluster.\n");
  }
  aq_buf_free(&enr);
  aq_k1_key_free(key);
  return st == AQ_OK ? AQ_EXIT_OK : aq_cmd_fail("%s", aq_status_text(st));
}

const aq_command aq_cmd_create_enr = {
    .name = "create enr",
    .summary = "create a node's identity key and print its ENR",
    .option = options,
    .option_cnt = AQ_COUNT(options),
    .cfg_size = sizeof(create_enr_cfg),
    .run = run,
};
