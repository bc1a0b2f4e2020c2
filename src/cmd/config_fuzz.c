/* What a user configures, as the program reads it: command lines of every kind of value, the configuration file in its
   four forms, the file of peers, the custom network, listening addresses. Input: a byte, the form of the configuration
   file (0 to 3) and whether there is a file of peers; then texts apart by an empty line: arguments and environment
   (lines that begin with '$'), configuration file, file of peers. Includes the command itself; the node it would start
   is a check of its configuration. */
#define aq_node_run fuzz_node_run
#include "cmd/cmd_run.c"
#include "cmd/config_file.c"
#include "cmd/endpoints.c"
#include "cmd/network.c"

#include <stdarg.h>
#include <unistd.h>

#include "base/assert.h"
#include "fake/fuzz_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { TEXT_MAX = 1 << 14, WORDS_MAX = 64, PARTS = 3 };

static char dir[64];
static uint32_t started;

/* ---- what main.c and the node give ---- */

int aq_cmd_fail(const char *fmt, ...) {
  AQ_ASSERT(fmt && *fmt);
  return AQ_EXIT_FAILED;
}

int aq_cmd_usage_error(const aq_command *cmd, const char *fmt, ...) {
  AQ_ASSERT(cmd && fmt && *fmt);
  return AQ_EXIT_USAGE;
}

static void check_list(const aq_node_list *l) {
  AQ_ASSERT(l->cnt <= AQ_NODE_LIST_MAX);
  for (size_t i = 0; i < l->cnt; i++) AQ_ASSERT(l->item[i]);
}

static void check_urls(const aq_node_list *l) {
  char url[AQ_URL_MAX + 1];
  AQ_ASSERT(l->cnt <= AQ_BN_ENDPOINTS_MAX);
  for (size_t i = 0; i < l->cnt; i++)
    AQ_ASSERT(aq_url_parse(url, l->item[i], NULL) == AQ_OK && strcmp(url, l->item[i]) == 0);
}

static void check_address(const char *text) {
  char host[64];
  uint16_t port;
  if (aq_host_port_parse(text, host, sizeof host, &port) != AQ_OK) return;
  AQ_ASSERT(memchr(host, 0, sizeof host) && *host);
}

int fuzz_node_run(const aq_node_cfg *c) {
  started++;
  check_list(&c->p2p_listen), check_list(&c->p2p_peers), check_list(&c->beacon);
  check_list(&c->beacon_fallback);
  check_urls(&c->beacon), check_urls(&c->beacon_fallback);
  AQ_ASSERT(c->beacon_header_cnt <= AQ_BN_HEADERS_MAX);
  for (size_t i = 0; i < c->beacon_header_cnt; i++) {
    AQ_ASSERT(c->beacon_header[i].name[0] && !strpbrk(c->beacon_header[i].name, " :\r\n"));
    AQ_ASSERT(!strpbrk(c->beacon_header[i].value, "\r\n"));
  }
  if (c->p2p_external_ip[0]) AQ_ASSERT(!strpbrk(c->p2p_external_ip, "/[] "));
  if (c->p2p_external_hostname[0]) AQ_ASSERT(!strpbrk(c->p2p_external_hostname, "/:[] "));
  AQ_ASSERT(c->data_dir[0] && c->log_level <= AQ_LOG_ERROR && strlen(c->nickname) <= 32);
  AQ_ASSERT(!c->graffiti || strlen(c->graffiti) <= 32);
  if (c->network) AQ_ASSERT(c->network->name[0] && c->network->chain_id && c->network->genesis_time_s);
  check_address(c->validator_api), check_address(c->monitoring);
  for (size_t i = 0; i < c->p2p_listen.cnt; i++) check_address(c->p2p_listen.item[i]);
  return AQ_NODE_STOPPED;
}

/* ---- the input ---- */

static void tidy(void) { aq_dir_remove(dir); }

static void quiet(void *arg, const char *line, size_t len) { (void)arg, (void)line, (void)len; }

static void once(void) {
  const char *tmp = getenv("TMPDIR");
  if (*dir) return;
  aq_log_start(AQ_LOG_ERROR, quiet, NULL);
  snprintf(dir, sizeof dir, "%.32s/aequa-cfg-XXXXXX", tmp ? tmp : P_tmpdir);
  AQ_ASSERT(mkdtemp(dir) && chdir(dir) == 0);
  atexit(tidy);
}

static void put(const char *name, const char *text) {
  FILE *f = fopen(name, "wb");
  AQ_ASSERT(f);
  fputs(text, f);
  fclose(f);
}

static void split_words(char *text, aq_opt_input *in, const char **argv, const char **env) {
  size_t env_cnt = 0;
  for (char *end; *text; text = end) {
    end = text + strcspn(text, "\n");
    if (*end) *end++ = 0;
    if (*text == '$' && env_cnt < WORDS_MAX)
      env[env_cnt++] = text + 1;
    else if (in->argc < WORDS_MAX)
      argv[in->argc++] = text;
  }
  in->argv = argv, in->env = env;
}

static void run_all(char *part[PARTS], uint8_t form) {
  static const char *const name[] = {"charon.json", "charon.toml", "charon.yaml", "charon.yml"};
  const char *argv[WORDS_MAX + 1] = {NULL}, *env[WORDS_MAX + 1] = {NULL};
  aq_arena arena;
  aq_options opt;
  run_cfg cfg = {.data_dir = NULL};
  aq_err err = {AQ_OK, ""};
  aq_opt_input in = {.argc = 0};
  aq_arena_init(&arena, 16 << 20);
  for (size_t i = 0; i < AQ_COUNT(name); i++) (void)unlink(name[i]);
  if (*part[1]) put(name[form % AQ_COUNT(name)], part[1]);
  put("peers", part[2]);
  split_words(part[0], &in, argv, env);
  aq_config_file file;
  char line[AQ_CONFIG_LINE_MAX];
  aq_status st = aq_config_file_load(&file, &arena, &err);
  in.file = file.pair, in.file_cnt = file.cnt;
  bool said = aq_config_file_announce(line, &file);
  AQ_ASSERT(said == (*part[1] != 0) && (!said || strstr(line, file.name)));
  for (const char *c = line; said && *c; c++) AQ_ASSERT(*c >= ' ' && *c < 0x7f);
  if (st == AQ_OK) st = aq_options_parse(&opt, &cfg, &arena, options, AQ_COUNT(options), &in, &err);
  AQ_ASSERT(st == AQ_OK || err.text[0]);
  if (st == AQ_OK && !opt.help) {
    started = 0;
    const aq_cmd_ctx ctx = {&opt, &arena, "aequa"};
    int rc = aq_cmd_run.run(&ctx, &cfg);
    AQ_ASSERT((rc == AQ_EXIT_OK) == (started == 1));
  }
  aq_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  char text[TEXT_MAX + 1], *part[PARTS], *at = text;
  if (len < 1 || len > TEXT_MAX) return 0;
  once();
  memcpy(text, data + 1, len - 1);
  text[len - 1] = 0;
  for (int i = 0; i < PARTS; i++) {
    part[i] = at;
    char *end = strstr(at, "\n\n");
    at = end && i + 1 < PARTS ? end + 2 : at + strlen(at);
    if (end && i + 1 < PARTS) *end = 0;
  }
  run_all(part, data[0]);
  return 0;
}

FUZZ_JSON_MUTATOR(fuzz_json_body(data, size))
