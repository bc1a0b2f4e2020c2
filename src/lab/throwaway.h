/* lab/throwaway.h - a cluster of one on a simulated chain, for a node that is started with no cluster at all (an
   image run with nothing mounted): keys in a fresh temporary directory, chain and validator client inside the process.
   Nothing of it is kept or worth anything. Spec: architecture.md 7, contract.md 13.3. */
#ifndef AQ_LAB_THROWAWAY_H
#define AQ_LAB_THROWAWAY_H

#include "node/node.h"

/* The chain listens on a free loopback port; the validator client starts once the validator API listens. */
extern const aq_stand_in aq_throwaway;

#endif
