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

static const aq_option options[] = {
    {.flag = "validator-api",
     .other = "validator-api-address",
     .kind = AQ_OPT_STR,
     .off = offsetof(health_cfg, api),
     .def = "127.0.0.1:4600",
     .help = "address of the node's validator API"},
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

static int run(const aq_cmd_ctx *ctx, void *cfg) {
  (void)ctx;
  const health_cfg *c = cfg;
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
