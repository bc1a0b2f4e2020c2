/* p2p/identify.h - the identify message: what a node tells about itself and what we believe of another's. Spec:
   wire.md 5.1, 5.2. Pure. Signed peer records are skipped: addresses come from the plain list, whose owner Noise has
   proved. */
#ifndef AQ_P2P_IDENTIFY_H
#define AQ_P2P_IDENTIFY_H

#include "base/bytes.h"

enum {
  AQ_IDENTIFY_MSG_MAX = 8192,
  AQ_IDENTIFY_MSGS_MAX = 9,  /* parts of one answer */
  AQ_IDENTIFY_ADDRS_MAX = 8, /* of a peer; more are ignored */
  AQ_IDENTIFY_PROTOCOLS_MAX = 32,
  AQ_IDENTIFY_AGENT_MAX = 64
};

typedef struct {
  uint8_t pubkey[33];
  const char *const *addr; /* multiaddr text; those that do not parse are left out */
  size_t addr_cnt;
  const char *const *protocol;
  size_t protocol_cnt;
  const char *remote; /* "ip:port" as we see the other side; "" leaves observedAddr out */
  const char *agent;
} aq_identify_own;

/* Appends the message without length prefix. Loopback addresses are left out unless the remote is one itself. */
AQ_NODISCARD aq_status aq_identify_write(aq_buf *out, const aq_identify_own *own);

typedef struct {
  char host[254];
  uint16_t port;
} aq_identify_addr;

typedef struct {
  bool heard; /* a whole answer was read */
  char agent[AQ_IDENTIFY_AGENT_MAX];
  aq_identify_addr addr[AQ_IDENTIFY_ADDRS_MAX]; /* plain TCP, direct, and fit for the connection they came over */
  uint32_t addr_cnt;
  uint32_t known; /* bit i: names[i] of the caller was listed */
} aq_identify_info;

/* Merges one message of an answer into info (zeroed before the first). names: protocols the caller asks about, at
   most 32. AQ_E_FORMAT leaves info as it was. */
AQ_NODISCARD aq_status aq_identify_read(aq_identify_info *info, aq_bytes msg, const uint8_t pubkey[33],
                                        const char *remote, const char *const *names, size_t name_cnt);

bool aq_host_is_loopback(const char *host); /* IP text, with or without a port */

#endif
