/* beacon/retry.h - when and whether a failed request to the beacon node is made again. Spec: core.md 10.8, with the
   kind of failure taken from the HTTP code and only where that says nothing from the text (core.md 14.10). */
#ifndef AQ_BEACON_RETRY_H
#define AQ_BEACON_RETRY_H

#include "beacon/bn.h"

typedef enum {
  AQ_FAILURE_AGAIN, /* no answer, a broken or busy node, one that lacks a block, an answer that makes no sense: later
                       it may be better */
  AQ_FAILURE_FINAL, /* refused: the same request would be refused again */
  AQ_FAILURE_ROUTE, /* this node has no such route (or nothing there): another form of it may exist */
  AQ_FAILURE_MEDIA  /* this node does not take the encoding */
} aq_failure;

aq_failure aq_failure_of(aq_status st, const aq_bn_answer *ans);
/* 250 ms * 1.6^tries, +-10 %, at most 12 s. */
uint64_t aq_retry_pause_ns(const aq_env *env, uint32_t tries);

enum { AQ_FAILURE_TEXT_MAX = 200 };
/* "HTTP 400: <message of the node>", or the status' text. */
void aq_failure_text(char out[AQ_FAILURE_TEXT_MAX], aq_status st, const aq_bn_answer *ans);
/* The body of the answer holds the lower-case text, in any case. */
bool aq_answer_has(const aq_bn_answer *ans, const char *lower);

#endif
