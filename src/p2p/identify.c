/* The identify message as protocol buffers, with what is believed of one. */
#include "p2p/identify.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"
#include "codec/multiaddr.h"
#include "codec/pb.h"
#include "libp2p.pb-c.h"
#include "p2p/noise.h"

enum { ARENA_MAX = 256 * 1024 };

bool aq_host_is_loopback(const char *host) {
  if (host[0] == '[') host++;
  return strncmp(host, "127.", 4) == 0 || strncmp(host, "::1", 3) == 0;
}

/* Binary form of "ip:port" or "[ip]:port". */
static aq_status remote_multiaddr(aq_buf *out, const char *remote) {
  char host[64];
  const char *colon = strrchr(remote, ':');
  uint64_t port;
  if (!colon || aq_u64_parse(&port, aq_bytes_str(colon + 1)) != AQ_OK || port > UINT16_MAX) return AQ_E_FORMAT;
  bool bracket = remote[0] == '[';
  size_t len = (size_t)(colon - remote);
  if (bracket && (len < 2 || remote[len - 1] != ']')) return AQ_E_FORMAT;
  if (bracket) remote++, len -= 2;
  if (len >= sizeof host) return AQ_E_FORMAT;
  snprintf(host, sizeof host, "%.*s", (int)len, remote);
  return aq_multiaddr_tcp(out, host, (uint16_t)port);
}

/* Whether an address may be told over a connection with that remote. */
static bool fit(const aq_multiaddr_target *t, const char *remote) {
  return !aq_host_is_loopback(t->host) || aq_host_is_loopback(remote);
}

static void put_addrs(Libp2p__Identify *msg, aq_arena *a, const aq_identify_own *own) {
  msg->listen_addrs = aq_arena_array(a, own->addr_cnt, sizeof *msg->listen_addrs);
  if (!msg->listen_addrs) return;
  for (size_t i = 0; i < own->addr_cnt; i++) {
    aq_buf bin = AQ_BUF(AQ_MULTIADDR_BYTES_MAX);
    aq_multiaddr_target t;
    if (aq_multiaddr_parse(&bin, aq_bytes_str(own->addr[i])) == AQ_OK &&
        aq_multiaddr_target_of(&t, aq_buf_bytes(&bin)) == AQ_OK && fit(&t, own->remote)) {
      aq_bytes copy = aq_arena_copy(a, aq_buf_bytes(&bin));
      ProtobufCBinaryData data = {copy.len, (uint8_t *)(uintptr_t)copy.ptr};
      if (copy.ptr) msg->listen_addrs[msg->n_listen_addrs++] = data;
    }
    aq_buf_free(&bin);
  }
}

aq_status aq_identify_write(aq_buf *out, const aq_identify_own *own) {
  aq_arena a;
  aq_arena_init(&a, ARENA_MAX);
  uint8_t key[AQ_LIBP2P_KEY_LEN];
  aq_libp2p_key(key, own->pubkey);
  Libp2p__Identify msg = LIBP2P__IDENTIFY__INIT;
  msg.has_public_key = true;
  msg.public_key = (ProtobufCBinaryData){sizeof key, key};
  if (own->addr_cnt) put_addrs(&msg, &a, own);
  msg.protocols = aq_arena_array(&a, own->protocol_cnt + 1, sizeof *msg.protocols);
  for (size_t i = 0; msg.protocols && i < own->protocol_cnt; i++) {
    char *name = aq_arena_str(&a, aq_bytes_str(own->protocol[i]));
    if (name) msg.protocols[msg.n_protocols++] = name;
  }
  aq_buf observed = AQ_BUF(AQ_MULTIADDR_BYTES_MAX);
  if (remote_multiaddr(&observed, own->remote) == AQ_OK) {
    msg.has_observed_addr = true;
    msg.observed_addr = (ProtobufCBinaryData){observed.len, observed.ptr};
  }
  msg.agent_version = aq_arena_str(&a, aq_bytes_str(own->agent));
  aq_pb_pack(out, &msg.base);
  aq_buf_free(&observed);
  aq_arena_free(&a);
  return aq_buf_status(out);
}

static bool has_addr(const aq_identify_info *info, const aq_identify_addr *addr) {
  for (uint32_t i = 0; i < info->addr_cnt; i++) {
    if (info->addr[i].port == addr->port && strcmp(info->addr[i].host, addr->host) == 0) return true;
  }
  return false;
}

static void take_addr(aq_identify_info *info, aq_bytes bin, const uint8_t pubkey[33], const char *remote) {
  aq_multiaddr_target t;
  aq_identify_addr addr;
  if (info->addr_cnt == AQ_IDENTIFY_ADDRS_MAX || aq_multiaddr_target_of(&t, bin) != AQ_OK) return;
  if (!t.tcp || t.circuit || t.port == 0 || !fit(&t, remote)) return;
  /* An address that names somebody: 00 25 and the 37 bytes of the key (wire.md 1.2). */
  if (t.peer.len && (t.peer.len != 39 || memcmp(t.peer.ptr + 6, pubkey, 33) != 0)) return;
  memset(&addr, 0, sizeof addr);
  snprintf(addr.host, sizeof addr.host, "%s", t.host);
  addr.port = t.port;
  if (!has_addr(info, &addr)) info->addr[info->addr_cnt++] = addr;
}

static void take_protocols(aq_identify_info *info, const Libp2p__Identify *msg, const char *const *names, size_t cnt) {
  for (size_t i = 0; i < msg->n_protocols && i < AQ_IDENTIFY_PROTOCOLS_MAX; i++) {
    for (size_t k = 0; k < cnt; k++) {
      if (strcmp(msg->protocols[i], names[k]) == 0) info->known |= 1u << k;
    }
  }
}

aq_status aq_identify_read(aq_identify_info *info, aq_bytes in, const uint8_t pubkey[33], const char *remote,
                           const char *const *names, size_t name_cnt) {
  AQ_ASSERT(name_cnt <= 32);
  aq_arena a;
  aq_arena_init(&a, ARENA_MAX);
  const Libp2p__Identify *msg =
      in.len <= AQ_IDENTIFY_MSG_MAX ? aq_pb_unpack(&a, &libp2p__identify__descriptor, in) : NULL;
  if (msg) {
    for (size_t i = 0; i < msg->n_listen_addrs; i++) {
      take_addr(info, aq_bytes_of(msg->listen_addrs[i].data, msg->listen_addrs[i].len), pubkey, remote);
    }
    take_protocols(info, msg, names, name_cnt);
    if (msg->agent_version && msg->agent_version[0]) {
      snprintf(info->agent, sizeof info->agent, "%s", msg->agent_version);
    }
  }
  aq_arena_free(&a);
  return msg ? AQ_OK : AQ_E_FORMAT;
}
