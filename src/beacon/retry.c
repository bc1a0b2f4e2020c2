/* The words with which each make of beacon node says "not yet", since its code says "bad request". */
#include "beacon/retry.h"

#include <stdio.h>

#include "codec/json.h"

static bool has(aq_bytes text, const char *lower) {
  size_t len = strlen(lower);
  for (size_t i = 0; i + len <= text.len; i++) {
    size_t k = 0;
    while (k < len && (text.ptr[i + k] | (text.ptr[i + k] >= 'A' && text.ptr[i + k] <= 'Z' ? 32 : 0)) == lower[k]) k++;
    if (k == len) return true;
  }
  return false;
}

bool aq_answer_has(const aq_bn_answer *ans, const char *lower) { return ans && has(ans->body, lower); }

/* The letters and digits of the text from `at` on begin with `word`, in any case. */
static bool begins_at(aq_bytes text, size_t at, const char *word) {
  for (; *word && at < text.len; at++) {
    uint8_t c = text.ptr[at];
    if (c >= 'A' && c <= 'Z') c |= 32;
    if ((c < 'a' || c > 'z') && (c < '0' || c > '9')) continue;
    if (c != (uint8_t)*word++) return false;
  }
  return *word == 0;
}

/* What beacon nodes say of something that they do not have yet, or while they are not ready: each has its own way of
   writing it ("UnknownHeadBlock", "BLOCK_ERROR_PARENT_UNKNOWN", "unknown beacon block root"), so letters only. */
static bool says_not_yet(aq_bytes text) {
  static const char *const words[] = {"unknownhead",
                                      "headunknown",
                                      "headblockunknown",
                                      "headnotfound",
                                      "headblocknotfound",
                                      "unknownparent",
                                      "parentunknown",
                                      "parentblockunknown",
                                      "missingparent",
                                      "parentnotfound",
                                      "parentblocknotfound",
                                      "unknownblock",
                                      "blockunknown",
                                      "blocknotfound",
                                      "unknownbeaconblock",
                                      "unknownroot",
                                      "unknowntarget",
                                      "targetunknown",
                                      "targetblockunknown",
                                      "unknownorpre",
                                      "isntknown",
                                      "notknown",
                                      "notinblockchain",
                                      "notfullyverified",
                                      "optimistic",
                                      "notsynced",
                                      "syncing",
                                      "notyet",
                                      "notready",
                                      "tryagain",
                                      "retryable",
                                      "missingstate",
                                      "statenotfound",
                                      "statenotavailable",
                                      "future",
                                      "currentorprevious",
                                      "temporarily"};
  for (size_t at = 0; at < text.len; at++) {
    for (size_t i = 0; i < AQ_COUNT(words); i++) {
      if ((text.ptr[at] | 32) == words[i][0] && begins_at(text, at, words[i])) return true;
    }
  }
  return false;
}

aq_failure aq_failure_of(aq_status st, const aq_bn_answer *ans) {
  if (!ans || st != AQ_E_REFUSED) return AQ_FAILURE_AGAIN;
  switch (ans->code) {
    case 404:
    case 405:
    case 501: return AQ_FAILURE_ROUTE;
    case 415: return AQ_FAILURE_MEDIA;
    case 401: /* the first three: a gate before the node */
    case 403:
    case 407:
    case 408:
    case 425:
    case 429: return AQ_FAILURE_AGAIN;
    default: break;
  }
  bool verdict = ans->code >= 400 && ans->code <= 499; /* else a gateway's word, or a node in trouble */
  return verdict && !says_not_yet(ans->body) ? AQ_FAILURE_FINAL : AQ_FAILURE_AGAIN;
}

uint64_t aq_retry_pause_ns(const aq_env *env, uint32_t tries) {
  const uint64_t max_ns = AQ_SECONDS(12);
  uint64_t ns = AQ_MILLIS(250);
  for (uint32_t i = 0; i < tries && ns < max_ns; i++) ns += ns * 6 / 10;
  if (ns > max_ns) ns = max_ns;
  uint16_t dice;
  aq_random(env, &dice, sizeof dice);
  return ns - ns / 10 + ns / 5 * dice / UINT16_MAX;
}

void aq_failure_text(char out[AQ_FAILURE_TEXT_MAX], aq_status st, const aq_bn_answer *ans) {
  if (!ans) {
    snprintf(out, AQ_FAILURE_TEXT_MAX, "%s", aq_status_text(st));
    return;
  }
  if (ans->code >= 300 && ans->code <= 399) {
    snprintf(out, AQ_FAILURE_TEXT_MAX, "HTTP %d: redirects to another host, or too many, are not followed", ans->code);
    return;
  }
  yyjson_doc *doc = aq_json_parse(ans->body, ans->body.len, NULL);
  const char *message = aq_json_str(yyjson_doc_get_root(doc), "message");
  if (message)
    snprintf(out, AQ_FAILURE_TEXT_MAX, "HTTP %d: %.160s", ans->code, message);
  else
    snprintf(out, AQ_FAILURE_TEXT_MAX, "HTTP %d: %s", ans->code, aq_status_text(st));
  yyjson_doc_free(doc);
}
