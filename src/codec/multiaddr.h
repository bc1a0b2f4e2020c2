/* codec/multiaddr.h - libp2p addresses, text and binary: /ip4 /ip6 /dns /dns4 /dns6 /dnsaddr /tcp /udp /quic-v1 /p2p
   /p2p-circuit and the few names that relays put between them. Spec: wire.md vectors multiaddr.json,
   multiformats/multiaddr. Does not resolve names and dials nothing. */
#ifndef AQ_CODEC_MULTIADDR_H
#define AQ_CODEC_MULTIADDR_H

#include "base/bytes.h"

/* A circuit address through a named relay is below 300 bytes; more is no address. */
enum {
  AQ_MULTIADDR_BYTES_MAX = 512,
  AQ_MULTIADDR_TEXT_MAX = 1024,
  AQ_MULTIADDR_PARTS_MAX = 16,
  AQ_MULTIADDR_HOST_MAX = 254
};

enum {
  AQ_MA_IP4 = 4,
  AQ_MA_TCP = 6,
  AQ_MA_IP6 = 41,
  AQ_MA_IP6ZONE = 42,
  AQ_MA_DNS = 53,
  AQ_MA_DNS4 = 54,
  AQ_MA_DNS6 = 55,
  AQ_MA_DNSADDR = 56,
  AQ_MA_UDP = 273,
  AQ_MA_CIRCUIT = 290,
  AQ_MA_P2P = 421,
  AQ_MA_TLS = 448,
  AQ_MA_QUIC = 460,
  AQ_MA_QUIC_V1 = 461,
  AQ_MA_WS = 477,
  AQ_MA_WSS = 478
};

/* Text to binary, appended. "/ipfs/" is read as "/p2p/"; peer ids as base58 or CIDv1. AQ_E_FORMAT, AQ_E_LIMIT,
   AQ_E_UNSUPPORTED (a protocol that is not in the list); out is as before then. */
AQ_NODISCARD aq_status aq_multiaddr_parse(aq_buf *out, aq_bytes text);
/* Binary to text, appended; the same failures. */
AQ_NODISCARD aq_status aq_multiaddr_print(aq_buf *out, aq_bytes bin);

typedef struct {
  uint32_t code;
  aq_bytes value; /* without its length prefix; a view into the address */
} aq_multiaddr_part;
/* The parts in order, at most AQ_MULTIADDR_PARTS_MAX; checked as print does. */
AQ_NODISCARD aq_status aq_multiaddr_split(aq_multiaddr_part *part, size_t *cnt, aq_bytes bin);

/* What a dialler needs to know. */
typedef struct {
  char host[AQ_MULTIADDR_HOST_MAX]; /* IP text or name; of the relay when circuit */
  uint32_t host_code;               /* AQ_MA_IP4, IP6, DNS, DNS4, DNS6 */
  uint16_t port;
  bool tcp;       /* plain TCP, no ws or tls on it: the one transport we have */
  bool quic;      /* UDP with QUIC v1 */
  bool circuit;   /* through a relay */
  aq_bytes relay; /* peer id bytes before /p2p-circuit, empty when none; a view */
  aq_bytes peer;  /* peer id bytes at the end, empty when none; a view */
} aq_multiaddr_target;
/* AQ_E_UNSUPPORTED: valid, but not host, port and (circuit and) peer in that order. */
AQ_NODISCARD aq_status aq_multiaddr_target_of(aq_multiaddr_target *out, aq_bytes bin);

/* Appends /ip4|ip6|dns/<host>/tcp/<port> in binary form; host is an IP text (zone refused) or a name. */
AQ_NODISCARD aq_status aq_multiaddr_tcp(aq_buf *out, const char *host, uint16_t port);

#endif
