/* node/throwaway.h - a cluster of one on a simulated chain, for a node that is started with no cluster at all (an
   image run with nothing mounted): keys in a fresh temporary directory, chain and validator client inside the process.
   Nothing of it is kept or worth anything. Spec: architecture.md 7, contract.md 13.3. */
#ifndef AQ_NODE_THROWAWAY_H
#define AQ_NODE_THROWAWAY_H

#include "adapter/adapters.h"
#include "eth/chain.h"

typedef struct aq_throwaway aq_throwaway;

/* Makes the cluster and starts its chain on a free loopback port. The node then runs on aq_throwaway_dir with
   aq_throwaway_network and aq_throwaway_beacon. */
AQ_NODISCARD aq_status aq_throwaway_new(aq_throwaway **out, aq_loop *l, aq_err *err);
const char *aq_throwaway_dir(const aq_throwaway *t);
const char *aq_throwaway_beacon(const aq_throwaway *t);
const aq_network *aq_throwaway_network(const aq_throwaway *t);
/* The validator client starts once the validator API listens on the port. */
AQ_NODISCARD aq_status aq_throwaway_serve(aq_throwaway *t, uint16_t vapi_port, aq_err *err);
void aq_throwaway_stop(aq_throwaway *t); /* client and chain; before the loop ends */
void aq_throwaway_free(aq_throwaway *t); /* removes the directory; NULL is fine */

#endif
