/* Frames, streams and windows of a multiplexer, both ways, without sockets. */
#include "p2p/yamux.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/map.h"

enum { HEADER_LEN = 12, PONGS_MAX = 32, REFUSED_MAX = 64, EVENTS_MAX = 4, ROOM_MIN = 1024 };
enum { TYPE_DATA = 0, TYPE_WINDOW = 1, TYPE_PING = 2, TYPE_GOAWAY = 3 };
enum { SYN = 1, ACK = 2, FIN = 4, RST = 8, FLAGS_ALL = 15 };
#define PING_EVERY_NS AQ_SECONDS(30)
#define PONG_LIMIT_NS AQ_SECONDS(10)
#define LINGER_NS AQ_SECONDS(30)

typedef struct {
  aq_list ready, linger, sent; /* nodes of the lists of aq_yamux; self-linked when in none */
  uint32_t id;
  bool ours, counted; /* counted: ours, its SYN may leave or has left, and is not acknowledged */
  bool syn_due, ack_due, fin_due, rst_due;
  bool fin_out, fin_in, rst_in;
  bool keep;  /* the output stays whole until the end */
  bool owned; /* false: before own, and after release or reset */
  void *owner;
  aq_buf out;
  size_t out_off;
  uint64_t send_credit;
  uint32_t recv_credit; /* what the other side may still send */
  uint32_t held;        /* received, from the header on, and not yet credited */
  uint32_t window;      /* recv_credit + held is brought back to this */
  uint32_t rst_code;
  uint64_t linger_ns;
} stream;

struct aq_yamux {
  aq_yamux_cfg cfg;
  aq_map streams;
  uint32_t ours_cnt, theirs_cnt, unacked_cnt, next_id;
  aq_list fast, bulk; /* streams with a frame to leave: control and short output first */
  aq_list syn_wait;   /* opened while too many are not acknowledged */
  aq_list linger;     /* released, in the order of their end */
  aq_list sent;       /* owe their owner an EV_SENT */
  aq_yamux_ev event[EVENTS_MAX];
  uint32_t event_cnt, event_pos;

  uint8_t head[HEADER_LEN]; /* the frame being read */
  uint32_t head_len, body_left;
  stream *ended;       /* its RESET was taken by the owner, who may still reclaim */
  stream *body_stream; /* NULL: the body is skipped */
  bool body_fin;

  uint32_t pong[PONGS_MAX], pong_cnt;
  uint32_t refused[REFUSED_MAX], refused_cnt;
  bool ping_due, ping_out, goaway_due, dead;
  uint32_t ping_id, goaway_code;
  uint64_t now_ns, ping_at_ns, ping_due_ns, ping_sent_ns, recv_ns;
};

/* ---- streams ---- */

static stream *find(const aq_yamux *y, uint32_t id) { return aq_map_get(&y->streams, &id); }

static stream *find_owned(const aq_yamux *y, uint32_t id) {
  stream *s = find(y, id);
  AQ_ASSERT(s && !s->rst_due);
  return s;
}

static size_t unsent(const stream *s) { return s->out.len - s->out_off; }

/* Credit that would bring the window back to its size. */
static uint32_t grant(const stream *s) {
  uint32_t open = s->recv_credit + s->held;
  return s->fin_in || open >= s->window ? 0 : s->window - open;
}

static bool window_due(const stream *s) { return grant(s) >= s->window / 2; }
static bool data_due(const stream *s) { return unsent(s) > 0 && s->send_credit > 0; }
static bool has_work(const stream *s) {
  return s->syn_due || s->ack_due || s->rst_due || window_due(s) || data_due(s) || (s->fin_due && unsent(s) == 0);
}

static void make_ready(aq_yamux *y, stream *s) {
  if (s->syn_due && s->ours && !s->counted) return; /* waits in syn_wait */
  aq_list_remove(&s->ready);
  if (!has_work(s)) return;
  bool fast = s->syn_due || s->ack_due || s->rst_due || window_due(s) || unsent(s) <= AQ_YAMUX_SMALL;
  aq_list_push(fast ? &y->fast : &y->bulk, &s->ready);
}

static void count_syn(aq_yamux *y, stream *s) {
  s->counted = true;
  y->unacked_cnt++;
  make_ready(y, s);
}

/* The other side has taken the stream, or it is gone: the next one may be opened. */
static void uncount_syn(aq_yamux *y, stream *s) {
  if (!s->counted) return;
  s->counted = false;
  y->unacked_cnt--;
  if (aq_list_empty(&y->syn_wait)) return;
  stream *next = AQ_CONTAINER(y->syn_wait.next, stream, ready);
  aq_list_remove(&next->ready);
  count_syn(y, next);
}

static stream *stream_add(aq_yamux *y, uint32_t id, bool ours) {
  stream *s = calloc(1, sizeof *s);
  AQ_ASSERT(s);
  aq_list_init(&s->ready), aq_list_init(&s->linger), aq_list_init(&s->sent);
  s->id = id;
  s->ours = ours;
  s->send_credit = s->recv_credit = s->window = AQ_YAMUX_WINDOW;
  aq_buf_init(&s->out, AQ_YAMUX_OUT_MAX);
  aq_status st = aq_map_put(&y->streams, &id, s);
  AQ_ASSERT(st == AQ_OK);
  *(ours ? &y->ours_cnt : &y->theirs_cnt) += 1;
  return s;
}

static void stream_free(aq_yamux *y, stream *s) {
  if (y->body_stream == s) y->body_stream = NULL;
  *(s->ours ? &y->ours_cnt : &y->theirs_cnt) -= 1;
  aq_list_remove(&s->ready), aq_list_remove(&s->linger), aq_list_remove(&s->sent);
  uncount_syn(y, s);
  aq_map_del(&y->streams, &s->id);
  aq_buf_free(&s->out);
  free(s);
}

static void free_ended(aq_yamux *y) {
  if (y->ended) stream_free(y, y->ended);
  y->ended = NULL;
}

static void free_if_done(aq_yamux *y, stream *s) {
  if (!s->owned && s->fin_out && s->fin_in && !s->rst_due && !s->rst_in) stream_free(y, s);
}

/* ---- life ---- */

aq_yamux *aq_yamux_new(const aq_yamux_cfg *cfg, uint64_t now_ns) {
  aq_yamux *y = calloc(1, sizeof *y);
  AQ_ASSERT(y);
  y->cfg = *cfg;
  aq_map_init(&y->streams, sizeof(uint32_t), 2 * (size_t)cfg->streams_max, cfg->seed);
  y->next_id = cfg->client ? 1 : 2;
  aq_list_init(&y->fast), aq_list_init(&y->bulk), aq_list_init(&y->syn_wait);
  aq_list_init(&y->linger), aq_list_init(&y->sent);
  y->now_ns = y->recv_ns = y->ping_due_ns = now_ns;
  y->ping_due = y->ping_out = true;
  return y;
}

void aq_yamux_free(aq_yamux *y) {
  if (!y) return;
  stream *s;
  for (size_t it = 0; (s = aq_map_next(&y->streams, &it, NULL));) {
    aq_buf_free(&s->out);
    free(s);
  }
  aq_map_free(&y->streams);
  free(y);
}

/* ---- reading ---- */

static void emit(aq_yamux *y, aq_yamux_ev ev) {
  AQ_ASSERT(y->event_cnt < EVENTS_MAX);
  y->event[y->event_cnt++] = ev;
}

static aq_status violation(aq_yamux *y, aq_status st) {
  aq_yamux_goaway(y, AQ_YAMUX_CODE_PROTOCOL);
  return st;
}

/* A SYN: the new stream in *out, or NULL when it is refused. */
static aq_status accept_stream(aq_yamux *y, stream **out, uint32_t id) {
  bool theirs = (id & 1) == (y->cfg.client ? 0 : 1);
  *out = NULL;
  if (id == 0 || !theirs || find(y, id)) return violation(y, AQ_E_FORMAT);
  if (y->dead) return AQ_OK;
  if (y->theirs_cnt >= y->cfg.streams_max) {
    if (y->refused_cnt == REFUSED_MAX) return violation(y, AQ_E_LIMIT);
    y->refused[y->refused_cnt++] = id;
    return AQ_OK;
  }
  *out = stream_add(y, id, false);
  (*out)->ack_due = true;
  make_ready(y, *out);
  emit(y, (aq_yamux_ev){.kind = AQ_YAMUX_EV_OPENED, .stream = id});
  return AQ_OK;
}

static void fin_received(aq_yamux *y, stream *s) {
  if (s->fin_in) return;
  s->fin_in = true;
  make_ready(y, s); /* no window is due any more */
  emit(y, (aq_yamux_ev){.kind = AQ_YAMUX_EV_FIN, .stream = s->id});
}

static void rst_received(aq_yamux *y, stream *s, uint32_t code) {
  if (s->rst_due) {
    stream_free(y, s);
    return;
  }
  s->rst_in = true;
  emit(y, (aq_yamux_ev){.kind = AQ_YAMUX_EV_RESET, .stream = s->id, .code = code});
}

static void credit_received(aq_yamux *y, stream *s, uint32_t credit) {
  s->send_credit += credit;
  if (s->send_credit > UINT32_MAX) s->send_credit = UINT32_MAX;
  make_ready(y, s);
}

static aq_status stream_frame(aq_yamux *y, uint8_t type, uint16_t flags, uint32_t id, uint32_t len) {
  stream *s;
  if (flags & SYN) {
    aq_status st = accept_stream(y, &s, id);
    if (st != AQ_OK) return st;
  } else {
    s = find(y, id);
  }
  if (type == TYPE_DATA) {
    y->body_left = len;
    y->body_stream = NULL;
    y->body_fin = false;
  }
  if (!s) return AQ_OK; /* skipped, never answered (wire.md 2.6) */
  if (flags & ACK) uncount_syn(y, s);
  if (flags & RST) {
    rst_received(y, s, type == TYPE_WINDOW ? len : 0);
    return AQ_OK;
  }
  if (type == TYPE_WINDOW) {
    if (len) credit_received(y, s, len);
    if (flags & FIN) fin_received(y, s);
    return AQ_OK;
  }
  if (len > s->recv_credit) return violation(y, AQ_E_LIMIT);
  s->recv_credit -= len;
  s->held += len;
  y->body_stream = s->fin_in ? NULL : s;
  y->body_fin = (flags & FIN) != 0;
  if (len == 0 && y->body_fin) fin_received(y, s);
  return AQ_OK;
}

static aq_status ping_frame(aq_yamux *y, uint16_t flags, uint32_t id) {
  if (flags & SYN) {
    /* An excess of unanswered pings is a flood: only the oldest get an answer. */
    if (y->pong_cnt < PONGS_MAX) y->pong[y->pong_cnt++] = id;
    return AQ_OK;
  }
  if (!(flags & ACK) || !y->ping_out || y->ping_due || id != y->ping_id) return AQ_OK;
  y->ping_out = false;
  y->ping_at_ns = y->now_ns + PING_EVERY_NS;
  emit(y, (aq_yamux_ev){.kind = AQ_YAMUX_EV_PONG, .rtt_ns = y->now_ns - y->ping_sent_ns});
  return AQ_OK;
}

static aq_status frame(aq_yamux *y) {
  uint8_t type = y->head[1];
  uint16_t flags = aq_be16_get(y->head + 2);
  uint32_t id = aq_be32_get(y->head + 4), len = aq_be32_get(y->head + 8);
  if (y->head[0] != 0 || (flags & ~FLAGS_ALL)) return violation(y, AQ_E_FORMAT);
  switch (type) {
    case TYPE_DATA:
    case TYPE_WINDOW: return stream_frame(y, type, flags, id, len);
    case TYPE_PING: return ping_frame(y, flags, len);
    case TYPE_GOAWAY:
      y->dead = true;
      emit(y, (aq_yamux_ev){.kind = AQ_YAMUX_EV_GOAWAY, .code = len});
      return AQ_OK;
    default: return violation(y, AQ_E_FORMAT);
  }
}

static void body(aq_yamux *y, size_t *used, aq_bytes in) {
  uint32_t len = in.len < y->body_left ? (uint32_t)in.len : y->body_left;
  stream *s = y->body_stream;
  y->body_left -= len;
  *used = len;
  if (!s) return;
  emit(y, (aq_yamux_ev){.kind = AQ_YAMUX_EV_DATA, .stream = s->id, .data = aq_bytes_of(in.ptr, len)});
  if (y->body_left == 0 && y->body_fin) fin_received(y, s);
}

aq_status aq_yamux_recv(aq_yamux *y, size_t *used, aq_bytes in, uint64_t now_ns) {
  AQ_ASSERT(y->event_pos == y->event_cnt);
  y->event_pos = y->event_cnt = 0;
  free_ended(y);
  y->now_ns = y->recv_ns = now_ns;
  *used = 0;
  if (in.len == 0) return AQ_OK;
  if (y->body_left) {
    body(y, used, in);
    return AQ_OK;
  }
  uint32_t len = HEADER_LEN - y->head_len;
  if (len > in.len) len = (uint32_t)in.len;
  memcpy(y->head + y->head_len, in.ptr, len);
  y->head_len += len;
  *used = len;
  if (y->head_len < HEADER_LEN) return AQ_OK;
  y->head_len = 0;
  return frame(y);
}

/* Owners are looked up late: they may have changed in answer to the event before. */
static bool deliver(aq_yamux *y, aq_yamux_ev *ev) {
  if (ev->kind == AQ_YAMUX_EV_PONG || ev->kind == AQ_YAMUX_EV_GOAWAY) return true;
  stream *s = find(y, ev->stream);
  if (!s || s->rst_due) return false;
  if (ev->kind == AQ_YAMUX_EV_OPENED) return true;
  bool owned = s->owned;
  ev->owner = s->owner;
  if (ev->kind == AQ_YAMUX_EV_RESET)
    y->ended = s;
  else if (ev->kind == AQ_YAMUX_EV_FIN)
    free_if_done(y, s);
  return owned;
}

bool aq_yamux_next(aq_yamux *y, aq_yamux_ev *ev) {
  free_ended(y);
  while (y->event_pos < y->event_cnt) {
    *ev = y->event[y->event_pos++];
    if (deliver(y, ev)) return true;
  }
  while (!aq_list_empty(&y->sent)) {
    stream *s = AQ_CONTAINER(y->sent.next, stream, sent);
    aq_list_remove(&s->sent);
    if (!s->owned || unsent(s) > 0 || s->fin_due) continue;
    *ev = (aq_yamux_ev){.kind = AQ_YAMUX_EV_SENT, .stream = s->id, .owner = s->owner};
    return true;
  }
  return false;
}

/* ---- writing ---- */

static size_t put_header(uint8_t *out, uint8_t type, uint16_t flags, uint32_t id, uint32_t len) {
  out[0] = 0;
  out[1] = type;
  aq_be16_put(out + 2, flags);
  aq_be32_put(out + 4, id);
  aq_be32_put(out + 8, len);
  return HEADER_LEN;
}

static uint16_t open_flags(stream *s) {
  uint16_t flags = (uint16_t)((s->syn_due ? SYN : 0) | (s->ack_due ? ACK : 0));
  s->syn_due = s->ack_due = false;
  return flags;
}

static void drop_sent(stream *s) {
  if (unsent(s) > 0 || s->keep) return;
  if (s->out.cap > AQ_YAMUX_SMALL)
    aq_buf_free(&s->out);
  else
    aq_buf_reset(&s->out);
  s->out_off = 0;
}

static size_t put_data(stream *s, uint8_t *out, size_t room) {
  size_t len = unsent(s);
  if (len > s->send_credit) len = (size_t)s->send_credit;
  if (len > AQ_YAMUX_BODY_MAX) len = AQ_YAMUX_BODY_MAX;
  if (len > room - HEADER_LEN) {
    if (room < ROOM_MIN) return 0; /* rather at the start of the next message than in crumbs */
    len = room - HEADER_LEN;
  }
  put_header(out, TYPE_DATA, open_flags(s), s->id, (uint32_t)len);
  memcpy(out + HEADER_LEN, s->out.ptr + s->out_off, len);
  s->out_off += len;
  s->send_credit -= len;
  drop_sent(s);
  return HEADER_LEN + len;
}

/* One frame of a stream that has work; the stream may be gone afterwards. 0: no room. */
static size_t put_stream(aq_yamux *y, stream *s, uint8_t *out, size_t room) {
  size_t len;
  bool wrote = true;
  if (s->rst_due) {
    len = put_header(out, TYPE_WINDOW, RST, s->id, s->rst_code);
    stream_free(y, s);
    return len;
  }
  if (window_due(s) || ((s->syn_due || s->ack_due) && !data_due(s))) {
    uint32_t credit = window_due(s) ? grant(s) : 0;
    s->recv_credit += credit;
    len = put_header(out, TYPE_WINDOW, open_flags(s), s->id, credit);
    wrote = false;
  } else if (data_due(s)) {
    len = put_data(s, out, room);
    if (len == 0) return 0;
  } else {
    AQ_ASSERT(s->fin_due && unsent(s) == 0);
    len = put_header(out, TYPE_WINDOW, FIN, s->id, 0);
    s->fin_due = false;
    s->fin_out = true;
  }
  if (wrote && unsent(s) == 0 && !s->fin_due && s->owned) {
    aq_list_remove(&s->sent);
    aq_list_push(&y->sent, &s->sent);
  }
  make_ready(y, s);
  free_if_done(y, s);
  return len;
}

static size_t put_control(aq_yamux *y, uint8_t *out, size_t room) {
  size_t len = 0;
  uint32_t pongs = 0, refused = 0;
  while (pongs < y->pong_cnt && room - len >= HEADER_LEN) {
    len += put_header(out + len, TYPE_PING, ACK, 0, y->pong[pongs++]);
  }
  y->pong_cnt -= pongs;
  memmove(y->pong, y->pong + pongs, y->pong_cnt * sizeof y->pong[0]);
  if (y->ping_due && room - len >= HEADER_LEN) {
    len += put_header(out + len, TYPE_PING, SYN, 0, y->ping_id);
    y->ping_due = false;
    y->ping_sent_ns = y->now_ns;
  }
  while (refused < y->refused_cnt && room - len >= HEADER_LEN) {
    len += put_header(out + len, TYPE_WINDOW, RST, y->refused[refused++], AQ_YAMUX_RST_LIMIT);
  }
  y->refused_cnt -= refused;
  memmove(y->refused, y->refused + refused, y->refused_cnt * sizeof y->refused[0]);
  if (y->goaway_due && room - len >= HEADER_LEN) {
    len += put_header(out + len, TYPE_GOAWAY, 0, 0, y->goaway_code);
    y->goaway_due = false;
  }
  return len;
}

size_t aq_yamux_send(aq_yamux *y, uint8_t *out, size_t out_len, uint64_t now_ns) {
  y->now_ns = now_ns;
  free_ended(y);
  size_t len = put_control(y, out, out_len);
  if (y->dead) return len;
  while (out_len - len >= HEADER_LEN + 1) {
    aq_list *from = aq_list_empty(&y->fast) ? &y->bulk : &y->fast;
    if (aq_list_empty(from)) break;
    size_t put = put_stream(y, AQ_CONTAINER(from->next, stream, ready), out + len, out_len - len);
    if (put == 0) break;
    len += put;
  }
  return len;
}

bool aq_yamux_due(const aq_yamux *y) {
  if (y->pong_cnt || y->ping_due || y->refused_cnt || y->goaway_due) return true;
  return !y->dead && (!aq_list_empty(&y->fast) || !aq_list_empty(&y->bulk));
}

/* ---- owners ---- */

aq_status aq_yamux_open(aq_yamux *y, uint32_t *id, void *owner) {
  if (y->dead || y->next_id > UINT32_MAX - 2) return AQ_E_CLOSED;
  if (y->ours_cnt >= y->cfg.streams_max) return AQ_E_LIMIT;
  stream *s = stream_add(y, y->next_id, true);
  y->next_id += 2;
  s->owned = true;
  s->owner = owner;
  s->syn_due = true;
  if (y->unacked_cnt < AQ_YAMUX_UNACKED_MAX)
    count_syn(y, s);
  else
    aq_list_push(&y->syn_wait, &s->ready);
  *id = s->id;
  return AQ_OK;
}

void aq_yamux_own(aq_yamux *y, uint32_t id, void *owner) {
  stream *s = find_owned(y, id);
  s->owned = true;
  s->owner = owner;
}

void *aq_yamux_owner(const aq_yamux *y, uint32_t id) {
  const stream *s = find(y, id);
  return s && s->owned && s != y->ended ? s->owner : NULL;
}

aq_status aq_yamux_write(aq_yamux *y, uint32_t id, aq_bytes data) {
  stream *s = find_owned(y, id);
  AQ_ASSERT(!s->fin_due && !s->fin_out);
  if (data.len > AQ_YAMUX_OUT_MAX - unsent(s)) return AQ_E_LIMIT;
  AQ_ASSERT(!s->keep);
  if (s->out_off > 0) {
    aq_buf_drop_front(&s->out, s->out_off);
    s->out_off = 0;
  }
  aq_buf_put_bytes(&s->out, data);
  AQ_ASSERT(!s->out.failed);
  make_ready(y, s);
  return AQ_OK;
}

aq_status aq_yamux_give(aq_yamux *y, uint32_t id, aq_buf *data) {
  stream *s = find_owned(y, id);
  aq_status st = aq_buf_status(data);
  if (st == AQ_OK && (unsent(s) > 0 || data->len > AQ_YAMUX_OUT_MAX)) {
    st = aq_yamux_write(y, id, aq_buf_bytes(data));
    if (st == AQ_OK) aq_buf_free(data);
    return st;
  }
  if (st != AQ_OK) return st;
  AQ_ASSERT(!s->fin_due && !s->fin_out);
  aq_buf_free(&s->out);
  s->out = *data;
  s->out.max = AQ_YAMUX_OUT_MAX;
  s->out_off = 0;
  *data = AQ_BUF(data->max);
  make_ready(y, s);
  return AQ_OK;
}

void aq_yamux_keep(aq_yamux *y, uint32_t id) { find_owned(y, id)->keep = true; }

bool aq_yamux_reclaim(aq_yamux *y, uint32_t id, aq_buf *data) {
  stream *s = find_owned(y, id);
  if (!s->keep || s->out.len == 0) return false;
  aq_list_remove(&s->ready);
  *data = s->out;
  aq_buf_init(&s->out, AQ_YAMUX_OUT_MAX);
  s->out_off = 0;
  return true;
}

size_t aq_yamux_unsent(const aq_yamux *y, uint32_t id) { return unsent(find_owned(y, id)); }

void aq_yamux_credit(aq_yamux *y, uint32_t id, size_t bytes) {
  stream *s = find_owned(y, id);
  AQ_ASSERT(bytes <= s->held);
  s->held -= (uint32_t)bytes;
  if (window_due(s)) make_ready(y, s);
}

void aq_yamux_window(aq_yamux *y, uint32_t id, size_t window) {
  stream *s = find_owned(y, id);
  if (window > AQ_YAMUX_WINDOW_MAX) window = AQ_YAMUX_WINDOW_MAX;
  s->window = window < AQ_YAMUX_WINDOW ? AQ_YAMUX_WINDOW : (uint32_t)window;
  make_ready(y, s);
}

void aq_yamux_close(aq_yamux *y, uint32_t id) {
  stream *s = find_owned(y, id);
  if (s->fin_due || s->fin_out) return;
  s->fin_due = true;
  make_ready(y, s);
}

void aq_yamux_reset(aq_yamux *y, uint32_t id, uint32_t code) {
  stream *s = find_owned(y, id);
  s->owned = false;
  s->owner = NULL;
  if (s->rst_in) return; /* freed when its event is taken */
  if ((s->ours && s->syn_due) || (s->fin_in && s->fin_out)) {
    stream_free(y, s);
    return;
  }
  s->rst_due = true;
  s->rst_code = code;
  aq_buf_free(&s->out);
  s->out_off = 0;
  make_ready(y, s);
}

void aq_yamux_release(aq_yamux *y, uint32_t id) {
  stream *s = find_owned(y, id);
  aq_yamux_close(y, id);
  s->owned = false;
  s->owner = NULL;
  s->keep = false;
  drop_sent(s);
  if (s->rst_in) return;
  s->linger_ns = y->now_ns + LINGER_NS;
  aq_list_push(&y->linger, &s->linger);
  free_if_done(y, s);
}

void aq_yamux_goaway(aq_yamux *y, uint32_t code) {
  y->goaway_due = true;
  y->goaway_code = code;
  y->dead = true;
}

uint32_t aq_yamux_streams(const aq_yamux *y) { return y->ours_cnt + y->theirs_cnt; }

/* ---- time ---- */

static uint64_t pong_deadline(const aq_yamux *y) {
  uint64_t since = y->recv_ns > y->ping_due_ns ? y->recv_ns : y->ping_due_ns;
  return since + PONG_LIMIT_NS;
}

uint64_t aq_yamux_deadline_ns(const aq_yamux *y) {
  uint64_t at = y->ping_out ? pong_deadline(y) : y->ping_at_ns;
  if (!aq_list_empty(&y->linger)) {
    const stream *s = AQ_CONTAINER(y->linger.next, stream, linger);
    if (s->linger_ns < at) at = s->linger_ns;
  }
  return at;
}

aq_status aq_yamux_tick(aq_yamux *y, uint64_t now_ns) {
  y->now_ns = now_ns;
  while (!aq_list_empty(&y->linger)) {
    stream *s = AQ_CONTAINER(y->linger.next, stream, linger);
    if (s->linger_ns > now_ns) break;
    aq_list_remove(&s->linger);
    if (!s->rst_due && !s->rst_in) aq_yamux_reset(y, s->id, AQ_YAMUX_CODE_NONE);
  }
  if (y->ping_out) return now_ns >= pong_deadline(y) ? AQ_E_TIMEOUT : AQ_OK;
  if (now_ns >= y->ping_at_ns) {
    y->ping_due = y->ping_out = true;
    y->ping_due_ns = now_ns;
    y->ping_id++;
  }
  return AQ_OK;
}
