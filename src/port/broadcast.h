/* port/broadcast.h - what a broadcast leaves in metrics and log (contract.md 5 and 6.5): one message handed to the
   transport for several peers. The senders do the sending, since they repeat it to each peer on their own. */
#ifndef AQ_PORT_BROADCAST_H
#define AQ_PORT_BROADCAST_H

#include "port/env.h"

/* topic: the label of p2p_msgs_total; start_ns: of the monotonic clock; err NULL: all peers were handed it. */
void aq_broadcast_note(const aq_env *env, const char *topic, uint64_t start_ns, uint32_t peers, const char *err);

#endif
