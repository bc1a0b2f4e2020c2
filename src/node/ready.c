/* Causes are asked in the order of their weight, and the first one that is there is told. */
#include "node/ready.h"

#include <stdio.h>

enum { SYNC_DISTANCE_MAX = 320 };

static void set(aq_ready *out, int state, const char *text) {
  out->state = state;
  snprintf(out->text, sizeof out->text, "%s", text);
}

/* What keeps the process from its work, whoever else is well. */
static bool unhealthy(aq_ready *out, const aq_ready_in *in) {
  if (in->disk_free < AQ_DISK_FULL_BYTES) {
    set(out, AQ_READY_STORE,
        "disk full: no signature can be recorded, so none is made; make room in the data directory");
  } else if (in->store_failing) {
    set(out, AQ_READY_STORE,
        "store cannot be written: no signature can be recorded, so none is made; see "
        "consensus_state in the log, then the disk");
  } else if (in->bn.fork_mismatch) {
    out->state = AQ_READY_BN_FORK;
    snprintf(out->text, sizeof out->text, "beacon node fork mismatch: %s", in->bn.why);
  } else if (in->bn.unfit) {
    set(out, AQ_READY_BN_UNFIT,
        "beacon node answers do not fit: they do not decode or are of another fork or slot; check "
        "--beacon-node-endpoints and the beacon node's version");
  }
  return out->state != 0;
}

void aq_ready_judge(aq_ready *out, const aq_ready_in *in) {
  *out = (aq_ready){0};
  out->healthy = !unhealthy(out, in);
  if (!out->healthy) return;
  if (!in->chain_known || !in->bn.reachable)
    set(out, AQ_READY_BN_DOWN, "beacon node down");
  else if (in->bn.syncing)
    set(out, AQ_READY_BN_SYNCING, "beacon node not synced");
  else if (in->bn.peers_known && in->bn.peers == 0)
    set(out, AQ_READY_BN_NO_PEERS, "beacon node has zero peers");
  else if (in->bn.sync_distance > SYNC_DISTANCE_MAX)
    set(out, AQ_READY_BN_FAR_BEHIND, "beacon node far behind");
  else if (in->clock_off)
    set(out, AQ_READY_CLOCK,
        "clock off: it and the beacon node's heads are more than a slot apart, so duties are late or not done; "
        "synchronise the time of this machine, and of the beacon node's");
  else if (in->held_back)
    set(out, AQ_READY_HELD_BACK,
        "held back: no votes and signatures until the records prove what was sent, three epochs at the most; take no "
        "other node down; see clock and store_stale in the log");
  else if (!in->quorum)
    set(out, AQ_READY_NO_QUORUM, "quorum peers not connected");
  else if (!in->vc_seen)
    set(out, AQ_READY_NO_VC, "vc not connected");
  else
    set(out, AQ_READY, in->enable_tss ? "ok" : "ok (threshold signing off: other nodes submit)");
}

void aq_ready_store_see(aq_ready_store *s, double errors, uint64_t commits) {
  if (errors > s->errors)
    s->failing = true;
  else if (commits > s->commits)
    s->failing = false;
  s->errors = errors;
  s->commits = commits;
}
