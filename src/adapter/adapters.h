/* adapter/adapters.h - constructors of the production ports over one aq_loop. Each object is freed before the loop. */
#ifndef AQ_ADAPTER_ADAPTERS_H
#define AQ_ADAPTER_ADAPTERS_H

#include "adapter/loop.h"
#include "port/http.h"
#include "port/store.h"
#include "port/tcp.h"

/* TCP with libuv: keep-alive 30 s, no delay, names resolved by the loop's threads. */
typedef struct aq_uv_tcp aq_uv_tcp;
aq_uv_tcp *aq_uv_tcp_new(aq_loop *l);
AQ_NODISCARD aq_status aq_uv_tcp_listen(aq_uv_tcp *t, const char *host, uint16_t port,
                                        aq_err *err); /* may be called more than once */
const aq_tcp *aq_uv_tcp_port(aq_uv_tcp *t);
uint16_t aq_uv_tcp_bound_port(const aq_uv_tcp *t); /* of the first listener; for port 0 */
void aq_uv_tcp_free(aq_uv_tcp *t);

/* HTTP/1.1 server: strict heads, bounded work a turn and bounded memory; limits beside their decoders in http_server.c
   and http_parse.h. */
typedef struct aq_http_server aq_http_server;
typedef struct {
  const char *host;
  uint16_t port;
  uint32_t conns_max;      /* 256 */
  uint32_t idle_timeout_s; /* 120 */
} aq_http_server_cfg;
AQ_NODISCARD aq_status aq_http_server_new(aq_http_server **out, aq_loop *l, const aq_http_server_cfg *cfg,
                                          const aq_http_handler *h, aq_err *err);
uint16_t aq_http_server_port(const aq_http_server *s);
size_t aq_http_server_held(const aq_http_server *s); /* bytes of heads, bodies and answers in memory */
void aq_http_server_free(aq_http_server *s);         /* open answers are cut */

/* HTTP client with libcurl multi. */
typedef struct aq_curl aq_curl;
aq_curl *aq_curl_new(aq_loop *l);
const aq_httpc *aq_curl_port(aq_curl *c);
/* Before the first request: certificates (PEM) of a private CA to be believed besides, file NULL or "": none, and
   SSL_CERT_FILE instead of the machine's. need: TLS will be spoken (adapter/ca.h). */
AQ_NODISCARD aq_status aq_curl_trust(aq_curl *c, const char *file, bool need, aq_err *err);
void aq_curl_free(aq_curl *c);

/* The SQLite store, on its own thread (port/store.h, contract.md 7.1). identity: lock hash and operator index; a
   database of another cluster is refused. AQ_E_EXISTS: another process has it open. AQ_E_IO with why: neither the
   database nor the backup is sound and accept_empty is not set. */
typedef struct aq_sqlite aq_sqlite;
typedef struct {
  const char *path; /* aequa.db */
  uint8_t lock_hash[32];
  uint32_t self;
  bool accept_empty;
  const aq_env
      *by_hand; /* tests: no thread and no loop (l NULL), the clock is this one's; aq_sqlite_turn does the work */
} aq_sqlite_cfg;
/* What stands for lock_hash in the built-in client's database, which belongs to no cluster (self 0). */
void aq_sqlite_client_hash(uint8_t out[32]);
AQ_NODISCARD aq_status aq_sqlite_open(aq_sqlite **out, aq_loop *l, const aq_sqlite_cfg *cfg, aq_err *err);
const aq_store *aq_sqlite_port(aq_sqlite *s);
void aq_sqlite_close(aq_sqlite *s); /* commits what is queued */
bool aq_sqlite_turn(
    aq_sqlite *s); /* by_hand: one batch or one step of a backup, and its answers. false: nothing to do */

#endif
