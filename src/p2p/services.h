/* p2p/services.h - the protocols of streams, a row each: names, how it is framed, what it may cost. A protocol is added
   by its row and the file that handles it. Identify, push and ping are no rows: every connection speaks them. Limits:
   AQ_SERVICE_NAMES_MAX names with theirs, as many as identify can tell apart. Spec: wire.md 3 and 4. */
#ifndef AQ_P2P_SERVICES_H
#define AQ_P2P_SERVICES_H

#include "base/bytes.h"
#include "port/net.h"

typedef enum {
  AQ_PATTERN_ONE_WAY, /* one message, length first, then the end (wire.md 3.4) */
  AQ_PATTERN_REQUEST, /* one message, and one in answer (wire.md 3.3) */
  AQ_PATTERN_STREAM   /* bytes both ways until either side ends it: the handler frames them */
} aq_pattern;

/* Who speaks it, and lists it in identify from its start, also while its handler is not there yet (a node reads its
   journal first): a node on duty, a ceremony, a relay's server or client. */
enum { AQ_ROLE_RUN = 1, AQ_ROLE_DKG = 2, AQ_ROLE_RELAY = 4 };

enum { AQ_SERVICE_NAMES_MAX = 32, AQ_SERVICE_ALIASES_MAX = 2 };

typedef struct {
  const char *name[AQ_SERVICE_ALIASES_MAX]; /* newest first; of two the one that the peer lists is offered, else both
                                               one after the other (wire.md 3.5) */
  const char *topic;                        /* label of its metrics (contract.md 8.2) */
  aq_pattern pattern;
  uint32_t roles;
  size_t msg_max;          /* bytes of a message or an answer; STREAM: 0 */
  uint64_t send_limit_ns;  /* own message: until it has left, or its answer has come; STREAM: 0 */
  uint64_t serve_limit_ns; /* one of the peer: from its name to its whole message and our answer; STREAM: 0 */
  uint32_t streams_max;    /* of one peer at one time, opened by it; 0: as many as its connections carry, which is no
                              limit for strangers */
  bool optional;           /* a peer that has said what it speaks and not this is not asked */
} aq_service;

/* By aq_net_proto. */
extern const aq_service aq_services[AQ_PROTO_CNT];

enum { AQ_SVC_IDENTIFY, AQ_SVC_PUSH, AQ_SVC_PING, AQ_SVC_FIRST /* name of a row */ };

/* All names of a table behind those of every connection. A place in it is what a stream speaks, and a bit of what a
   peer is known to speak (p2p/identify.h). */
typedef struct {
  const char *name[AQ_SERVICE_NAMES_MAX];
  uint32_t row[AQ_SERVICE_NAMES_MAX];   /* from AQ_SVC_FIRST on: whose name it is */
  uint32_t first[AQ_SERVICE_NAMES_MAX]; /* by row: its newest name, the older ones behind it */
  uint32_t cnt;
} aq_service_names;

/* rows are borrowed. */
void aq_service_names_init(aq_service_names *n, const aq_service *rows, size_t cnt);
/* What to offer to a peer: names of a row in their order, at the returned place. known: bits of those that it lists, 0:
   it has not said. */
uint32_t aq_service_offer(uint32_t *cnt, const aq_service_names *n, uint32_t row, uint32_t known);

#endif
