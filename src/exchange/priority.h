/* exchange/priority.h - the priority protocol's bytes: a node's signed lists of topics, and the result that follows
   from the lists of several nodes. Spec: wire.md 9.1, 9.3 and 9.5; consensus.md 5 (info_sync). Pure: who is asked
   and when is exchange/infosync.h. Limits beside the protocol's 1 MiB: AQ_PRIORITY_TOPICS_MAX topics and
   AQ_PRIORITY_ITEMS_MAX priorities a message (Charon sends 3 and under 30); fewer than 1000 in a topic. */
#ifndef AQ_EXCHANGE_PRIORITY_H
#define AQ_EXCHANGE_PRIORITY_H

#include "base/arena.h"
#include "crypto/k1.h"
#include "duty/duty.h"

enum { AQ_PRIORITY_MSG_MAX = 1 << 20, AQ_PRIORITY_TOPICS_MAX = 16, AQ_PRIORITY_ITEMS_MAX = 4096 };
/* Scratch of one function below for this many bytes of messages. */
enum { AQ_PRIORITY_SPARE = 1 << 20 };
#define AQ_PRIORITY_ARENA(len) (16 * (len) + AQ_PRIORITY_SPARE)

typedef struct {
  const char *name;
  const char *const *item; /* best first */
  uint32_t cnt;
} aq_priority_topic;

typedef struct {
  uint32_t n, threshold;
  const uint8_t (*pubkey)[33]; /* n of them */
} aq_priority_cluster;

/* Our own message, signed. */
AQ_NODISCARD aq_status aq_priority_write(aq_buf *out, const aq_k1_key *key, aq_duty duty,
                                         const aq_priority_topic *topic, uint32_t cnt);

/* A PriorityMsg of a member with a good signature. *peer: whose. AQ_E_FORMAT: not one, or over the limits;
   AQ_E_UNKNOWN: of nobody in the cluster; AQ_E_AUTH: not signed by the key of its peer id. */
AQ_NODISCARD aq_status aq_priority_check(aq_duty *duty, uint32_t *peer, aq_arena *a, const aq_priority_cluster *c,
                                         aq_bytes msg);

/* The PriorityResult of messages, in the order in which it lists them. AQ_E_FORMAT: they are refused (wire.md 9.5 step
   1). */
AQ_NODISCARD aq_status aq_priority_result(aq_buf *out, aq_arena *a, uint32_t threshold, const aq_bytes *msg,
                                          uint32_t cnt);

/* May this result be prepared? Its messages are of distinct members, well signed and of this duty, and its topics
   follow from them. result: canonical bytes. */
bool aq_priority_valid(aq_arena *a, const aq_priority_cluster *c, aq_duty duty, aq_bytes result);

/* Topics and priorities of a result as text; what is no text is left out. Results live in the arena. */
AQ_NODISCARD aq_status aq_priority_read(const aq_priority_topic **topic, uint32_t *cnt, aq_arena *a, aq_bytes result);
const aq_priority_topic *aq_priority_find(const aq_priority_topic *topic, uint32_t cnt, const char *name); /* NULL */

#endif
