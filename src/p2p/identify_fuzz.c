/* Identify messages of strangers: what is read holds its limits and can be written again. */
#include "p2p/identify.h"

#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The first byte chooses the connection; what was understood must stay within its limits. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static const char *const names[] = {"/ipfs/ping/1.0.0", "charon/priority/2.0.0"};
  static const uint8_t key[33] = {2};
  if (len == 0) return 0;
  aq_identify_info info = {0};
  const char *remote = data[0] & 1 ? "127.0.0.1:1" : "10.0.0.1:1";
  for (int part = 0; part < 2; part++) {
    aq_status st = aq_identify_read(&info, aq_bytes_of(data + 1, len - 1), key, remote, names, 2);
    AQ_ASSERT(st == AQ_OK || st == AQ_E_FORMAT);
  }
  AQ_ASSERT(info.addr_cnt <= AQ_IDENTIFY_ADDRS_MAX && info.known <= 3);
  AQ_ASSERT(memchr(info.agent, 0, sizeof info.agent));
  for (uint32_t i = 0; i < info.addr_cnt; i++) AQ_ASSERT(info.addr[i].port && info.addr[i].host[0]);
  return 0;
}
