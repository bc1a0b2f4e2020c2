/* p2p/switch.h - connections, streams, identify and ping with anybody over any pipe. A *link* is one connection: pipe,
   Noise, yamux. A *remote* is who is at its other end, known by a key; it may have several links. A *stream* speaks one
   row of the table of services that the switch was given (p2p/services.h). Does not know who may connect, where anybody
   is, nor what a cluster is: its user dials, accepts, decides in `secured`, and tries again. A core: bytes in, bytes
   out, timers through aq_env. Spec: wire.md 2, 3, 5.

   Limits: those of a remote are aq_remote_limits. A stranger costs some KiB, 3 KiB for each stream that it opens (64 at
   once, 8 a second), and what its streams of pattern STREAM hold; there are AQ_SWITCH_STRANGERS_MAX.
   Callbacks come from inside aq_link_data, aq_link_writable, aq_link_broken, aq_link_close, aq_link_flush and timers.
   Any of these may end a link and with it its streams: who holds one hears of it by `ended`, `failed` or `lost`. Inside
   any callback everything may be done but aq_switch_stop and aq_switch_free. */
#ifndef AQ_P2P_SWITCH_H
#define AQ_P2P_SWITCH_H

#include "base/bucket.h"
#include "base/line_limit.h"
#include "base/list.h"
#include "crypto/k1.h"
#include "p2p/conn.h"
#include "p2p/identify.h"
#include "p2p/pipe.h"
#include "p2p/services.h"
#include "port/env.h"

enum {
  AQ_REMOTE_LINKS_MAX = 8,             /* of a member: a ninth ends the oldest */
  AQ_REMOTE_RX_MAX = 80 * 1024 * 1024, /* of a member: two big messages and small ones */
  AQ_SWITCH_REPLIES_MAX = 256,         /* requests of all remotes that wait for our answer */
  AQ_SWITCH_STRANGERS_MAX = 64,
  AQ_STREAM_UNSENT_MAX = 1024 * 1024 /* of pattern STREAM: four windows */
};

typedef struct aq_switch aq_switch;
typedef struct aq_link aq_link;
typedef struct aq_remote aq_remote;
typedef struct aq_stream aq_stream;
typedef struct aq_reply aq_reply; /* a request that waits for our answer: until respond, refuse or the row's limit */

typedef struct {
  uint32_t links_max;   /* one more ends the oldest */
  uint32_t big_max;     /* messages over the first window that may be under way */
  size_t rx_max;        /* bytes of incomplete messages */
  aq_bucket_size opens; /* streams */
  bool pinged;          /* each 10 s; keep-alive is yamux's business */
} aq_remote_limits;

/* Read only. A member's lives as long as the switch, a stranger's until its last link has ended. */
struct aq_remote {
  aq_list node;
  aq_switch *sw;
  const aq_remote_limits *limits;
  uint8_t key[33];
  const char *label; /* of metrics and log lines; NULL: a stranger, of whom nothing is counted by name */
  void *user;        /* its user may write this */
  aq_list links;     /* aq_link.of_remote of those that are up, newest first */
  uint32_t link_cnt, refs;
  aq_identify_info info; /* of the last answer */
  size_t rx_bytes;       /* held in incomplete messages */
  uint32_t big_cnt;
  aq_list big_wait;
  aq_timer ping;
  uint32_t ping_fails;
  uint64_t in_bytes, out_bytes;              /* since the metrics were last written */
  uint32_t streams[2][AQ_SERVICE_NAMES_MAX]; /* settled ones by direction, ours second */
  uint32_t streams_told[2][AQ_SERVICE_NAMES_MAX];
  aq_bucket opens, asks[AQ_SERVICE_NAMES_MAX]; /* what it may open, and ask for */
  aq_line_limit line_limit, line_bad;
};

/* Read only. Freed on the turn after `ended`. */
struct aq_link {
  aq_list of_switch, of_remote;
  aq_switch *sw;
  aq_remote *remote; /* from `secured` on */
  aq_pipe pipe;
  aq_conn *c;
  aq_conn_scratch *own; /* of a nested one: those below it are at work with the switch's */
  void *user;
  bool inbound, up, dead;
  char addr[AQ_PIPE_ADDR_LEN]; /* "ip:port" of the other end; "": not known */
  uint64_t up_ns;
  aq_list streams;
};

/* All but secured may be NULL. */
typedef struct {
  void *arg;
  /* The other side has proved this key: aq_switch_member's or aq_switch_stranger's, NULL: drop it without a word. */
  aq_remote *(*secured)(void *arg, aq_link *l, const uint8_t key[33]);
  void (*joined)(void *arg, aq_remote *r); /* its only link is up */
  void (*up)(void *arg, aq_link *l);       /* streams may be opened */
  void (*ended)(void *arg, aq_link *l, aq_status st);
  void (*heard)(void *arg, aq_remote *r); /* info is new */
  /* AQ_E_LIMIT: it did something once too often; AQ_E_FORMAT: it broke a framing or holds too much memory. */
  void (*fault)(void *arg, aq_remote *r, aq_status st);
} aq_switch_events;

typedef struct {
  const aq_env *env;
  const aq_k1_key *key;
  const aq_service *rows;
  size_t row_cnt;
  uint32_t role;                   /* one of AQ_ROLE_*: identify lists the rows of this role */
  const char *const *listen_addrs; /* multiaddr text to announce */
  size_t listen_addr_cnt;
  const char *agent;
  aq_switch_events on;
} aq_switch_cfg;

/* All pointers of cfg are borrowed for its life. */
aq_switch *aq_switch_new(const aq_switch_cfg *cfg);
void aq_switch_stop(aq_switch *sw); /* closes all links */
void aq_switch_free(aq_switch *sw);
const uint8_t *aq_switch_key(const aq_switch *sw);
const aq_service_names *aq_switch_names(const aq_switch *sw);
uint64_t aq_switch_bytes(const aq_switch *sw, bool in);
void aq_switch_tell(aq_switch *sw); /* writes the metrics of remotes; each second */

/* ---- who ---- */

aq_remote *aq_switch_member(aq_switch *sw, const uint8_t key[33], const char *label, void *user); /* label: borrowed */
/* The one of that key, or a new one; from inside `secured` only. NULL: too many. */
aq_remote *aq_switch_stranger(aq_switch *sw, const uint8_t key[33]);
/* The link for a new stream: the newest that works, since the other side may have lost older ones without a word; of a
   double dial the one that the smaller key dialled, so that both sides choose the same (wire.md 10.6). NULL: none. */
aq_link *aq_remote_best(aq_remote *r);
void aq_remote_close(aq_remote *r, uint32_t code);       /* all its links that are up */
bool aq_remote_speaks(const aq_remote *r, uint32_t row); /* as far as it has told */

/* ---- links ---- */

/* pipe and addr are copied. Start it when user can take callbacks; it may end inside. */
aq_link *aq_switch_link(aq_switch *sw, const aq_pipe *pipe, bool inbound, const char *addr, void *user);
void aq_link_start(aq_link *l);
void aq_link_data(aq_link *l, aq_bytes in);
void aq_link_writable(aq_link *l);
void aq_link_broken(aq_link *l, aq_status st); /* the pipe is gone */
void aq_link_close(aq_link *l, uint32_t code); /* AQ_YAMUX_CODE_NONE or AQ_YAMUX_AWAY_*; `ended` says AQ_E_CLOSED */
void aq_link_flush(aq_link *l);                /* after its streams were used, else they wait for its next event */
uint32_t aq_link_streams(const aq_link *l);    /* open ones, of an up link */
uint64_t aq_link_rtt_ns(const aq_link *l);     /* 0: not known */

/* ---- what remotes ask ---- */

typedef struct {
  void *arg;
  void (*recv)(void *arg, aq_remote *from, aq_bytes msg);                   /* ONE_WAY */
  void (*serve)(void *arg, aq_remote *from, aq_bytes msg, aq_reply *reply); /* REQUEST */
  void (*opened)(void *arg, aq_remote *from, aq_stream *s); /* STREAM: aq_stream_use inside, or it is refused */
} aq_service_handler;

/* Copied; one handler a row, an empty one takes it away: its streams are refused. The row must be of the role. */
void aq_switch_handle(aq_switch *sw, uint32_t row, const aq_service_handler *h);
/* What the handler that runs now finds wrong with its message, for the metrics; outside of one nothing happens. */
void aq_switch_judge(aq_switch *sw, aq_status st);
void aq_switch_respond(aq_switch *sw, aq_reply *reply, aq_bytes answer);                /* late ones are dropped */
void aq_switch_refuse(aq_switch *sw, aq_reply *reply);                                  /* ends it without an answer */
void aq_switch_count(const aq_service *row, bool tx, const char *result, size_t bytes); /* a message, for the metrics */

/* ---- own streams, and those of pattern STREAM ---- */

/* All but arg may be NULL. In sent (ONE_WAY), answer, failed and lost the stream is gone already. */
typedef struct {
  void *arg;
  void (*settled)(void *arg);              /* own STREAM: the other side speaks it, bytes may be written */
  void (*data)(void *arg, aq_bytes in);    /* STREAM: valid during the call; what is kept of it is paid for by credit */
  void (*fin)(void *arg);                  /* STREAM: no more data will come */
  void (*sent)(void *arg);                 /* ONE_WAY: taken, and all of it has left. STREAM: all written has left */
  void (*answer)(void *arg, aq_bytes msg); /* REQUEST */
  void (*failed)(void *arg, aq_status st); /* AQ_E_CLOSED: refused, or ended without an answer; AQ_E_LIMIT,
                                               AQ_E_TIMEOUT */
  void (*lost)(void *arg);                 /* reset, or its link is gone: may be tried again. NULL: failed is called */
} aq_stream_events;

/* wire: what aq_switch_wire made, borrowed until the stream is gone, and empty while the stream holds its bytes; when
   `lost` is called it is whole again, or empty where some of it has been dropped already. NULL: AQ_E_LIMIT, AQ_E_CLOSED
   in *st, and wire is as it was. Of patterns ONE_WAY and REQUEST. */
aq_stream *aq_stream_send(aq_link *l, aq_status *st, uint32_t row, aq_buf *wire, const aq_stream_events *on);
void aq_switch_wire(const aq_switch *sw, aq_buf *wire, uint32_t row, aq_bytes msg);
/* Of pattern STREAM; 15 s until settled. */
aq_stream *aq_stream_open(aq_link *l, aq_status *st, uint32_t row, const aq_stream_events *on);
void aq_stream_use(aq_stream *s, const aq_stream_events *on); /* inside `opened`; later to hand it to another user */

aq_link *aq_stream_link(const aq_stream *s);
AQ_NODISCARD aq_status aq_stream_write(aq_stream *s, aq_bytes out); /* copied; AQ_E_LIMIT: nothing was taken */
size_t aq_stream_unsent(const aq_stream *s);
void aq_stream_credit(aq_stream *s, size_t len); /* so much data was used up; without it the sender stops at 256 KiB */
void aq_stream_fin(aq_stream *s);                /* nothing more will be written */
/* Both end it without a callback: after what was written, and at once. */
void aq_stream_release(aq_stream *s);
void aq_stream_reset(aq_stream *s, uint32_t code); /* AQ_YAMUX_CODE_NONE or AQ_YAMUX_RST_* */

#endif
