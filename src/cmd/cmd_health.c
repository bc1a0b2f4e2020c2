/* `aequa health`: for a container's health check, which knows no address: it is read from the running node's command
   line. */
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "node/node.h"

typedef struct {
  const char *api;
  uint64_t timeout_ns;
} health_cfg;

enum { CMDLINE_MAX = 1 << 16, WORDS_MAX = 512 };

static const aq_option options[] = {
    {.flag = "validator-api",
     .other = "validator-api-address",
     .kind = AQ_OPT_STR,
     .off = offsetof(health_cfg, api),
     .def = "127.0.0.1:4600",
     .help = "address of the node's validator API; without the flag that of the container's first process, if it is a "
             "node and has one"},
    {.flag = "timeout",
     .kind = AQ_OPT_DURATION,
     .off = offsetof(health_cfg, timeout_ns),
     .def = "2s",
     .help = "how long to wait"},
};

static int connect_to(const char *host, uint16_t port, const struct timeval *limit) {
  char service[8];
  snprintf(service, sizeof service, "%u", port);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
  if (getaddrinfo(strcmp(host, "0.0.0.0") == 0 ? "127.0.0.1" : host, service, &hints, &list) != 0) return -1;
  int fd = -1;
  for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
    fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, limit, sizeof *limit);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, limit, sizeof *limit);
    if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) close(fd), fd = -1;
  }
  freeaddrinfo(list);
  return fd;
}

/* ---- the node's own command line ---- */

extern const aq_command aq_cmd_run;

static bool is_program(const char *word) {
  const char *slash = strrchr(word, '/'), *name = slash ? slash + 1 : word;
  return strcmp(name, "aequa") == 0 || strcmp(name, "dvt-node") == 0;
}

/* Words apart by zeros: the arguments behind the program's name, which something like an init may stand before. */
static int split_words(const char *argv[WORDS_MAX], aq_bytes text) {
  int argc = -1;
  for (size_t i = 0; i < text.len; i += strlen((const char *)text.ptr + i) + 1) {
    const char *word = (const char *)text.ptr + i;
    if (argc >= 0 && argc < WORDS_MAX)
      argv[argc++] = word;
    else if (argc < 0 && is_program(word))
      argc = 0;
  }
  return argc;
}

/* The --validator-api of the command line of a node, NULL: it is none, or has no such flag. text ends in a zero. */
static const char *api_of_node(aq_arena *arena, aq_bytes text) {
  const char *argv[WORDS_MAX];
  aq_options opt;
  aq_err err;
  int argc = split_words(argv, text), skip = argc > 0 && strcmp(argv[0], "run") == 0;
  if (argc <= skip || argv[skip][0] != '-') return NULL;
  void *cfg = aq_arena_alloc(arena, aq_cmd_run.cfg_size);
  const aq_opt_input in = {.argc = argc - skip, .argv = argv + skip};
  if (!cfg || aq_options_parse(&opt, cfg, arena, aq_cmd_run.option, aq_cmd_run.option_cnt, &in, &err) != AQ_OK)
    return NULL;
  if (opt.help || aq_options_source(&opt, "validator-api") != AQ_OPT_FLAG) return NULL;
  for (size_t i = 0; i < aq_cmd_run.option_cnt; i++) {
    if (strcmp(aq_cmd_run.option[i].flag, "validator-api") == 0)
      return *(const char **)((char *)cfg + aq_cmd_run.option[i].off);
  }
  return NULL;
}

/* In a container the node is its first process, and a health check has its environment but not its flags. */
static const char *api_of_container(aq_arena *arena) {
  char *text = aq_arena_alloc(arena, CMDLINE_MAX + 1);
  FILE *f = fopen("/proc/1/cmdline", "re");
  size_t len = text && f ? fread(text, 1, CMDLINE_MAX, f) : 0;
  if (f) fclose(f);
  if (len == 0) return NULL;
  text[len] = 0;
  return api_of_node(arena, aq_bytes_of(text, len));
}

static int run(const aq_cmd_ctx *ctx, void *cfg) {
  health_cfg *c = cfg;
  if (aq_options_source(ctx->opt, "validator-api") != AQ_OPT_FLAG) {
    const char *api = api_of_container(ctx->arena);
    if (api) c->api = api;
  }
  char host[128], answer[1024];
  uint16_t port;
  if (aq_host_port_parse(c->api, host, sizeof host, &port) != AQ_OK)
    return aq_cmd_fail("--validator-api %s is not host:port", c->api);
  const struct timeval limit = {(time_t)(c->timeout_ns / 1000000000u), (suseconds_t)(c->timeout_ns / 1000u % 1000000u)};
  int fd = connect_to(host, port, &limit);
  if (fd < 0) return aq_cmd_fail("nothing answers at %s", c->api);
  static const char ask[] = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  size_t len = 0;
  if (write(fd, ask, sizeof ask - 1) == (ssize_t)(sizeof ask - 1)) {
    for (ssize_t got; len < sizeof answer - 1 && (got = read(fd, answer + len, sizeof answer - 1 - len)) > 0;)
      len += (size_t)got;
  }
  close(fd);
  answer[len] = 0;
  const char *body = strstr(answer, "\r\n\r\n");
  bool ok = strncmp(answer, "HTTP/1.1 200", 12) == 0;
  if (!ok) return aq_cmd_fail("%s is not healthy: %s", c->api, body ? body + 4 : "no answer");
  puts("ok");
  return AQ_EXIT_OK;
}

const aq_command aq_cmd_health = {
    .name = "health",
    .summary = "ask a running node whether it is healthy",
    .option = options,
    .option_cnt = AQ_COUNT(options),
    .cfg_size = sizeof(health_cfg),
    .run = run,
};
