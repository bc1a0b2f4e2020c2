/* Child processes of a test network: start, output, signals, resource figures. */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "lab/testnet_internal.h"

aq_child *aq_child_new(aq_testnet *t, const char *name, int node) {
  AQ_ASSERT(t->child_cnt < AQ_CHILDREN_MAX);
  aq_child *c = &t->child[t->child_cnt++];
  c->t = t;
  c->node = node;
  snprintf(c->name, sizeof c->name, "%s", name);
  char path[sizeof c->log_path]; /* not into *t while reading from it */
  snprintf(path, sizeof path, "%.900s/%.31s.log", t->dir, name);
  memcpy(c->log_path, path, sizeof path);
  return c;
}

void aq_child_arg(aq_child *c, const char *fmt, ...) {
  AQ_ASSERT(c->arg_cnt < AQ_CHILD_ARGS_MAX);
  va_list args;
  va_start(args, fmt);
  int len = vasprintf(&c->arg[c->arg_cnt], fmt, args);
  va_end(args);
  AQ_ASSERT(len >= 0);
  c->arg_cnt++;
}

static void take_line(aq_child *c) {
  if (c->log) {
    fwrite(c->line, 1, c->line_len, c->log);
    fputc('\n', c->log);
  }
  if (c->node >= 0) aq_report_line(&c->t->report, (uint32_t)c->node, c->line, c->line_len);
  c->line_len = 0;
}

static void handle_closed(uv_handle_t *h) {
  aq_child *c = h->data;
  c->open_handles--;
  if (c->open_handles == 0 && c->log) {
    fclose(c->log);
    c->log = NULL;
  }
}

static void read_alloc(uv_handle_t *h, size_t want, uv_buf_t *buf) {
  static char chunk[65536]; /* one reader at a time: consumed in read_some before the next */
  (void)h, (void)want;
  *buf = uv_buf_init(chunk, sizeof chunk);
}

static void read_some(uv_stream_t *s, ssize_t cnt, const uv_buf_t *buf) {
  aq_child *c = s->data;
  if (cnt < 0) {
    if (c->line_len) take_line(c);
    if (c->out_open) {
      c->out_open = false;
      uv_close((uv_handle_t *)&c->out, handle_closed);
    }
    return;
  }
  for (ssize_t i = 0; i < cnt; i++) {
    if (buf->base[i] == '\n')
      take_line(c);
    else if (c->line_len < sizeof c->line)
      c->line[c->line_len++] = buf->base[i];
  }
}

static void exited(uv_process_t *p, int64_t status, int signo) {
  aq_child *c = p->data;
  c->running = false;
  c->exit_code = signo ? 128 + signo : (int)status;
  if (!c->expected_end && !c->t->stopping) {
    fprintf(stderr, "%s ended with status %d; its log is %s\n", c->name, c->exit_code, c->log_path);
    c->t->failed = true;
  }
  uv_close((uv_handle_t *)p, handle_closed);
}

aq_status aq_child_start(aq_child *c, aq_err *err) {
  AQ_ASSERT(!c->running);
  if (c->open_handles) return aq_fail(err, AQ_E_AGAIN, "%s is still ending", c->name);
  uv_loop_t *uv = aq_loop_uv(c->t->loop);
  c->log = fopen(c->log_path, c->starts ? "a" : "w");
  if (!c->log) return aq_fail(err, AQ_E_IO, "cannot write %s", c->log_path);
  uv_pipe_init(uv, &c->out, 0);
  c->out.data = c;
  c->process.data = c;
  uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE},
                                   {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&c->out},
                                   {.flags = UV_INHERIT_FD, .data.fd = fileno(c->log)}};
  c->arg[c->arg_cnt] = NULL;
  uv_process_options_t opts = {.exit_cb = exited, .file = c->arg[0], .args = c->arg, .stdio = stdio, .stdio_count = 3};
  int rc = uv_spawn(uv, &c->process, &opts);
  c->open_handles = 2;
  c->out_open = true;
  if (rc != 0) {
    c->out_open = false;
    uv_close((uv_handle_t *)&c->out, handle_closed);
    uv_close((uv_handle_t *)&c->process, handle_closed);
    return aq_fail(err, AQ_E_IO, "cannot start %s (%s): %s", c->name, c->arg[0], uv_strerror(rc));
  }
  c->running = true;
  c->expected_end = false;
  c->starts++;
  uv_read_start((uv_stream_t *)&c->out, read_alloc, read_some);
  return AQ_OK;
}

void aq_child_signal(aq_child *c, int signo) {
  if (!c->running) return;
  c->expected_end = true;
  aq_child_sample(c);
  if (c->node >= 0 && signo == SIGKILL) c->cpu_ms_before = c->t->report.node[c->node].cpu_ms;
  uv_process_kill(&c->process, signo);
}

void aq_child_sample(aq_child *c) {
  if (!c->running || c->node < 0) return;
  aq_report_node *n = &c->t->report.node[c->node];
  char path[64], line[512];
  snprintf(path, sizeof path, "/proc/%d/status", c->process.pid);
  FILE *f = fopen(path, "r");
  unsigned long long kib;
  while (f && fgets(line, sizeof line, f)) {
    if (sscanf(line, "VmRSS: %llu", &kib) == 1 && kib > n->rss_kib_max) n->rss_kib_max = kib;
  }
  if (f) fclose(f);
  snprintf(path, sizeof path, "/proc/%d/stat", c->process.pid);
  f = fopen(path, "r");
  if (f && fgets(line, sizeof line, f)) {
    const char *after = strrchr(line, ')');
    unsigned long long user, sys;
    if (after && sscanf(after, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &sys) == 2) {
      n->cpu_ms = c->cpu_ms_before + (user + sys) * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK);
    }
  }
  if (f) fclose(f);
}

bool aq_children_gone(const aq_testnet *t) {
  for (uint32_t i = 0; i < t->child_cnt; i++) {
    if (t->child[i].running || t->child[i].open_handles) return false;
  }
  return true;
}
