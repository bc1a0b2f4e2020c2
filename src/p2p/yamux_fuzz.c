/* Frames of a stranger in any order: streams, windows and memory hold their limits. */
#include "p2p/yamux.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { STREAMS = 8, WIRE_MAX = 1 << 20 };

/* An owner that does, in turn, everything an owner may do. */
static void events(aq_yamux *y, uint32_t *turn) {
  static int owner;
  aq_yamux_ev ev;
  while (aq_yamux_next(y, &ev)) {
    switch (ev.kind) {
      case AQ_YAMUX_EV_OPENED:
        if (++*turn % 7 == 0) {
          aq_yamux_reset(y, ev.stream, 1);
          break;
        }
        aq_yamux_own(y, ev.stream, &owner);
        if (*turn % 3 == 0) aq_yamux_window(y, ev.stream, 1u << 20);
        break;
      case AQ_YAMUX_EV_DATA:
        AQ_ASSERT(ev.owner == &owner);
        if (++*turn % 5) aq_yamux_credit(y, ev.stream, ev.data.len);
        if (*turn % 4 == 0 && aq_yamux_write(y, ev.stream, ev.data) != AQ_OK) return;
        if (*turn % 11 == 0)
          aq_yamux_reset(y, ev.stream, 2);
        else if (*turn % 13 == 0)
          aq_yamux_release(y, ev.stream);
        break;
      case AQ_YAMUX_EV_FIN:
        if (++*turn % 2) aq_yamux_release(y, ev.stream);
        break;
      case AQ_YAMUX_EV_RESET:
      case AQ_YAMUX_EV_SENT:
      case AQ_YAMUX_EV_PONG:
      case AQ_YAMUX_EV_GOAWAY: break;
    }
  }
}

/* The first byte: role and pieces. The rest: what the other side sends. What leaves must be whole frames within the
   credit. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static uint8_t wire[WIRE_MAX];
  static int owner;
  if (len == 0) return 0;
  aq_yamux *y = aq_yamux_new(&(aq_yamux_cfg){.client = data[0] & 1, .streams_max = STREAMS}, 0);
  size_t step = (size_t)(data[0] >> 1) + 1;
  uint32_t turn = 0, id;
  uint64_t now = 0;
  if (data[0] & 0x80 && aq_yamux_open(y, &id, &owner) == AQ_OK) aq_yamux_release(y, id);
  aq_status st = AQ_OK;
  for (size_t off = 1; off < len && st == AQ_OK;) {
    size_t end = len - off < step ? len : off + step;
    while (off < end && st == AQ_OK) {
      size_t used;
      st = aq_yamux_recv(y, &used, aq_bytes_of(data + off, end - off), now);
      off += used;
      events(y, &turn);
    }
    now += AQ_MILLIS(700);
    if (turn % 2) AQ_ASSERT(aq_yamux_send(y, wire, sizeof wire, now) <= sizeof wire);
    events(y, &turn);
    AQ_ASSERT(aq_yamux_streams(y) <= 2 * STREAMS);
    if (st == AQ_OK && aq_yamux_deadline_ns(y) <= now) st = aq_yamux_tick(y, now);
  }
  while (aq_yamux_send(y, wire, sizeof wire, now)) events(y, &turn);
  AQ_ASSERT(!aq_yamux_due(y));
  aq_yamux_free(y);
  return 0;
}
