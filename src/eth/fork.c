/* The table of forks. */
#include "eth/fork.h"

/* Until Gloas moves them. */
#define THIRDS               \
  {                          \
    {0, 1}, {1, 3}, { 2, 3 } \
  }

static const aq_fork_row rows[AQ_FORK_CNT] = {
    [AQ_PHASE0] =
        {.name = "phase0", .spec_key = "GENESIS", .due = THIRDS, .old_block_route = true, .old_pool_routes = true},
    [AQ_ALTAIR] = {.name = "altair",
                   .spec_key = "ALTAIR",
                   .due = THIRDS,
                   .sync_committees = true,
                   .old_block_route = true,
                   .old_pool_routes = true},
    [AQ_BELLATRIX] = {.name = "bellatrix",
                      .spec_key = "BELLATRIX",
                      .due = THIRDS,
                      .sync_committees = true,
                      .payload = AQ_PAYLOAD_MAYBE,
                      .old_block_route = true,
                      .old_pool_routes = true},
    [AQ_CAPELLA] = {.name = "capella",
                    .spec_key = "CAPELLA",
                    .due = THIRDS,
                    .sync_committees = true,
                    .payload = AQ_PAYLOAD_ALWAYS,
                    .old_block_route = true,
                    .old_pool_routes = true},
    [AQ_DENEB] = {.name = "deneb",
                  .spec_key = "DENEB",
                  .due = THIRDS,
                  .sync_committees = true,
                  .payload = AQ_PAYLOAD_ALWAYS,
                  .old_pool_routes = true,
                  .exits_keep = true},
    [AQ_ELECTRA] = {.name = "electra",
                    .spec_key = "ELECTRA",
                    .due = THIRDS,
                    .sync_committees = true,
                    .payload = AQ_PAYLOAD_ALWAYS,
                    .committee_bits = true,
                    .exits_keep = true},
    [AQ_FULU] = {.name = "fulu",
                 .spec_key = "FULU",
                 .due = THIRDS,
                 .sync_committees = true,
                 .payload = AQ_PAYLOAD_ALWAYS,
                 .committee_bits = true,
                 .proposers_ahead = true,
                 .exits_keep = true},
};

const aq_fork_row *aq_fork_of(aq_fork f) {
  static const aq_fork_row none = {.name = "unknown", .spec_key = "UNKNOWN", .due = THIRDS};
  return (unsigned)f < AQ_FORK_CNT ? &rows[f] : &none;
}

const char *aq_fork_name(aq_fork f) { return aq_fork_of(f)->name; }

bool aq_fork_is_first(aq_fork f) { return f == AQ_PHASE0; }

static bool same_any_case(aq_bytes text, const char *lower) {
  if (text.len != strlen(lower)) return false;
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.ptr[i];
    if (c >= 'A' && c <= 'Z') c = (uint8_t)(c + 'a' - 'A');
    if (c != (uint8_t)lower[i]) return false;
  }
  return true;
}

bool aq_fork_parse(aq_fork *out, aq_bytes text) {
  for (unsigned f = 0; f < AQ_FORK_CNT; f++) {
    if (!same_any_case(text, rows[f].name)) continue;
    *out = (aq_fork)f;
    return true;
  }
  return false;
}
