/* Own messages, and streams whose bytes are their user's. */
#include "base/assert.h"
#include "p2p/switch_internal.h"

static aq_yamux *mux_of(const aq_stream *s) { return aq_conn_mux(s->link->c); }
static bool has_aliases(const aq_service *row) { return row->name[1] != NULL; }

/* ---- what the user hears ---- It may end any link then, this one too: the stream is gone before. */

void aq_sw_fail(aq_stream *s, aq_status st, uint32_t code) {
  const aq_stream_events on = s->on;
  aq_stream_reset(s, code);
  if (on.failed) on.failed(on.arg, st);
}

void aq_sw_lose(aq_stream *s) {
  const aq_stream_events on = s->on;
  if (s->wire && s->wire->len == 0) (void)aq_yamux_reclaim(mux_of(s), s->id, s->wire);
  aq_sw_stream_free(s);
  if (on.lost)
    on.lost(on.arg);
  else if (on.failed)
    on.failed(on.arg, AQ_E_CLOSED);
}

/* ---- messages ---- */

void aq_switch_wire(const aq_switch *sw, aq_buf *wire, uint32_t row, aq_bytes msg) {
  const aq_service *service = &sw->cfg.rows[row];
  if (!has_aliases(service)) {
    aq_ms_put(wire, AQ_MS_HEADER);
    aq_ms_put(wire, service->name[0]);
  }
  aq_delimited_put(wire, msg);
}

static void write_message(aq_stream *s, aq_buf *head) {
  aq_yamux *y = mux_of(s);
  aq_buf_put_bytes(head, aq_buf_bytes(s->wire));
  aq_status st = aq_yamux_write(y, s->id, aq_buf_bytes(head));
  AQ_ASSERT(st == AQ_OK); /* over the limit of a stream only when over the row's, which was checked */
  aq_yamux_close(y, s->id);
  s->written = true;
}

/* A name that the peer lists leaves with the message, and so does an only one; of two they are tried first. */
static void begin(aq_stream *s, uint32_t row, bool lazy) {
  const aq_service_names *n = &s->link->sw->names;
  uint32_t cnt, svc = aq_service_offer(&cnt, n, row, s->link->remote->info.known);
  aq_buf head = AQ_BUF(AQ_YAMUX_OUT_MAX);
  aq_ms_propose(&s->propose, &n->name[svc], cnt, &head);
  if (cnt == 1 && lazy) {
    write_message(s, &head);
  } else {
    aq_status st = aq_yamux_write(mux_of(s), s->id, aq_buf_bytes(&head));
    AQ_ASSERT(st == AQ_OK);
  }
  aq_buf_free(&head);
}

/* Of one name: the memory of the message itself. */
static void begin_whole(aq_stream *s, uint32_t row) {
  const aq_service_names *n = &s->link->sw->names;
  aq_yamux *y = mux_of(s);
  aq_buf head = AQ_BUF(AQ_MS_TOKEN_MAX);
  aq_ms_propose(&s->propose, &n->name[n->first[row]], 1, &head); /* its bytes lead the message's */
  aq_buf_free(&head);
  aq_status st = aq_yamux_give(y, s->id, s->wire);
  AQ_ASSERT(st == AQ_OK);
  aq_yamux_keep(y, s->id);
  aq_yamux_close(y, s->id);
  s->written = true;
}

aq_stream *aq_stream_send(aq_link *l, aq_status *st, uint32_t row, aq_buf *wire, const aq_stream_events *on) {
  const aq_service *service = &l->sw->cfg.rows[row];
  AQ_ASSERT(l->up && row < l->sw->cfg.row_cnt && service->pattern != AQ_PATTERN_STREAM);
  aq_stream *s = aq_sw_stream_open(l, AQ_STREAM_MESSAGE, st);
  if (!s) return NULL;
  s->row = service;
  s->on = *on;
  s->wire = wire;
  if (has_aliases(service))
    begin(s, row, true);
  else
    begin_whole(s, row);
  return s;
}

static void end_if_delivered(aq_stream *s) {
  if (s->row->pattern == AQ_PATTERN_REQUEST || !s->settled || !s->sent) return;
  const aq_stream_events on = s->on;
  aq_stream_release(s);
  if (on.sent) on.sent(on.arg);
}

void aq_sw_own_settled(aq_stream *s) {
  if (s->kind == AQ_STREAM_RAW) {
    aq_timer_cancel(s->link->sw->env, &s->timer);
    s->raw = true;
    if (s->on.settled) s->on.settled(s->on.arg);
    return;
  }
  aq_delimited_init(&s->msg, s->row->msg_max);
  if (!s->written) {
    aq_buf empty = AQ_BUF(AQ_YAMUX_OUT_MAX);
    write_message(s, &empty);
    aq_buf_free(&empty);
  }
  end_if_delivered(s);
}

void aq_sw_own_sent(aq_stream *s) {
  if (s->kind == AQ_STREAM_MESSAGE) {
    s->sent = s->written;
    end_if_delivered(s);
  } else if (s->raw && s->on.sent) {
    s->on.sent(s->on.arg);
  }
}

void aq_sw_own_answer(aq_stream *s, aq_bytes msg) {
  const aq_stream_events on = s->on;
  aq_switch_count(s->row, false, "ok", msg.len);
  aq_stream_release(s);
  if (on.answer) on.answer(on.arg, msg);
}

/* ---- bytes ---- */

aq_stream *aq_stream_open(aq_link *l, aq_status *st, uint32_t row, const aq_stream_events *on) {
  const aq_service *service = &l->sw->cfg.rows[row];
  AQ_ASSERT(l->up && row < l->sw->cfg.row_cnt && service->pattern == AQ_PATTERN_STREAM);
  aq_stream *s = aq_sw_stream_open(l, AQ_STREAM_RAW, st);
  if (!s) return NULL;
  s->row = service;
  s->on = *on;
  begin(s, row, false);
  aq_sw_stream_timer(s, AQ_SW_NEGOTIATE_NS);
  return s;
}

void aq_stream_use(aq_stream *s, const aq_stream_events *on) {
  AQ_ASSERT(s->row->pattern == AQ_PATTERN_STREAM);
  s->on = *on;
  s->raw = s->settled;
}

aq_link *aq_stream_link(const aq_stream *s) { return s->link; }

aq_status aq_stream_write(aq_stream *s, aq_bytes out) {
  AQ_ASSERT(s->raw);
  if (aq_stream_unsent(s) + out.len > AQ_STREAM_UNSENT_MAX) return AQ_E_LIMIT;
  return aq_yamux_write(mux_of(s), s->id, out);
}

size_t aq_stream_unsent(const aq_stream *s) { return aq_yamux_unsent(mux_of(s), s->id); }
void aq_stream_credit(aq_stream *s, size_t len) { aq_yamux_credit(mux_of(s), s->id, len); }
void aq_stream_fin(aq_stream *s) { aq_yamux_close(mux_of(s), s->id); }
