/* The beacon node by script: its answers, and what it is told to do otherwise. */
#include "fake/bn.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hex.h"

enum { BUF_MAX = 64 << 20, ANSWER_MAX = 1 << 20 };

/* ---- of use to other scripts ---- */

uint64_t fake_number_after(const char *url, const char *name) {
  const char *at = strstr(url, name);
  return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

void fake_put_hex(aq_buf *out, const void *ptr, size_t len) {
  aq_buf_put_str(out, "\"0x");
  aq_buf_put_hex(out, aq_bytes_of(ptr, len));
  aq_buf_put_u8(out, '"');
}

void fake_put_att_data(aq_buf *out, const aq_att_data *d) {
  uint8_t ssz[128];
  aq_att_data_put(ssz, d);
  aq_ssz_to_json(out, &aq_t_attestation_data, aq_bytes_of(ssz, sizeof ssz));
}

void fake_set_field(aq_buf *ssz, const aq_ssz_type *t, const char *path, const void *ptr, size_t len) {
  aq_buf out = AQ_BUF(BUF_MAX);
  aq_status st = aq_ssz_with(&out, t, aq_buf_bytes(ssz), path, aq_bytes_of(ptr, len));
  AQ_ASSERT(st == AQ_OK);
  aq_buf_free(ssz);
  *ssz = out;
}

const char *fake_block_path(char out[64], const aq_ssz_type *t, const char *contents, const char *name) {
  snprintf(out, 64, "%s%s", strcmp(t->field[t->field_cnt - 1].name, "blobs") == 0 ? contents : "", name);
  return out;
}

/* ---- validators and duties ---- */

static void put_validators(const fake_bn *bn, aq_buf *out) {
  aq_buf_put_str(out, "{\"execution_optimistic\":false,\"finalized\":false,\"data\":[");
  for (uint32_t v = 0; v < FAKE_BN_VALIDATORS; v++) {
    aq_buf_printf(out,
                  "%s{\"index\":\"%u\",\"balance\":\"32000000000\",\"status\":\"active_%s\",\"validator\":{\"pubkey\":",
                  v ? "," : "", FAKE_BN_FIRST_INDEX + v, bn->exiting >> v & 1 ? "exiting" : "ongoing");
    fake_put_hex(out, bn->validator[v].pubkey, 48);
    aq_buf_put_str(out, ",\"activation_epoch\":\"0\"}}");
  }
  aq_buf_put_str(out, "]}");
}

static void put_attesters(const fake_bn *bn, aq_buf *out, uint64_t epoch) {
  aq_buf_put_str(out, "{\"dependent_root\":\"" FAKE_BN_ROOT "\",\"execution_optimistic\":false,\"data\":[");
  uint64_t slot = epoch * FAKE_BN_SPE + (bn->moved ? 6 : 3);
  for (uint32_t v = 0; v < FAKE_BN_VALIDATORS; v++) {
    aq_buf_printf(
        out,
        "%s{\"slot\":\"%llu\",\"validator_index\":\"%u\",\"committee_index\":\"%u\",\"committee_length\":\"9\","
        "\"committees_at_slot\":\"4\",\"validator_committee_index\":\"%u\",\"pubkey\":",
        v ? "," : "", (unsigned long long)slot, FAKE_BN_FIRST_INDEX + v, bn->moved ? v + 2 : v,
        bn->moved ? v + 4 : v + 1);
    fake_put_hex(out, bn->validator[v].pubkey, 48);
    aq_buf_put_u8(out, '}');
  }
  aq_buf_put_str(out, "]}");
}

static void put_proposers(const fake_bn *bn, aq_buf *out, uint64_t epoch) {
  uint64_t slot = epoch * FAKE_BN_SPE + (bn->moved ? 7 : 5);
  aq_buf_printf(out,
                "{\"dependent_root\":\"" FAKE_BN_ROOT
                "\",\"execution_optimistic\":false,\"data\":[{\"slot\":\"%llu\",\"validator_index\":\"%u\",\"pubkey\":",
                (unsigned long long)slot, FAKE_BN_FIRST_INDEX + 1);
  fake_put_hex(out, bn->validator[1].pubkey, 48);
  aq_buf_put_str(out, "}]}");
}

static void put_duties(const fake_bn *bn, aq_buf *out, const char *duties) {
  uint64_t epoch = strtoull(strrchr(duties, '/') + 1, NULL, 10);
  if (strstr(duties, "attester"))
    put_attesters(bn, out, epoch);
  else if (strstr(duties, "proposer"))
    put_proposers(bn, out, epoch);
  else
    aq_buf_put_str(out, "{\"execution_optimistic\":false,\"data\":[]}");
}

/* ---- attestations ---- */

void fake_bn_data(const fake_bn *bn, aq_att_data *out, uint64_t slot, uint64_t committee) {
  *out = (aq_att_data){.slot = slot,
                       .index = bn->fork >= AQ_ELECTRA ? 0 : committee,
                       .source_epoch = slot / FAKE_BN_SPE - 1,
                       .target_epoch = slot / FAKE_BN_SPE};
  memset(out->beacon_block_root, 0x21, 32);
  memset(out->source_root, 0x21, 32);
  memset(out->target_root, 0x21, 32);
}

static void put_votes(fake_bn *bn, aq_buf *out, const char *url) {
  aq_att_data d;
  bn->votes_asked++;
  fake_bn_data(bn, &d, fake_number_after(url, "slot="), fake_number_after(url, "committee_index="));
  if (bn->other_votes) {
    d.source_epoch = bn->votes.source_epoch;
    memcpy(d.source_root, bn->votes.source_root, 32);
    memcpy(d.target_root, bn->votes.target_root, 32);
  }
  aq_buf_put_str(out, "{\"data\":");
  fake_put_att_data(out, &d);
  aq_buf_put_u8(out, '}');
}

/* False: it does not have the block. */
static bool put_header(fake_bn *bn, aq_buf *out, const char *url) {
  uint8_t root[32];
  bn->blocks_asked++;
  const char *hex = strstr(url, "/headers/0x") + 11;
  if (aq_hex_decode(root, 32, aq_bytes_str(hex), AQ_HEX_BARE) != AQ_OK || memcmp(root, bn->known_block, 32) != 0)
    return false;
  aq_buf_put_str(out, "{\"data\":{\"root\":");
  fake_put_hex(out, root, 32);
  aq_buf_printf(out, ",\"canonical\":true,\"header\":{\"message\":{\"slot\":\"%llu\"}}}}",
                (unsigned long long)bn->known_slot);
  return true;
}

/* ---- blocks ---- */

/* One blob beside the block. */
static void add_blob(aq_buf *value, const aq_ssz_type *t) {
  enum { BLOB = 131072 };
  uint8_t proof[48] = {0xc0}, *blob = calloc(1, BLOB);
  AQ_ASSERT(blob);
  blob[5] = 5;
  fake_set_field(value, t, "kzg_proofs", proof, sizeof proof);
  fake_set_field(value, t, "blobs", blob, BLOB);
  free(blob);
}

static void make_block(const fake_bn *bn, aq_buf *value, const aq_ssz_type *t, uint64_t slot,
                       const uint8_t randao[96]) {
  static const uint8_t nobody[20];
  uint8_t le[8], parent[32] = {bn->parent};
  char path[64];
  aq_status st = aq_ssz_default(value, t);
  AQ_ASSERT(st == AQ_OK);
  aq_le64_put(le, slot);
  fake_set_field(value, t, fake_block_path(path, t, "block.", "slot"), le, 8);
  aq_le64_put(le, FAKE_BN_FIRST_INDEX + 1);
  fake_set_field(value, t, fake_block_path(path, t, "block.", "proposer_index"), le, 8);
  fake_set_field(value, t, fake_block_path(path, t, "block.", "parent_root"), parent, 32);
  fake_set_field(value, t, fake_block_path(path, t, "block.", "body.randao_reveal"), randao, 96);
  if (memcmp(bn->fee_recipient, nobody, 20) != 0)
    fake_set_field(value, t, fake_block_path(path, t, "block.", "body.execution_payload.fee_recipient"),
                   bn->fee_recipient, 20);
  if (bn->blobs) add_blob(value, t);
}

static void answer_block(const fake_bn *bn, fake_ex *ex) {
  const aq_ssz_type *t = aq_t_proposal(bn->fork, bn->blinded, false);
  const char *hex = strstr(ex->url, "randao_reveal=0x"), *name = aq_fork_name(bn->fork);
  uint8_t randao[96];
  AQ_ASSERT(t);
  if (!hex || strlen(hex) < 16 + 192 || aq_hex_decode(randao, 96, aq_bytes_of(hex + 16, 192), AQ_HEX_BARE) != AQ_OK) {
    fake_http_answer(ex, AQ_MILLIS(5), 400, "{\"code\":400,\"message\":\"randao_reveal\"}");
    return;
  }
  aq_buf value = AQ_BUF(BUF_MAX), json = AQ_BUF(BUF_MAX);
  make_block(bn, &value, t, fake_number_after(ex->url, "validator/blocks/"), randao);
  if (!bn->ssz_blocks) {
    aq_buf_printf(&json, "{\"version\":\"%s\",\"execution_payload_blinded\":%s,\"data\":", name,
                  bn->blinded ? "true" : "false");
    aq_ssz_to_json(&json, t, aq_buf_bytes(&value));
    aq_buf_put_u8(&json, '}');
  }
  fake_http_answer_h(ex, AQ_MILLIS(20), 200, bn->ssz_blocks ? "application/octet-stream" : "application/json",
                     aq_buf_bytes(bn->ssz_blocks ? &value : &json), "Eth-Consensus-Version", name);
  aq_buf_free(&json);
  aq_buf_free(&value);
}

/* ---- requests ---- */

static void keep_post(fake_bn *bn, const fake_ex *ex) {
  if (bn->post_cnt == FAKE_BN_POSTS_MAX) return;
  fake_bn_post *p = &bn->post[bn->post_cnt++];
  const char *path = strstr(ex->url, "/eth/");
  snprintf(p->path, sizeof p->path, "%.90s", path ? path : "");
  snprintf(p->version, sizeof p->version, "%.15s", ex->version ? ex->version : "");
  snprintf(p->type, sizeof p->type, "%.39s", ex->content_type ? ex->content_type : "");
  p->body = AQ_BUF(BUF_MAX);
  aq_buf_put_bytes(&p->body, ex->body);
}

/* The code; what it says besides is in `out`. */
static int answer(fake_bn *bn, aq_buf *out, const fake_ex *ex) {
  const char *url = ex->url, *duties = strstr(url, "/validator/duties/");
  if (strstr(url, "/states/head/validators"))
    put_validators(bn, out);
  else if (duties)
    put_duties(bn, out, duties);
  else if (bn->ill)
    return 503;
  else if (strstr(url, "attestation_data?"))
    put_votes(bn, out, url);
  else if (strstr(url, "/beacon/headers/0x"))
    return put_header(bn, out, url) ? 200 : 404;
  else if (bn->refuses && strstr(url, "/pool/"))
    return 400;
  else if (strstr(url, "/pool/") || strstr(url, "/beacon/b") || strstr(url, "subscriptions"))
    keep_post(bn, ex);
  else
    return 404;
  return 200;
}

void fake_bn_handle(void *arg, fake_ex *ex) {
  fake_bn *bn = arg;
  if (bn->silent || strstr(ex->url, "/eth/v1/events")) return;
  if (bn->gone) {
    fake_http_fail(ex, AQ_MILLIS(1), AQ_E_CLOSED);
    return;
  }
  bool get = strcmp(ex->method, "GET") == 0;
  if (get && !bn->ill && strstr(ex->url, "/validator/blocks/") && strstr(ex->url, "randao_reveal=0x")) {
    answer_block(bn, ex);
    return;
  }
  aq_buf out = AQ_BUF(ANSWER_MAX);
  int code = answer(bn, &out, ex);
  const char *none = code == 404 ? "{\"code\":404,\"message\":\"no such route\"}" : "{}";
  fake_http_answer(ex, AQ_MILLIS(5), code, out.len ? aq_buf_cstr(&out) : none);
  aq_buf_free(&out);
}

void fake_bn_free(fake_bn *bn) {
  for (size_t i = 0; i < bn->post_cnt; i++) aq_buf_free(&bn->post[i].body);
  bn->post_cnt = 0;
}
