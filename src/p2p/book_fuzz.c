/* Addresses of peers as text, the address book, and delimited messages in any pieces. Input: a byte, the length of the
   pieces and what to do; then text or bytes. */
#include "p2p/book.h"

#include "base/assert.h"
#include "p2p/delimited.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { MSG_MAX = 4096, BOOK_MAX = 6 };

/* What parses prints as a text that parses to the same place. */
static void address(aq_bytes in) {
  char text[1024], host[AQ_BOOK_HOST_LEN], again[AQ_BOOK_HOST_LEN], out[AQ_BOOK_HOST_LEN + 16];
  uint8_t peer[33];
  uint16_t port, same;
  bool has_peer;
  size_t len = in.len < sizeof text - 1 ? in.len : sizeof text - 1;
  if (len) memcpy(text, in.ptr, len);
  text[len] = 0;
  if (aq_addr_parse(host, &port, peer, &has_peer, text) != AQ_OK) return;
  AQ_ASSERT(*host && port);
  aq_addr_text(out, sizeof out, host, port);
  AQ_ASSERT(aq_addr_parse(again, &same, peer, &has_peer, out) == AQ_OK && !has_peer);
  AQ_ASSERT(strcmp(host, again) == 0 && port == same);
}

/* Four bytes a step. A book keeps its limits, and its next moment is not before what is due. */
static void book(aq_rd *r) {
  aq_book b;
  uint64_t now_ns = 1;
  aq_book_init(&b, BOOK_MAX);
  while (r->left >= 4) {
    uint8_t op = aq_rd_u8(r), who = aq_rd_u8(r), source = aq_rd_u8(r) % 3, x = aq_rd_u8(r);
    char host[8] = {'h', (char)('a' + who % 9), 0};
    aq_addr *due = aq_book_due(&b, now_ns);
    switch (op % 8) {
      case 0:
      case 1:
        if (aq_book_add(&b, host, 1, (aq_addr_source)source, now_ns) == AQ_OK) AQ_ASSERT(aq_book_find(&b, host, 1));
        break;
      case 2: aq_book_drop(&b, host, 1); break;
      case 3:
        if (due) due->dialing = true;
        break;
      case 4: aq_book_failed(&b, host, 1, now_ns, x * 0x01010101u); break;
      case 5: aq_book_worked(&b, host, 1, now_ns, x * 0x01010101u); break;
      case 6: source ? aq_book_forgive(&b, now_ns) : aq_book_wake(&b, now_ns); break;
      default: aq_book_drop_source(&b, (aq_addr_source)source); break;
    }
    now_ns += AQ_MILLIS(50) * x;
    AQ_ASSERT(b.cnt <= BOOK_MAX);
    due = aq_book_due(&b, now_ns);
    AQ_ASSERT(!due == (aq_book_next_ns(&b) > now_ns));
  }
  aq_book_free(&b);
}

typedef struct {
  uint64_t cnt, mix;
  aq_status st;
} heard;

static heard listen(aq_bytes in, size_t piece) {
  heard h = {0, 0, AQ_E_AGAIN};
  aq_delimited d;
  aq_delimited_init(&d, MSG_MAX);
  while (in.len && (h.st == AQ_E_AGAIN || h.st == AQ_OK)) {
    size_t used, take = piece < in.len ? piece : in.len;
    h.st = aq_delimited_feed(&d, &used, aq_bytes_of(in.ptr, take));
    AQ_ASSERT(used <= take && d.body.cap <= 4 * MSG_MAX);
    if (h.st == AQ_OK) {
      h.cnt++;
      for (size_t i = 0; i < d.body.len; i++) h.mix = h.mix * 31 + d.body.ptr[i];
      aq_delimited_free(&d);
    } else if (h.st == AQ_E_AGAIN) {
      AQ_ASSERT(used == take);
    } else {
      break;
    }
    in = aq_bytes_sub(in, used, in.len - used);
  }
  aq_delimited_free(&d);
  return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len == 0) return 0;
  aq_bytes in = aq_bytes_of(data + 1, len - 1);
  aq_rd r = aq_rd_of(in);
  address(in);
  book(&r);
  heard whole = listen(in, len), parts = listen(in, data[0] % 16 + 1);
  AQ_ASSERT(whole.cnt == parts.cnt && whole.mix == parts.mix);
  AQ_ASSERT(whole.st == parts.st);
  return 0;
}
