/* SSZ and JSON of an Electra block of the size that mainnet sees, and of the same with blobs. */
#include <stdlib.h>

#include "base/assert.h"
#include "bench.h"
#include "codec/json.h"
#include "eth/types.h"

enum {
  TXS = 200,
  TX_LEN = 600,
  WITHDRAWALS = 16,
  ATTESTATIONS = 8,
  ATT_LEN = 140,
  BLOBS = 6,
  BLOB_LEN = 131072,
  OUT_MAX = 8 << 20
};

typedef struct {
  const aq_ssz_type *type;
  aq_buf ssz, json, scratch;
} sample;

static uint8_t root[32];

/* A list of cnt equal elements of variable size. */
static void put_list(aq_buf *out, aq_bytes elem, size_t cnt) {
  uint8_t le[4];
  for (size_t i = 0; i < cnt; i++) {
    aq_le32_put(le, (uint32_t)(cnt * 4 + i * elem.len));
    aq_buf_put(out, le, sizeof le);
  }
  for (size_t i = 0; i < cnt; i++) aq_buf_put_bytes(out, elem);
}

static void replace(sample *s, const char *path, aq_bytes value) {
  aq_buf next = AQ_BUF(OUT_MAX);
  AQ_MUST(aq_ssz_with(&next, s->type, aq_buf_bytes(&s->ssz), path, value) == AQ_OK);
  aq_buf_free(&s->ssz);
  s->ssz = next;
}

static void finish(sample *s) {
  AQ_ASSERT(aq_ssz_check(s->type, aq_buf_bytes(&s->ssz)) == AQ_OK);
  aq_ssz_to_json(&s->json, s->type, aq_buf_bytes(&s->ssz));
  AQ_ASSERT(!s->json.failed);
}

static void make_block(sample *s) {
  aq_buf list = AQ_BUF(OUT_MAX), elem = AQ_BUF(OUT_MAX), att = AQ_BUF(OUT_MAX);
  uint8_t tx[TX_LEN];
  for (size_t i = 0; i < sizeof tx; i++) tx[i] = (uint8_t)(i * 7);
  *s = (sample){
      .type = aq_t_block(AQ_ELECTRA), .ssz = AQ_BUF(OUT_MAX), .json = AQ_BUF(OUT_MAX), .scratch = AQ_BUF(OUT_MAX)};
  AQ_MUST(aq_ssz_default(&s->ssz, s->type) == AQ_OK);
  put_list(&list, aq_bytes_of(tx, TX_LEN), TXS);
  replace(s, "body.execution_payload.transactions", aq_buf_bytes(&list));
  aq_buf_reset(&list);
  AQ_MUST(aq_buf_extend(&list, (size_t)WITHDRAWALS * 44));
  replace(s, "body.execution_payload.withdrawals", aq_buf_bytes(&list));
  aq_buf_reset(&list);
  AQ_MUST(aq_buf_extend(&list, (size_t)BLOBS * 48));
  replace(s, "body.blob_kzg_commitments", aq_buf_bytes(&list));
  aq_buf_reset(&list);
  AQ_MUST(aq_ssz_default(&elem, &aq_t_attestation_electra) == AQ_OK);
  tx[ATT_LEN - 1] = 1;
  AQ_MUST(aq_ssz_with(&att, &aq_t_attestation_electra, aq_buf_bytes(&elem), "aggregation_bits",
                      aq_bytes_of(tx, ATT_LEN)) == AQ_OK);
  put_list(&list, aq_buf_bytes(&att), ATTESTATIONS);
  replace(s, "body.attestations", aq_buf_bytes(&list));
  finish(s);
  aq_buf_free(&list);
  aq_buf_free(&elem);
  aq_buf_free(&att);
}

static void make_contents(sample *s, const sample *block) {
  aq_buf blobs = AQ_BUF(OUT_MAX);
  *s = (sample){.type = aq_t_block_contents(AQ_ELECTRA),
                .ssz = AQ_BUF(OUT_MAX),
                .json = AQ_BUF(OUT_MAX),
                .scratch = AQ_BUF(OUT_MAX)};
  AQ_MUST(aq_buf_extend(&blobs, (size_t)BLOBS * BLOB_LEN));
  aq_bytes part[] = {aq_buf_bytes(&block->ssz), aq_bytes_of(blobs.ptr, (size_t)BLOBS * 48), aq_buf_bytes(&blobs)};
  AQ_MUST(aq_ssz_pack(&s->ssz, s->type, part, 3) == AQ_OK);
  finish(s);
  aq_buf_free(&blobs);
}

static void op_root(void *arg) {
  const sample *s = arg;
  aq_ssz_root(root, s->type, aq_buf_bytes(&s->ssz));
}

static void op_check(void *arg) {
  const sample *s = arg;
  AQ_ASSERT(aq_ssz_check(s->type, aq_buf_bytes(&s->ssz)) == AQ_OK);
}

static void op_to_json(void *arg) {
  sample *s = arg;
  aq_buf_reset(&s->scratch);
  aq_ssz_to_json(&s->scratch, s->type, aq_buf_bytes(&s->ssz));
}

static void op_from_json(void *arg) {
  sample *s = arg;
  aq_buf_reset(&s->scratch);
  yyjson_doc *doc = aq_json_parse(aq_buf_bytes(&s->json), OUT_MAX, NULL);
  AQ_MUST(doc && aq_ssz_from_json(&s->scratch, s->type, yyjson_doc_get_root(doc), NULL) == AQ_OK);
  yyjson_doc_free(doc);
}

static void release(sample *s) {
  aq_buf_free(&s->ssz);
  aq_buf_free(&s->json);
  aq_buf_free(&s->scratch);
}

void aq_bench_ssz(aq_bench *b);
void aq_bench_ssz(aq_bench *b) {
  sample block, contents;
  make_block(&block);
  make_contents(&contents, &block);
  aq_bench_run(b, "BenchmarkBlockCheck", op_check, &block, block.ssz.len);
  aq_bench_run(b, "BenchmarkBlockRoot", op_root, &block, block.ssz.len);
  aq_bench_run(b, "BenchmarkBlockToJson", op_to_json, &block, block.json.len);
  aq_bench_run(b, "BenchmarkBlockFromJson", op_from_json, &block, block.json.len);
  aq_bench_run(b, "BenchmarkContentsToJson", op_to_json, &contents, contents.json.len);
  aq_bench_run(b, "BenchmarkContentsFromJson", op_from_json, &contents, contents.json.len);
  release(&block);
  release(&contents);
}
