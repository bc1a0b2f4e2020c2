/* The order is the one in which identify lists them. */
#include "p2p/services.h"

#include "base/assert.h"
#include "base/time.h"

#define SEND_LIMIT_NS AQ_SECONDS(7)
#define SERVE_LIMIT_NS AQ_SECONDS(5)

const aq_service aq_services[] = {
    [AQ_PROTO_QBFT] = {.name = {"/charon/consensus/qbft/2.0.0"},
                       .topic = "aequa/qbft/v1",
                       .pattern = AQ_PATTERN_ONE_WAY,
                       .roles = AQ_ROLE_RUN,
                       .msg_max = 32u << 20,
                       .send_limit_ns = SEND_LIMIT_NS,
                       .serve_limit_ns = SERVE_LIMIT_NS},
    [AQ_PROTO_PARSIGEX] = {.name = {"/charon/parsigex/2.0.0"},
                           .topic = "aequa/parsigex/v1",
                           .pattern = AQ_PATTERN_ONE_WAY,
                           .roles = AQ_ROLE_RUN | AQ_ROLE_DKG,
                           .msg_max = 32u << 20,
                           .send_limit_ns = SEND_LIMIT_NS,
                           .serve_limit_ns = SERVE_LIMIT_NS},
    [AQ_PROTO_PEERINFO] = {.name = {"/charon/peerinfo/2.0.0"},
                           .topic = "aequa/peerinfo/v1",
                           .pattern = AQ_PATTERN_REQUEST,
                           .roles = AQ_ROLE_RUN | AQ_ROLE_DKG | AQ_ROLE_RELAY,
                           .msg_max = 64u << 10,
                           .send_limit_ns = SEND_LIMIT_NS,
                           .serve_limit_ns = SERVE_LIMIT_NS},
    [AQ_PROTO_VOTES] = {.name = {"/aequa/votes/1.0.0"},
                        .topic = "aequa/votes/v1",
                        .pattern = AQ_PATTERN_REQUEST,
                        .roles = AQ_ROLE_RUN,
                        .msg_max = 128u << 10,
                        .send_limit_ns = SEND_LIMIT_NS,
                        .serve_limit_ns = SERVE_LIMIT_NS,
                        .optional = true},
    [AQ_PROTO_PRIORITY] = {.name = {"/charon/priority/2.0.0", "charon/priority/2.0.0"},
                           .topic = "aequa/priority/v1",
                           .pattern = AQ_PATTERN_REQUEST,
                           .roles = AQ_ROLE_RUN,
                           .msg_max = 1u << 20,
                           .send_limit_ns = SEND_LIMIT_NS,
                           .serve_limit_ns = SERVE_LIMIT_NS},
};
_Static_assert(sizeof aq_services / sizeof aq_services[0] == AQ_PROTO_CNT, "a row for every protocol of port/net.h");

void aq_service_names_init(aq_service_names *n, const aq_service *rows, size_t cnt) {
  *n = (aq_service_names){.name = {[AQ_SVC_IDENTIFY] = "/ipfs/id/1.0.0",
                                   [AQ_SVC_PUSH] = "/ipfs/id/push/1.0.0",
                                   [AQ_SVC_PING] = "/ipfs/ping/1.0.0"},
                          .cnt = AQ_SVC_FIRST};
  for (uint32_t row = 0; row < cnt; row++) {
    n->first[row] = n->cnt;
    for (int i = 0; i < AQ_SERVICE_ALIASES_MAX && rows[row].name[i]; i++) {
      AQ_ASSERT(n->cnt < AQ_SERVICE_NAMES_MAX);
      n->row[n->cnt] = row;
      n->name[n->cnt++] = rows[row].name[i];
    }
  }
}

uint32_t aq_service_offer(uint32_t *cnt, const aq_service_names *n, uint32_t row, uint32_t known) {
  uint32_t first = n->first[row], end = first;
  while (end < n->cnt && n->row[end] == row) {
    if (known & (1u << end)) {
      *cnt = 1;
      return end;
    }
    end++;
  }
  *cnt = end - first;
  return first;
}
