/* Peers on real sockets: streams, limits, failures to dial, turns between connections. */
#include "adapter/adapters.h"
#include "aq_test.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BULK = 12 << 20 };

/* What happened on one aq_tcp, and what it does when it happens. */
typedef struct {
  aq_uv_tcp *tcp;
  const aq_tcp *port;
  uint64_t conn;
  uint32_t accepted, opened, closed, writable;
  aq_status open_st, close_st;
  char remote[64];
  aq_buf in;
  bool refuse, close_on_data, stop_on_closed, stop_on_opened;
  size_t stop_at; /* bytes received */
  size_t bulk_at; /* of the bulk transfer: bytes handed over */
} side;

static aq_loop *g_loop;
static const aq_env *g_env;
static side g_a, g_b;

static uint8_t bulk_byte(size_t at) { return (uint8_t)(at * 31 + (at >> 13)); }

static void bulk_send(side *s) {
  static uint8_t chunk[100000];
  while (s->bulk_at < BULK) {
    size_t len = BULK - s->bulk_at < sizeof chunk ? BULK - s->bulk_at : sizeof chunk;
    for (size_t i = 0; i < len; i++) chunk[i] = bulk_byte(s->bulk_at + i);
    size_t took = s->port->write(s->port->ctx, s->conn, aq_bytes_of(chunk, len));
    s->bulk_at += took;
    if (took < len) return;
  }
}

static bool on_accepted(void *arg, uint64_t conn, const char *remote) {
  side *s = arg;
  s->accepted++, s->conn = conn;
  snprintf(s->remote, sizeof s->remote, "%s", remote);
  return !s->refuse;
}

static void on_opened(void *arg, uint64_t conn, aq_status st) {
  side *s = arg;
  assert_int_equal(conn, s->conn);
  s->opened++, s->open_st = st;
  if (s->stop_on_opened) aq_loop_stop(g_loop);
}

static void on_data(void *arg, uint64_t conn, aq_bytes in) {
  side *s = arg;
  assert_int_equal(conn, s->conn);
  aq_buf_put_bytes(&s->in, in);
  if (s->close_on_data) s->port->close(s->port->ctx, conn);
  if (s->stop_at && s->in.len >= s->stop_at) aq_loop_stop(g_loop);
}

static void on_writable(void *arg, uint64_t conn) {
  side *s = arg;
  assert_int_equal(conn, s->conn);
  s->writable++;
  bulk_send(s);
}

static void on_closed(void *arg, uint64_t conn, aq_status st) {
  side *s = arg;
  assert_int_equal(conn, s->conn);
  s->closed++, s->close_st = st;
  if (s->stop_on_closed) aq_loop_stop(g_loop);
}

static void side_init(side *s) {
  memset(s, 0, sizeof *s);
  s->tcp = aq_uv_tcp_new(g_loop);
  s->port = aq_uv_tcp_port(s->tcp);
  aq_buf_init(&s->in, 2 * BULK);
  s->port->events(s->port->ctx, &(aq_tcp_events){s, on_accepted, on_opened, on_data, on_writable, on_closed});
}

static int setup(void **state) {
  (void)state;
  g_loop = aq_loop_new(1), g_env = aq_loop_env(g_loop);
  side_init(&g_a), side_init(&g_b);
  assert_int_equal(aq_uv_tcp_listen(g_b.tcp, "127.0.0.1", 0, NULL), AQ_OK);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  aq_uv_tcp_free(g_a.tcp), aq_uv_tcp_free(g_b.tcp);
  aq_loop_free(g_loop);
  aq_buf_free(&g_a.in), aq_buf_free(&g_b.in);
  return 0;
}

static void dial(const char *host) {
  g_a.conn = g_a.port->dial(g_a.port->ctx, host, aq_uv_tcp_bound_port(g_b.tcp));
  assert_int_not_equal(g_a.conn, 0);
  assert_int_equal(g_a.opened, 0);
  g_a.stop_on_opened = true;
  aq_loop_run(g_loop);
  assert_int_equal(g_a.opened, 1);
}

static void put(side *s, const char *text) {
  assert_int_equal(s->port->write(s->port->ctx, s->conn, aq_bytes_str(text)), strlen(text));
}

/* Goal: bytes pass both ways; a close is seen by the other side once and not by the closer.
   Method: a name that is resolved, one message each way, close by the listener's side inside its data callback. */
static void test_exchange(void **state) {
  (void)state;
  dial("localhost");
  assert_int_equal(g_a.open_st, AQ_OK);
  put(&g_a, "hello"), put(&g_a, " there");
  g_b.stop_at = 11;
  aq_loop_run(g_loop);
  assert_bytes(aq_buf_bytes(&g_b.in), aq_bytes_str("hello there"));
  assert_memory_equal(g_b.remote, "127.0.0.1:", 10);
  put(&g_b, "bye");
  g_a.stop_at = 3;
  aq_loop_run(g_loop);
  g_a.stop_at = g_b.stop_at = 0;
  g_b.close_on_data = true, g_a.stop_on_closed = true;
  put(&g_a, "x");
  aq_loop_run(g_loop);
  assert_int_equal(g_a.closed, 1);
  assert_int_equal(g_a.close_st, AQ_E_CLOSED);
  assert_int_equal(g_b.closed, 0);
  assert_int_equal(g_a.port->write(g_a.port->ctx, g_a.conn, aq_bytes_str("x")), 0);
  g_a.port->close(g_a.port->ctx, g_a.conn);
}

/* Goal: a stream larger than all buffers arrives whole and in order; write takes less and tells when to go on.
   Method: 12 MiB of a position-dependent pattern to a reader in the same loop. */
static void test_bulk(void **state) {
  (void)state;
  dial("127.0.0.1");
  g_b.stop_at = BULK;
  bulk_send(&g_a);
  assert_true(g_a.bulk_at < BULK);
  aq_loop_run(g_loop);
  assert_true(g_a.writable > 0);
  assert_int_equal(g_b.in.len, BULK);
  for (size_t i = 0; i < BULK; i++) {
    if (g_b.in.ptr[i] != bulk_byte(i)) fail_msg("byte %zu differs", i);
  }
}

/* Goal: a peer that does not read costs 4 MiB at most.
   Method: a raw socket that never reads; what is taken beyond the kernel's buffers stays within the limit. */
static void test_back_pressure(void **state) {
  (void)state;
  int fd = socket(AF_INET, SOCK_STREAM, 0), small = 4096;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(aq_uv_tcp_bound_port(g_b.tcp))};
  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
  assert_int_equal(send(fd, "go", 2, 0), 2);
  g_b.stop_at = 2;
  aq_loop_run(g_loop);
  bulk_send(&g_b);
  size_t first = g_b.bulk_at;
  assert_true(first >= 4u << 20 && first < BULK);
  assert_int_equal(g_b.port->write(g_b.port->ctx, g_b.conn, aq_bytes_str("more")), 0);
  g_b.stop_on_closed = true;
  close(fd);
  aq_loop_run(g_loop);
  assert_int_equal(g_b.closed, 1);
}

/* Goal: a dial that cannot work is answered later, once, and its connection is dead.
   Method: a port nobody listens on, a name that is too long. */
static void test_dial_fails(void **state) {
  (void)state;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in addr = {.sin_family = AF_INET};
  socklen_t len = sizeof addr;
  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
  g_a.stop_on_opened = true;
  g_a.conn = g_a.port->dial(g_a.port->ctx, "127.0.0.1", ntohs(addr.sin_port));
  aq_loop_run(g_loop);
  assert_int_equal(g_a.open_st, AQ_E_CLOSED);
  assert_int_equal(g_a.port->write(g_a.port->ctx, g_a.conn, aq_bytes_str("x")), 0);
  close(fd);
  char name[400];
  memset(name, 'a', sizeof name - 1), name[sizeof name - 1] = 0;
  uint64_t before = g_a.conn;
  g_a.conn = g_a.port->dial(g_a.port->ctx, name, 1);
  assert_int_not_equal(g_a.conn, before);
  aq_loop_run(g_loop);
  assert_int_equal(g_a.opened, 2);
  assert_int_not_equal(g_a.open_st, AQ_OK);
}

/* ---- turns ---- */

enum { FLOODERS = 3, KNOCKS = 100 };
static struct {
  uint64_t turn[FLOODERS + 1]; /* by connection: of its last read */
  uint64_t id[FLOODERS + 1];
  uint32_t reads[FLOODERS + 1], accepted, in_turn, most;
  uint64_t accept_turn;
} g_turns;

static bool turns_accepted(void *arg, uint64_t conn, const char *remote) {
  (void)arg, (void)remote;
  if (g_turns.accepted < AQ_COUNT(g_turns.id)) g_turns.id[g_turns.accepted] = conn;
  g_turns.accepted++;
  if (g_turns.accept_turn != aq_loop_turn(g_loop)) g_turns.in_turn = 0;
  g_turns.accept_turn = aq_loop_turn(g_loop);
  if (++g_turns.in_turn > g_turns.most) g_turns.most = g_turns.in_turn;
  if (g_turns.accepted == AQ_COUNT(g_turns.id) || g_turns.accepted == KNOCKS) aq_loop_stop(g_loop);
  return true;
}

static void turns_data(void *arg, uint64_t conn, aq_bytes in) {
  (void)arg, (void)in;
  size_t i = 0;
  while (g_turns.id[i] != conn) i++;
  if (g_turns.turn[i] == aq_loop_turn(g_loop)) fail_msg("connection %zu was served twice in a turn", i);
  g_turns.turn[i] = aq_loop_turn(g_loop);
  g_turns.reads[i]++;
  if (i == FLOODERS) aq_loop_stop(g_loop);
}

static int raw_dial(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(aq_uv_tcp_bound_port(g_b.tcp))};
  addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
  return fd;
}

static void turns_begin(void) {
  memset(&g_turns, 0, sizeof g_turns);
  g_b.port->events(g_b.port->ctx,
                   &(aq_tcp_events){&g_b, turns_accepted, on_opened, turns_data, on_writable, on_closed});
}

/* Goal: no source is served twice before others that are ready.
   Method: three sockets with more to read than a turn takes, a fourth with one byte behind them: reads are counted
   between polls. */
static void test_read_turns(void **state) {
  (void)state;
  int fd[FLOODERS + 1];
  static uint8_t much[1 << 20];
  turns_begin();
  for (size_t i = 0; i < AQ_COUNT(fd); i++) fd[i] = raw_dial();
  aq_loop_run(g_loop);
  for (size_t i = 0; i < FLOODERS; i++) assert_true(send(fd[i], much, sizeof much, MSG_DONTWAIT) > 100000);
  assert_int_equal(send(fd[FLOODERS], much, 1, 0), 1);
  aq_loop_run(g_loop);
  for (size_t i = 0; i < FLOODERS; i++) assert_true(g_turns.reads[i] <= 2);
  for (size_t i = 0; i < AQ_COUNT(fd); i++) close(fd[i]);
}

/* Goal: a crowd at the listener does not hold up the rest, and all of it comes in.
   Method: a hundred connections wait before the loop runs; those of a turn are counted. */
static void test_accept_turns(void **state) {
  (void)state;
  int fd[KNOCKS];
  turns_begin();
  for (size_t i = 0; i < KNOCKS; i++) fd[i] = raw_dial();
  aq_loop_run(g_loop);
  while (g_turns.accepted < KNOCKS) aq_loop_run(g_loop);
  assert_in_range(g_turns.most, 1, 17);
  for (size_t i = 0; i < KNOCKS; i++) close(fd[i]);
}

/* Goal: a connection that is not wanted is closed at once.
   Method: the listener's side refuses; the dialler sees it open and close. */
static void test_refused(void **state) {
  (void)state;
  g_b.refuse = true, g_a.stop_on_closed = true;
  g_a.conn = g_a.port->dial(g_a.port->ctx, "127.0.0.1", aq_uv_tcp_bound_port(g_b.tcp));
  aq_loop_run(g_loop);
  assert_int_equal(g_a.closed, 1);
  assert_int_equal(g_b.accepted, 1);
  assert_int_equal(g_b.closed + g_b.in.len, 0);
}

static void stop(void *arg) {
  (void)arg;
  aq_loop_stop(g_loop);
}

/* Goal: no callback comes after close, whatever the connection was doing; freeing with open ones is clean.
   Method: dials of a name and of an address closed at once; then a connection left open with bytes waiting. */
static void test_close_early(void **state) {
  (void)state;
  uint16_t port = aq_uv_tcp_bound_port(g_b.tcp);
  uint64_t by_name = g_a.port->dial(g_a.port->ctx, "localhost", port);
  uint64_t by_addr = g_a.port->dial(g_a.port->ctx, "127.0.0.1", port);
  g_a.port->close(g_a.port->ctx, by_name), g_a.port->close(g_a.port->ctx, by_addr);
  aq_timer t = {0};
  aq_timer_set(g_env, &t, aq_now_ns(g_env) + AQ_MILLIS(20), stop, NULL);
  aq_loop_run(g_loop);
  assert_int_equal(g_a.opened + g_a.closed, 0);
  dial("127.0.0.1");
  bulk_send(&g_a);
  g_a.port->dial(g_a.port->ctx, "localhost", port);
}

/* Goal: an address that is taken is an error that names it.
   Method: a second listener on the first one's port. */
static void test_address_taken(void **state) {
  (void)state;
  aq_err err = {0};
  uint16_t port = aq_uv_tcp_bound_port(g_b.tcp);
  char text[16];
  snprintf(text, sizeof text, "127.0.0.1:%u", port);
  assert_int_equal(aq_uv_tcp_listen(g_a.tcp, "127.0.0.1", port, &err), AQ_E_IO);
  assert_non_null(strstr(err.text, text));
  assert_int_equal(aq_uv_tcp_listen(g_a.tcp, "127.0.0.1", 0, &err), AQ_OK);
  assert_int_not_equal(aq_uv_tcp_bound_port(g_a.tcp), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_exchange, setup, teardown),
      cmocka_unit_test_setup_teardown(test_bulk, setup, teardown),
      cmocka_unit_test_setup_teardown(test_back_pressure, setup, teardown),
      cmocka_unit_test_setup_teardown(test_dial_fails, setup, teardown),
      cmocka_unit_test_setup_teardown(test_read_turns, setup, teardown),
      cmocka_unit_test_setup_teardown(test_accept_turns, setup, teardown),
      cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(test_close_early, setup, teardown),
      cmocka_unit_test_setup_teardown(test_address_taken, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
