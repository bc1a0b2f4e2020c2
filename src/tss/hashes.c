/* Roots hashed to the curve, kept by use, so that one root a slot is hashed once. */
#include <stdlib.h>

#include "base/metrics.h"
#include "tss/tss_internal.h"

/* Fills the root's point from the cache; a miss is hashed by the job and comes back through tss_hash_put. */
void tss_hash_get(aq_tss *s, tss_root *r) {
  tss_hash *h = aq_map_get(&s->hashes, r->root);
  aq_metric_add(AQ_M_TSS_HASH_CACHE_TOTAL, 1, AQ_LABELS(h ? "hit" : "miss"));
  r->known = r->cached = h != NULL;
  if (!h) return;
  r->point = h->point;
  aq_list_remove(&h->link);
  aq_list_push(&s->hash_list, &h->link);
}

void tss_hash_put(aq_tss *s, const tss_root *r) {
  if (!r->known || r->cached || aq_map_get(&s->hashes, r->root)) return;
  tss_hash *h;
  if (s->hashes.cnt >= TSS_HASHES_MAX) {
    h = AQ_CONTAINER(s->hash_list.next, tss_hash, link);
    aq_list_remove(&h->link);
    aq_map_del(&s->hashes, h->root);
  } else {
    h = malloc(sizeof *h);
    if (!h) return;
  }
  memcpy(h->root, r->root, 32);
  h->point = r->point;
  if (aq_map_put(&s->hashes, h->root, h) != AQ_OK) {
    free(h);
    return;
  }
  aq_list_push(&s->hash_list, &h->link);
}

void tss_hashes_free(aq_tss *s) {
  AQ_LIST_EACH(&s->hash_list, h, tss_hash, link) free(h);
  aq_map_free(&s->hashes);
}

/* The place of a root in a job's list, added when new. The list has room for one root an item. s NULL: no cache. */
uint32_t tss_root_index(aq_tss *s, tss_root *list, uint32_t *cnt, const uint8_t root[32]) {
  for (uint32_t i = *cnt; i > 0; i--) {
    if (memcmp(list[i - 1].root, root, 32) == 0) return i - 1;
  }
  tss_root *r = &list[*cnt];
  memcpy(r->root, root, 32);
  if (s) tss_hash_get(s, r);
  return (*cnt)++;
}
