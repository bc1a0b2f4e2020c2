/* Messages, roots and the file in the form and order that the launchpad takes. */
#include "cluster/deposit.h"

#include <stdio.h>
#include <stdlib.h>

#include "cluster/hash_tree.h"
#include "codec/json_out.h"
#include "eth/chain.h"

static const uint8_t zero_root[32];

aq_status aq_deposit_amounts_check(const uint64_t *gwei, size_t cnt, bool compounding, aq_err *err) {
  uint64_t max = (compounding ? 2048 : 32) * AQ_GWEI_PER_ETH, sum = 0;
  if (cnt > AQ_DEPOSIT_AMOUNTS_MAX)
    return aq_fail(err, AQ_E_LIMIT, "more than %d deposit amounts", AQ_DEPOSIT_AMOUNTS_MAX);
  for (size_t i = 0; i < cnt; i++) {
    if (gwei[i] < AQ_GWEI_PER_ETH) return aq_fail(err, AQ_E_FORMAT, "a deposit amount is below 1 ETH");
    if (gwei[i] > max) return aq_fail(err, AQ_E_FORMAT, "a deposit amount is over %d ETH", compounding ? 2048 : 32);
    sum += gwei[i];
  }
  if (cnt && sum < 32 * AQ_GWEI_PER_ETH)
    return aq_fail(err, AQ_E_FORMAT, "the deposit amounts are below 32 ETH in all");
  return AQ_OK;
}

static int by_amount(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

size_t aq_deposit_amounts(uint64_t out[AQ_DEPOSIT_AMOUNTS_MAX], const aq_definition *d) {
  static const uint64_t plain[] = {AQ_GWEI_PER_ETH, 32 * AQ_GWEI_PER_ETH};
  static const uint64_t compounding[] = {AQ_GWEI_PER_ETH, 8 * AQ_GWEI_PER_ETH, 32 * AQ_GWEI_PER_ETH,
                                         256 * AQ_GWEI_PER_ETH};
  const uint64_t *from = d->deposit_amounts;
  size_t cnt = d->deposit_amount_cnt, distinct = 0;
  if (cnt == 0)
    from = d->compounding ? compounding : plain, cnt = d->compounding ? AQ_COUNT(compounding) : AQ_COUNT(plain);
  memcpy(out, from, cnt * sizeof *out);
  qsort(out, cnt, sizeof *out, by_amount);
  for (size_t i = 0; i < cnt; i++) {
    if (distinct == 0 || out[i] != out[distinct - 1]) out[distinct++] = out[i];
  }
  return distinct;
}

void aq_withdrawal_credentials(uint8_t out[32], const uint8_t address[20], bool compounding) {
  memset(out, 0, 12);
  out[0] = compounding ? 0x02 : 0x01;
  memcpy(out + 12, address, 20);
}

/* ---- roots ---- */

static void root_of(uint8_t out[32], aq_tree *t) { (void)!aq_tree_root(out, t, NULL); /* fixed sizes: cannot fail */ }

static void put_message(aq_tree *t, const aq_deposit *d) {
  aq_tree_fixed(t, aq_bytes_of(d->pubkey, 48));
  aq_tree_fixed(t, aq_bytes_of(d->withdrawal_credentials, 32));
  aq_tree_u64(t, d->amount);
}

void aq_deposit_message_root(uint8_t out[32], const aq_deposit *d) {
  aq_tree t = AQ_TREE;
  put_message(&t, d);
  root_of(out, &t);
}

void aq_deposit_data_root(uint8_t out[32], const aq_deposit *d) {
  aq_tree t = AQ_TREE;
  put_message(&t, d);
  aq_tree_fixed(&t, aq_bytes_of(d->signature, 96));
  root_of(out, &t);
}

/* Both domains use the genesis version and a zero validators root (cluster.md 4.4). */
static void genesis_signing_root(uint8_t out[32], const uint8_t object[32], aq_domain_type type,
                                 const uint8_t fork_version[4]) {
  uint8_t domain[32];
  aq_compute_domain(domain, type, fork_version, zero_root);
  aq_signing_root(out, object, domain);
}

void aq_deposit_signing_root(uint8_t out[32], const aq_deposit *d, const uint8_t fork_version[4]) {
  uint8_t object[32];
  aq_deposit_message_root(object, d);
  genesis_signing_root(out, object, AQ_DOMAIN_DEPOSIT, fork_version);
}

void aq_registration_signing_root(uint8_t out[32], const aq_registration *r, const uint8_t fork_version[4]) {
  uint8_t object[32];
  aq_tree t = AQ_TREE;
  aq_tree_fixed(&t, aq_bytes_of(r->fee_recipient, 20));
  aq_tree_u64(&t, r->gas_limit);
  aq_tree_u64(&t, r->timestamp);
  aq_tree_fixed(&t, aq_bytes_of(r->pubkey, 48));
  root_of(object, &t);
  genesis_signing_root(out, object, AQ_DOMAIN_APPLICATION_BUILDER, fork_version);
}

/* ---- files ---- */

/* The shortest decimal form of gwei / 10^9. */
void aq_deposit_file_name(char out[AQ_DEPOSIT_FILE_NAME_MAX], uint64_t gwei) {
  char frac[10] = "";
  if (gwei == 32 * AQ_GWEI_PER_ETH) {
    snprintf(out, AQ_DEPOSIT_FILE_NAME_MAX, "deposit-data.json");
    return;
  }
  if (gwei % AQ_GWEI_PER_ETH) {
    snprintf(frac, sizeof frac, "%09u", (unsigned)(gwei % AQ_GWEI_PER_ETH));
    for (size_t len = strlen(frac); frac[len - 1] == '0'; len--) frac[len - 1] = 0;
  }
  snprintf(out, AQ_DEPOSIT_FILE_NAME_MAX, "deposit-data-%llu%s%seth.json", (unsigned long long)(gwei / AQ_GWEI_PER_ETH),
           *frac ? "." : "", frac);
}

static int by_pubkey(const void *a, const void *b) {
  return memcmp(((const aq_deposit *)a)->pubkey, ((const aq_deposit *)b)->pubkey, 48);
}

static void put_entry(aq_json_out *o, const aq_deposit *d, const uint8_t fork_version[4], const char *network_name) {
  uint8_t root[32];
  aq_json_out_open(o, NULL, '{');
  aq_json_out_hex_bare(o, "pubkey", aq_bytes_of(d->pubkey, 48));
  aq_json_out_hex_bare(o, "withdrawal_credentials", aq_bytes_of(d->withdrawal_credentials, 32));
  aq_json_out_u64(o, "amount", d->amount);
  aq_json_out_hex_bare(o, "signature", aq_bytes_of(d->signature, 96));
  aq_deposit_message_root(root, d);
  aq_json_out_hex_bare(o, "deposit_message_root", aq_bytes_of(root, 32));
  aq_deposit_data_root(root, d);
  aq_json_out_hex_bare(o, "deposit_data_root", aq_bytes_of(root, 32));
  aq_json_out_hex_bare(o, "fork_version", aq_bytes_of(fork_version, 4));
  aq_json_out_str(o, "network_name", network_name);
  aq_json_out_str(o, "deposit_cli_version", "2.7.0");
  aq_json_out_close(o, '}');
}

aq_status aq_deposit_file_write(aq_buf *out, aq_deposit *deposits, size_t cnt, const uint8_t fork_version[4],
                                const char *network_name) {
  aq_json_out o = aq_json_out_of(out, 1);
  qsort(deposits, cnt, sizeof *deposits, by_pubkey);
  aq_json_out_open(&o, NULL, '[');
  for (size_t i = 0; i < cnt; i++) {
    uint8_t root[32];
    aq_deposit_signing_root(root, &deposits[i], fork_version);
    if (aq_bls_verify(deposits[i].pubkey, root, deposits[i].signature) != AQ_OK) return AQ_E_AUTH;
    put_entry(&o, &deposits[i], fork_version, network_name);
  }
  aq_json_out_close(&o, ']');
  return aq_buf_status(out);
}
