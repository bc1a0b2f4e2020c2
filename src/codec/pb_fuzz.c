/* What unpacks is packed in one form only, and length prefixes are read as they are written. */
#include "base/assert.h"
#include "codec/pb.h"
#include "core.pb-c.h"
#include "libp2p.pb-c.h"
#include "peerinfo.pb-c.h"

enum { ARENA_MAX = 8 << 20 };

/* The first byte chooses the message, every one of codec/proto. What unpacks is packed to bytes that unpack and pack to
   themselves, and protobuf-c alone takes both. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What we take, protobuf-c alone takes too, and it reads our bytes. */
static void against_library(const ProtobufCMessageDescriptor *d, aq_bytes in, aq_bytes ours) {
  ProtobufCMessage *given = protobuf_c_message_unpack(d, NULL, in.len, in.ptr);
  ProtobufCMessage *packed = protobuf_c_message_unpack(d, NULL, ours.len, ours.ptr);
  AQ_ASSERT(given && packed);
  aq_buf again = AQ_BUF(2 * ours.len + 1024);
  aq_pb_pack(&again, packed);
  AQ_ASSERT(aq_bytes_eq(aq_buf_bytes(&again), ours));
  protobuf_c_message_free_unpacked(given, NULL);
  protobuf_c_message_free_unpacked(packed, NULL);
  aq_buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static const ProtobufCMessageDescriptor *const type[] = {
      &corepb__qbftconsensus_msg__descriptor,
      &corepb__unsigned_data_set__descriptor,
      &corepb__par_sig_ex_msg__descriptor,
      &corepb__priority_msg__descriptor,
      &corepb__priority_result__descriptor,
      &corepb__value__descriptor,
      &peerinfo__peer_info__descriptor,
      &libp2p__public_key__descriptor,
      &libp2p__noise_extensions__descriptor,
      &libp2p__noise_payload__descriptor,
      &libp2p__identify__descriptor,
      &libp2p__relay_peer__descriptor,
      &libp2p__reservation__descriptor,
      &libp2p__relay_limit__descriptor,
      &libp2p__hop_message__descriptor,
      &libp2p__stop_message__descriptor,
      &peerinfo__timestamp__descriptor,
      &corepb__duty__descriptor,
      &corepb__any__descriptor,
      &corepb__qbftmsg__descriptor,
      &corepb__unsigned_data_set_entry__descriptor,
      &corepb__par_signed_data__descriptor,
      &corepb__par_signed_data_set_entry__descriptor,
      &corepb__par_signed_data_set__descriptor,
      &corepb__priority_topic_proposal__descriptor,
      &corepb__priority_scored_result__descriptor,
      &corepb__priority_topic_result__descriptor,
  };
  uint64_t n;
  size_t used;
  if (aq_uvarint_get(&n, &used, aq_bytes_of(data, len)) == AQ_OK) {
    uint8_t out[9];
    AQ_ASSERT(aq_uvarint_put(out, n) == used && memcmp(out, data, used) == 0);
  }
  if (len == 0 || data[0] >= AQ_COUNT(type)) return 0;
  const ProtobufCMessageDescriptor *d = type[data[0]];
  aq_arena a;
  aq_arena_init(&a, ARENA_MAX);
  ProtobufCMessage *msg = aq_pb_unpack(&a, d, aq_bytes_of(data + 1, len - 1));
  if (msg) {
    if (d == &corepb__unsigned_data_set__descriptor) {
      Corepb__UnsignedDataSet *set = (Corepb__UnsignedDataSet *)msg;
      AQ_ASSERT(aq_pb_sort_map(&a, set->set, &set->n_set) == AQ_OK);
    }
    aq_buf out = AQ_BUF(2 * len + 1024), again = AQ_BUF(2 * len + 1024);
    aq_pb_pack(&out, msg);
    msg = aq_pb_unpack(&a, d, aq_buf_bytes(&out));
    AQ_ASSERT(msg);
    aq_pb_pack(&again, msg);
    AQ_ASSERT(!out.failed && aq_bytes_eq(aq_buf_bytes(&out), aq_buf_bytes(&again)));
    against_library(d, aq_bytes_of(data + 1, len - 1), aq_buf_bytes(&out));
    aq_buf_free(&out);
    aq_buf_free(&again);
  }
  aq_arena_free(&a);
  return 0;
}
