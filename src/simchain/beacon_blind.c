/* The builder of the simulated chain: payloads that it bids, blinded blocks of them, and full blocks again. Spec:
   builder-specs validator.md, consensus-specs bellatrix beacon-chain.md "ExecutionPayloadHeader". */
#include <stdlib.h>

#include "base/assert.h"
#include "simchain/beacon_internal.h"

enum { PAYLOAD_MAX = 1 << 20, FIELDS_MAX = 24 };

typedef struct {
  uint8_t root[32]; /* of the payload, which is that of its header too */
  aq_buf payload;
} bid;

struct aq_relay {
  bid item[AQ_SIM_BIDS_MAX];
  uint64_t cnt; /* since it was made */
};

aq_relay *aq_relay_new(void) {
  aq_relay *r = calloc(1, sizeof *r);
  AQ_ASSERT(r);
  return r;
}

void aq_relay_free(aq_relay *r) {
  for (size_t i = 0; r && i < AQ_SIM_BIDS_MAX; i++) aq_buf_free(&r->item[i].payload);
  free(r);
}

bool aq_sim_bids(const aq_beacon *b, uint64_t slot) {
  const aq_beacon_builder *way = b->cfg.builder;
  aq_fork fork = aq_chain_fork_at(&b->chain, slot / b->cfg.slots_per_epoch);
  return way && aq_fork_of(fork)->payload != AQ_PAYLOAD_NONE && (!way->bids || way->bids(way->arg, slot));
}

/* ---- payloads ---- */

/* What the builder makes of the payload that the beacon node would have: one transaction, its own address, and a
   number that no other bid has. */
static aq_status make_payload(const aq_ssz_type *t, aq_bytes local, uint64_t number, aq_buf *out) {
  static const uint8_t transactions[] = {4, 0, 0, 0, 0xf8, 0x01}, builder[20] = {0xb0, 0x1d, 0xe4};
  uint8_t extra[8], hash[32];
  aq_le64_put(extra, number);
  aq_sha256(hash, aq_bytes_of(extra, sizeof extra));
  const struct {
    const char *name;
    aq_bytes value;
  } other[] = {{"fee_recipient", aq_bytes_of(builder, 20)},
               {"extra_data", aq_bytes_of(extra, 8)},
               {"block_hash", aq_bytes_of(hash, 32)},
               {"transactions", aq_bytes_of(transactions, sizeof transactions)}};
  aq_bytes part[FIELDS_MAX];
  AQ_ASSERT(t->field_cnt <= FIELDS_MAX);
  for (uint32_t i = 0; i < t->field_cnt; i++) {
    part[i] = aq_ssz_get(t, local, t->field[i].name);
    for (size_t k = 0; k < AQ_COUNT(other); k++) {
      if (strcmp(t->field[i].name, other[k].name) == 0) part[i] = other[k].value;
    }
  }
  return aq_ssz_pack(out, t, part, t->field_cnt);
}

/* A header has a root where the payload has a list: transactions, withdrawals. */
static aq_status header_of(const aq_ssz_type *header, const aq_ssz_type *t, aq_bytes payload, aq_buf *out) {
  aq_bytes part[FIELDS_MAX];
  uint8_t root[FIELDS_MAX][32];
  AQ_ASSERT(header->field_cnt == t->field_cnt && t->field_cnt <= FIELDS_MAX);
  for (uint32_t i = 0; i < t->field_cnt; i++) {
    part[i] = aq_ssz_get(t, payload, t->field[i].name);
    if (header->field[i].type == t->field[i].type) continue;
    aq_ssz_root(root[i], t->field[i].type, part[i]);
    part[i] = aq_bytes_of(root[i], 32);
  }
  return aq_ssz_pack(out, header, part, header->field_cnt);
}

/* ---- blocks ---- */

/* A block of type `to` from one of type `from`: the same but for one part of its body, which has this value. */
static aq_status with_other_body(const aq_ssz_type *to, const aq_ssz_type *from, aq_bytes block, const char *name,
                                 aq_bytes value, aq_buf *out) {
  const aq_ssz_type *to_body = aq_ssz_type_at(to, "body"), *from_body = aq_ssz_type_at(from, "body");
  aq_bytes in = aq_ssz_get(from, block, "body"), part[FIELDS_MAX], head[FIELDS_MAX];
  aq_buf body = AQ_BUF(AQ_SIM_BODY_MAX);
  AQ_ASSERT(to_body->field_cnt <= FIELDS_MAX && to->field_cnt <= FIELDS_MAX);
  for (uint32_t i = 0; i < to_body->field_cnt; i++) {
    bool other = strcmp(to_body->field[i].name, name) == 0;
    part[i] = other ? value : aq_ssz_get(from_body, in, to_body->field[i].name);
  }
  aq_status st = aq_ssz_pack(&body, to_body, part, to_body->field_cnt);
  for (uint32_t i = 0; st == AQ_OK && i < to->field_cnt; i++) {
    bool is_body = strcmp(to->field[i].name, "body") == 0;
    head[i] = is_body ? aq_buf_bytes(&body) : aq_ssz_get(from, block, to->field[i].name);
  }
  if (st == AQ_OK) st = aq_ssz_pack(out, to, head, to->field_cnt);
  aq_buf_free(&body);
  return st;
}

aq_status aq_sim_blind(aq_beacon *b, aq_fork fork, aq_bytes block, aq_buf *out) {
  const aq_ssz_type *full = aq_t_block(fork), *blinded = aq_t_blinded_block(fork);
  const aq_ssz_type *payload_type = aq_ssz_type_at(full, "body.execution_payload");
  const aq_ssz_type *header_type = aq_ssz_type_at(blinded, "body.execution_payload_header");
  aq_relay *r = b->cfg.builder->relay;
  bid *it = &r->item[r->cnt % AQ_SIM_BIDS_MAX];
  aq_buf header = AQ_BUF(AQ_SIM_BODY_MAX);
  aq_buf_free(&it->payload);
  it->payload = AQ_BUF(PAYLOAD_MAX);
  aq_bytes local = aq_ssz_get(full, block, "body.execution_payload");
  aq_status st = make_payload(payload_type, local, r->cnt++, &it->payload);
  if (st == AQ_OK) aq_ssz_root(it->root, payload_type, aq_buf_bytes(&it->payload));
  if (st == AQ_OK) st = header_of(header_type, payload_type, aq_buf_bytes(&it->payload), &header);
  if (st == AQ_OK) st = with_other_body(blinded, full, block, "execution_payload_header", aq_buf_bytes(&header), out);
  aq_buf_free(&header);
  return st;
}

static const bid *find(const aq_relay *r, const uint8_t root[32]) {
  for (size_t i = 0; i < AQ_SIM_BIDS_MAX && i < r->cnt; i++) {
    if (memcmp(r->item[i].root, root, 32) == 0) return &r->item[i];
  }
  return NULL;
}

aq_reveal aq_sim_unblind(aq_beacon *b, aq_fork fork, aq_bytes signed_blinded, aq_buf *out) {
  const aq_beacon_builder *way = b->cfg.builder;
  const aq_ssz_type *in_type = aq_t_signed_blinded_block(fork), *blinded = aq_t_blinded_block(fork);
  aq_bytes block = aq_ssz_get(in_type, signed_blinded, "message");
  uint8_t root[32];
  if (!way) return AQ_REVEAL_UNKNOWN;
  aq_ssz_root(root, aq_ssz_type_at(blinded, "body.execution_payload_header"),
              aq_ssz_get(blinded, block, "body.execution_payload_header"));
  const bid *it = find(way->relay, root);
  aq_reveal said = way->reveals ? way->reveals(way->arg, aq_ssz_get_u64(blinded, block, "slot")) : AQ_REVEAL_YES;
  if (!it || said != AQ_REVEAL_YES) return it ? said : AQ_REVEAL_UNKNOWN;
  aq_buf message = AQ_BUF(AQ_SIM_BODY_MAX);
  aq_status st =
      with_other_body(aq_t_block(fork), blinded, block, "execution_payload", aq_buf_bytes(&it->payload), &message);
  const aq_bytes part[] = {aq_buf_bytes(&message), aq_ssz_get(in_type, signed_blinded, "signature")};
  if (st == AQ_OK) st = aq_ssz_pack(out, aq_t_signed_block(fork), part, 2);
  aq_buf_free(&message);
  return st == AQ_OK ? AQ_REVEAL_YES : AQ_REVEAL_UNKNOWN; /* too large */
}
