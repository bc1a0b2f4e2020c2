/* `aequa validator`: the built-in client with its keys, its protection database and its loop. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapter/adapters.h"
#include "adapter/sandbox.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/url.h"
#include "cluster/datadir.h"
#include "cmd/cmd.h"
#include "cmd/endpoints.h"
#include "crypto/aead.h"
#include "vc/vc.h"

typedef struct {
  const char *api, *ca, *keys_dir, *data_dir;
  bool ssz_blocks, accept_empty, no_sandbox;
} validator_cfg;

/* failed: the client will do nothing, the process ends with status 1. */
typedef struct {
  aq_loop *loop;
  bool failed;
} client;

static const aq_option options[] = {
    {.flag = "beacon-api",
     .kind = AQ_OPT_STR,
     .off = offsetof(validator_cfg, api),
     .def = "http://127.0.0.1:4600",
     .secret = true,
     .help = "base URL of the beacon API, normally the node's validator API"},
    {.flag = "beacon-node-ca",
     .kind = AQ_OPT_PATH,
     .off = offsetof(validator_cfg, ca),
     .help = "certificates (PEM) of a private CA that the beacon API is believed by, besides those that this machine "
             "trusts"},
    {.flag = "keys-dir",
     .kind = AQ_OPT_PATH,
     .off = offsetof(validator_cfg, keys_dir),
     .help =
         "directory of keystore-*.json with a .txt password beside each; default validator_keys in .charon, .aequa or "
         "/data, the first that has one"},
    {.flag = "data-dir",
     .kind = AQ_OPT_PATH,
     .off = offsetof(validator_cfg, data_dir),
     .help =
         "where the slashing protection database lies; default .aequa, or /data where .aequa is not there and /data "
         "can be written"},
    {.flag = "ssz-blocks",
     .kind = AQ_OPT_BOOL,
     .off = offsetof(validator_cfg, ssz_blocks),
     .def = "true",
     .help = "post blocks as SSZ instead of JSON"},
    {.flag = "accept-empty-store",
     .kind = AQ_OPT_BOOL,
     .off = offsetof(validator_cfg, accept_empty),
     .def = "false",
     .help = "start although the slashing protection database and its backup are damaged"},
    AQ_NO_SANDBOX_OPTION(validator_cfg, no_sandbox),
};

static void on_signal(void *arg, int signo) {
  AQ_LOG(AQ_LOG_INFO, "vc_stop", AQ_INT("signal", signo));
  aq_loop_stop(arg);
}

static void on_failed(void *arg, const char *why) {
  client *me = arg;
  (void)why; /* the client has logged it */
  me->failed = true;
  aq_loop_stop(me->loop);
}

static void attend(const validator_cfg *c, client *me, aq_curl *curl, const aq_store *store, const aq_keys *keys) {
  const aq_vc_cfg vc = {.env = aq_loop_env(me->loop),
                        .http = aq_curl_port(curl),
                        .store = store,
                        .url = c->api,
                        .secret = (const uint8_t(*)[32])keys->secret,
                        .key_cnt = keys->cnt,
                        .ssz_blocks = c->ssz_blocks,
                        .arg = me,
                        .failed = on_failed};
  aq_vc *v = aq_vc_new(&vc);
  aq_loop_on_signal(me->loop, on_signal, me->loop);
  aq_vc_start(v);
  aq_sandbox_enter(!c->no_sandbox);
  aq_loop_run(me->loop);
  aq_vc_free(v);
}

/* Where the other commands leave a node's files. */
static const char *default_keys_dir(void) {
  static const char *const dir[] = {".charon/" AQ_KEYS_DIR, ".aequa/" AQ_KEYS_DIR, "/data/" AQ_KEYS_DIR};
  for (size_t i = 0; i < AQ_COUNT(dir); i++) {
    if (access(dir[i], F_OK) == 0) return dir[i];
  }
  return dir[0];
}

/* A database that is there already is never left for an empty one. */
static const char *default_data_dir(void) {
  return access(".aequa", F_OK) != 0 && access("/data", W_OK) == 0 ? "/data" : ".aequa";
}

static aq_status serve(const validator_cfg *c, client *me, const aq_keys *keys, aq_err *err) {
  char path[1024];
  snprintf(path, sizeof path, "%s/validator.db", c->data_dir);
  aq_sqlite_cfg sc = {.path = path, .accept_empty = c->accept_empty};
  aq_sqlite_client_hash(sc.lock_hash);
  aq_sqlite *db = NULL;
  aq_curl *curl = aq_curl_new(me->loop);
  aq_status st = aq_curl_trust(curl, c->ca, aq_url_is_tls(c->api), err);
  if (st == AQ_OK) st = aq_dir_create(c->data_dir, 0755, err);
  if (st == AQ_OK) st = aq_sqlite_open(&db, me->loop, &sc, err);
  if (st == AQ_OK) attend(c, me, curl, aq_sqlite_port(db), keys);
  aq_curl_free(curl);
  if (db) aq_sqlite_close(db);
  return st;
}

extern const aq_command aq_cmd_validator;

static int run(const aq_cmd_ctx *ctx, void *cfg) {
  validator_cfg *c = cfg;
  aq_err err = {AQ_OK, ""};
  if (aq_endpoint_of(&c->api, c->api, "beacon-api", ctx->arena, &err) != AQ_OK)
    return aq_cmd_usage_error(&aq_cmd_validator, "%s", err.text);
  if (!c->api[0]) return aq_cmd_usage_error(&aq_cmd_validator, "--beacon-api is empty");
  if (!c->keys_dir[0]) c->keys_dir = default_keys_dir();
  if (!c->data_dir[0]) c->data_dir = default_data_dir();
  aq_sandbox_begin(!c->no_sandbox);
  aq_crypto_init();
  aq_metrics_init();
  aq_keys keys = {0};
  aq_log_start(AQ_LOG_INFO, NULL, NULL);
  if (aq_keys_load(&keys, c->keys_dir, &err) != AQ_OK) {
    aq_log_stop();
    return aq_cmd_fail("%s: --keys-dir is the directory of the key shares", err.text);
  }
  client me = {.loop = aq_loop_new(1)};
  aq_status st = serve(c, &me, &keys, &err);
  aq_loop_free(me.loop);
  aq_keys_free(&keys);
  aq_log_stop();
  if (st != AQ_OK) return aq_cmd_fail("%s", err.text); /* the last line, after the log's */
  return me.failed ? AQ_EXIT_FAILED : AQ_EXIT_OK;
}

const aq_command aq_cmd_validator = {
    .name = "validator",
    .summary = "the built-in validator client",
    .text =
        "Attests and proposes with the keys of a directory, through any beacon API; keeps a slashing protection "
        "database.",
    .option = options,
    .option_cnt = AQ_COUNT(options),
    .cfg_size = sizeof(validator_cfg),
    .run = run,
};
