/* Proposals and answers of multistream-select, line by line. */
#include "p2p/multistream.h"

#include "base/assert.h"
#include "codec/pb.h"

aq_status aq_ms_get(aq_bytes *token, size_t *used, aq_bytes in) {
  uint64_t len;
  size_t prefix;
  *used = 0;
  aq_status st = aq_uvarint_get(&len, &prefix, in);
  if (st == AQ_E_TRUNC) return in.len > 2 ? AQ_E_LIMIT : AQ_E_AGAIN; /* 1024 takes two bytes */
  if (st != AQ_OK) return st;
  if (len == 0) return AQ_E_FORMAT;
  if (len > AQ_MS_TOKEN_MAX) return AQ_E_LIMIT;
  if (in.len - prefix < len) return AQ_E_AGAIN;
  if (in.ptr[prefix + len - 1] != '\n') return AQ_E_FORMAT;
  *token = aq_bytes_of(in.ptr + prefix, (size_t)len - 1);
  *used = prefix + (size_t)len;
  return AQ_OK;
}

void aq_ms_put(aq_buf *out, const char *token) {
  uint8_t prefix[9];
  size_t len = strlen(token) + 1;
  AQ_ASSERT(len <= AQ_MS_TOKEN_MAX);
  aq_buf_put(out, prefix, aq_uvarint_put(prefix, len));
  aq_buf_put_str(out, token);
  aq_buf_put_u8(out, '\n');
}

/* Next token of in, whose first *used bytes are eaten. */
static aq_status next(aq_bytes *token, size_t *used, aq_bytes in) {
  size_t len;
  aq_status st = aq_ms_get(token, &len, aq_bytes_sub(in, *used, in.len - *used));
  *used += len;
  return st;
}

static aq_status header(bool *seen, size_t *used, aq_bytes in) {
  aq_bytes token;
  if (*seen) return AQ_OK;
  aq_status st = next(&token, used, in);
  if (st != AQ_OK) return st;
  if (!aq_bytes_eq(token, aq_bytes_str(AQ_MS_HEADER))) return AQ_E_FORMAT;
  *seen = true;
  return AQ_OK;
}

aq_status aq_ms_respond(aq_ms_responder *r, int *chosen, size_t *used, aq_bytes in, aq_buf *out, aq_ms_find find,
                        void *arg) {
  *used = 0;
  if (!r->header_out) {
    aq_ms_put(out, AQ_MS_HEADER);
    r->header_out = true;
  }
  aq_status st = header(&r->header_in, used, in);
  if (st != AQ_OK) return st;
  for (;;) {
    aq_bytes token;
    st = next(&token, used, in);
    if (st != AQ_OK) return st;
    int idx = find(arg, token);
    if (idx >= 0) {
      uint8_t prefix[9];
      aq_buf_put(out, prefix, aq_uvarint_put(prefix, token.len + 1));
      aq_buf_put_bytes(out, token);
      aq_buf_put_u8(out, '\n');
      *chosen = idx;
      return aq_buf_status(out);
    }
    if (++r->refused > AQ_MS_PROPOSALS_MAX) return AQ_E_LIMIT;
    aq_ms_put(out, "na");
  }
}

void aq_ms_propose(aq_ms_initiator *i, const char *const *offer, uint32_t cnt, aq_buf *out) {
  AQ_ASSERT(cnt > 0);
  *i = (aq_ms_initiator){.offer = offer, .cnt = cnt};
  aq_ms_put(out, AQ_MS_HEADER);
  aq_ms_put(out, offer[0]);
}

aq_status aq_ms_answer(aq_ms_initiator *i, size_t *used, aq_bytes in, aq_buf *out) {
  *used = 0;
  aq_status st = header(&i->header_in, used, in);
  if (st != AQ_OK) return st;
  for (;;) {
    aq_bytes token;
    st = next(&token, used, in);
    if (st != AQ_OK) return st;
    if (aq_bytes_eq(token, aq_bytes_str(i->offer[i->idx]))) return AQ_OK;
    if (!aq_bytes_eq(token, aq_bytes_str("na"))) return AQ_E_FORMAT;
    if (i->idx + 1 == i->cnt) return AQ_E_UNSUPPORTED;
    aq_ms_put(out, i->offer[++i->idx]);
  }
}
