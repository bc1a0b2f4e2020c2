/* p2p/multistream.h - multistream-select 1.0.0: which protocol a byte stream speaks. Spec: wire.md 2.2. Pure: bytes
   in, bytes out. Reading is exact: bytes after the accepted proposal belong to the protocol and are left to the
   caller. */
#ifndef AQ_P2P_MULTISTREAM_H
#define AQ_P2P_MULTISTREAM_H

#include "base/bytes.h"

#define AQ_MS_HEADER "/multistream/1.0.0"
enum {
  AQ_MS_TOKEN_MAX = 1024,  /* length field, newline included (wire.md 2.2) */
  AQ_MS_PROPOSALS_MAX = 32 /* refused proposals after which a responder gives up; Charon offers two at most */
};

/* One token without its newline; a view into `in`. AQ_E_AGAIN: incomplete, *used is 0. AQ_E_FORMAT, AQ_E_LIMIT. */
AQ_NODISCARD aq_status aq_ms_get(aq_bytes *token, size_t *used, aq_bytes in);
void aq_ms_put(aq_buf *out, const char *token);

/* ---- responder; zero-initialised ---- */

typedef struct {
  bool header_out, header_in;
  uint32_t refused;
} aq_ms_responder;

/* Index of the protocol of that name, < 0 when it is not spoken. */
typedef int (*aq_ms_find)(void *arg, aq_bytes name);

/* Call with empty input first: the header leaves at once, two waiters would dead-lock. AQ_OK: *chosen is what find
   answered and bytes from *used on are the protocol's. AQ_E_AGAIN: *used bytes were eaten, more are needed. Else the
   stream is to be reset. */
AQ_NODISCARD aq_status aq_ms_respond(aq_ms_responder *r, int *chosen, size_t *used, aq_bytes in, aq_buf *out,
                                     aq_ms_find find, void *arg);

/* ---- initiator ---- */

typedef struct {
  const char *const *offer; /* borrowed until the end, best first */
  uint32_t cnt, idx;
  bool header_in;
} aq_ms_initiator;

/* Puts header and first offer. With one offer the caller may append its first bytes without waiting ("lazy"). */
void aq_ms_propose(aq_ms_initiator *i, const char *const *offer, uint32_t cnt, aq_buf *out);
/* AQ_OK: offer[idx] is agreed. AQ_E_AGAIN. AQ_E_UNSUPPORTED: all were refused. Other: broken answer. *used as above. */
AQ_NODISCARD aq_status aq_ms_answer(aq_ms_initiator *i, size_t *used, aq_bytes in, aq_buf *out);

#endif
