/* Messages and results of the priority protocol. Input: a byte that chooses the function (0 a message, 1 a result,
   2 a result made of messages), the slot (a byte), then the bytes; for 2 several messages, each behind its length
   (two bytes little endian). Whatever is accepted obeys the rules that infosync relies on, and a result that we
   make is one that we would prepare. */
#include "base/assert.h"
#include "exchange/priority.h"
#include "identity/identity.h"

enum { N = 4, HEAD_LEN = 2, SCRATCH_MAX = 1 << 22 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t pubkey[N][33];
static const aq_priority_cluster cluster = {N, 3, (const uint8_t (*)[33])pubkey};

/* The members of the wire vectors, so that their signed messages are seeds. */
static void members(void) {
  static const char *const id[N] = {
      "16Uiu2HAmDUnCnAnkcTkmPirigHc1yuWJCEviQvKVHZeSAyhRpwW2", "16Uiu2HAkxg7hoRQJ6Fu4iWVLJRU3hWEtpbyvFEiivWdjgz2NRh91",
      "16Uiu2HAmVKJsysoRnLok6vb8TF95q3hDAmgHsx47oU7yQ6sjgqbf", "16Uiu2HAm5Tgyg5uDqH4Cw7nAbkaEQSZsBwq6VKf2TkhATKFSqBLr"};
  for (size_t i = 0; i < N; i++) {
    aq_status st = aq_peer_id_parse(pubkey[i], aq_bytes_str(id[i]));
    AQ_ASSERT(st == AQ_OK);
  }
}

static void one_message(aq_arena *a, aq_bytes in) {
  aq_duty duty;
  uint32_t peer;
  if (aq_priority_check(&duty, &peer, a, &cluster, in) == AQ_OK)
    AQ_ASSERT(peer < N && aq_duty_type_valid((int64_t)duty.type));
}

static void one_result(aq_arena *a, aq_bytes in, uint64_t slot) {
  const aq_priority_topic *topic;
  uint32_t cnt;
  bool valid = aq_priority_valid(a, &cluster, (aq_duty){slot, AQ_DUTY_INFO_SYNC}, in);
  aq_status st = aq_priority_read(&topic, &cnt, a, in);
  AQ_ASSERT(!valid || st == AQ_OK);
  if (st != AQ_OK) return;
  for (uint32_t i = 0; i < cnt; i++) {
    AQ_ASSERT(topic[i].name);
    for (uint32_t k = 0; k < topic[i].cnt; k++) AQ_ASSERT(topic[i].item[k]);
  }
}

static void made_of(aq_arena *a, aq_bytes in, uint64_t slot) {
  aq_bytes msg[N];
  uint32_t cnt = 0;
  bool good = true;
  for (; cnt < N && in.len >= 2; cnt++) {
    size_t len = (size_t)in.ptr[0] | (size_t)in.ptr[1] << 8;
    if (len > in.len - 2) break;
    msg[cnt] = aq_bytes_sub(in, 2, len);
    in = aq_bytes_sub(in, 2 + len, in.len - 2 - len);
  }
  const aq_duty want = {slot, AQ_DUTY_INFO_SYNC};
  for (uint32_t i = 0; i < cnt; i++) {
    aq_duty duty;
    uint32_t peer;
    good &= aq_priority_check(&duty, &peer, a, &cluster, msg[i]) == AQ_OK && aq_duty_eq(duty, want);
  }
  aq_buf out = AQ_BUF(SCRATCH_MAX);
  if (aq_priority_result(&out, a, cluster.threshold, msg, cnt) == AQ_OK)
    AQ_ASSERT(aq_priority_valid(a, &cluster, want, aq_buf_bytes(&out)) == good);
  aq_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (pubkey[0][0] == 0) members();
  if (len < HEAD_LEN) return 0;
  aq_bytes in = aq_bytes_of(data + HEAD_LEN, len - HEAD_LEN);
  aq_arena a;
  aq_arena_init(&a, SCRATCH_MAX);
  switch (data[0] % 3) {
    case 0: one_message(&a, in); break;
    case 1: one_result(&a, in, data[1]); break;
    default: made_of(&a, in, data[1]);
  }
  aq_arena_free(&a);
  return 0;
}
