/* flow/tracker_internal.h - what the tracker knows of one duty. */
#ifndef AQ_FLOW_TRACKER_INTERNAL_H
#define AQ_FLOW_TRACKER_INTERNAL_H

#include "base/list.h"
#include "flow/tracker.h"

enum { AQ_TRACK_PEERS_MAX = 32 };

typedef struct {
  aq_list link;
  aq_timer timer;
  aq_tracker *owner;
  aq_duty duty;
  bool judged, decided, mixed, combine_failed;
  aq_status fetch_st, dutydb_st, local_st, external_st, store_st, submit_st; /* the last failure of the step */
  uint32_t scheduled_cnt, decided_cnt, own_cnt, peer_cnt, shared_cnt, combined_cnt, submitted_cnt;
  uint64_t begin_ns, fetch_ns, decided_ns, sign_ns, combine_ns, submit_ns; /* wall clock; 0: not yet */
  uint32_t share_cnt[AQ_TRACK_PEERS_MAX];
  uint8_t root[AQ_TRACK_PEERS_MAX][32]; /* the last one a share signed */
} aq_track;

#endif
