/* base/map.h - hash map from fixed-length byte keys to pointers: open addressing, keyed SipHash so that a peer cannot
   choose collisions, at most `max` entries. Keys are copied in; values are the caller's. Iteration order is the order
   of the slots and so depends on the process's key: sort before anything visible depends on it. Not thread safe. */
#ifndef AQ_BASE_MAP_H
#define AQ_BASE_MAP_H

#include "base/bytes.h"

typedef struct {
  uint8_t *slots; /* cap * (8 + key_len padded to 8) bytes: value pointer, then key */
  size_t cap, cnt, max, key_len, stride;
  uint64_t seed[2];
} aq_map;

/* seed: 16 bytes from the random port; NULL for tests and the simulator (fixed). */
void aq_map_init(aq_map *m, size_t key_len, size_t max, const uint8_t *seed);
void aq_map_free(aq_map *m); /* values are not touched */
/* val not NULL; replaces; AQ_E_LIMIT when full */
AQ_NODISCARD aq_status aq_map_put(aq_map *m, const void *key, void *val);
void *aq_map_get(const aq_map *m, const void *key); /* NULL: absent */
void *aq_map_del(aq_map *m, const void *key);       /* the removed value or NULL */

/* for (size_t it = 0; (val = aq_map_next(m, &it, &key));) - the map must not change meanwhile. key may be NULL. */
void *aq_map_next(const aq_map *m, size_t *it, const void **key);

#endif
