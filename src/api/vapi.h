/* api/vapi.h - the validator API as a core over port/http: beacon API routes for this node's validator client with
   share keys mapped both ways, /health, /v1/duty, and a streaming proxy for the rest. Spec: validator-api.md,
   contract.md 4 and 17. */
#ifndef AQ_API_VAPI_H
#define AQ_API_VAPI_H

#include "flow/workflow.h"
#include "port/http.h"

typedef struct {
  const aq_env *env;
  const aq_httpc *http;
  aq_bn *bn;             /* NULL: no beacon node (contract.md 17) */
  const aq_chain *chain; /* NULL until known: 503 meanwhile */
  const aq_lock *lock;
  uint32_t self;
  aq_workflow *workflow; /* NULL until started */
  const char *version;   /* "v0.1.0-abcdef0" */
  bool simulated;        /* /v1/duty is open */
} aq_vapi_cfg;

typedef struct aq_vapi aq_vapi;
aq_vapi *aq_vapi_new(const aq_vapi_cfg *cfg);
void aq_vapi_free(aq_vapi *v); /* after the workflow, which ends what is under way; before bn */
/* The chain and the workflow became known. */
void aq_vapi_ready(aq_vapi *v, const aq_chain *chain, aq_workflow *workflow);
/* A beacon node may have been restarted: it gets the subscriptions of the clients' coming duties again. At most 128
   posts of the last two epochs, 2 MiB. */
void aq_vapi_subscribe_again(aq_vapi *v);
void aq_vapi_unhealthy(aq_vapi *v, const char *why); /* /health answers 503 with it; NULL: healthy again */
const aq_http_handler *aq_vapi_handler(aq_vapi *v);
uint64_t aq_vapi_last_request_ns(const aq_vapi *v); /* monotonic; 0: none; for readiness */

#endif
