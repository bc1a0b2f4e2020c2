/* Linear probing, SipHash-1-3 with a seed of the start, and deletion that moves followers back instead of leaving
   marks. */
#include "base/map.h"

#include <stdlib.h>

#include "base/assert.h"

#define ROTL(x, b) (uint64_t)(((x) << (b)) | ((x) >> (64 - (b))))

static void sip_round(uint64_t v[4]) {
  v[0] += v[1], v[1] = ROTL(v[1], 13), v[1] ^= v[0], v[0] = ROTL(v[0], 32);
  v[2] += v[3], v[3] = ROTL(v[3], 16), v[3] ^= v[2];
  v[0] += v[3], v[3] = ROTL(v[3], 21), v[3] ^= v[0];
  v[2] += v[1], v[1] = ROTL(v[1], 17), v[1] ^= v[2], v[2] = ROTL(v[2], 32);
}

/* SipHash-1-3 over the key padded with zeros to eight bytes; all keys of a map have one length. */
static uint64_t hash(const aq_map *m, const uint8_t *key) {
  uint64_t v[4] = {m->seed[0] ^ 0x736f6d6570736575u, m->seed[1] ^ 0x646f72616e646f6du, m->seed[0] ^ 0x6c7967656e657261u,
                   m->seed[1] ^ 0x7465646279746573u};
  for (size_t off = 0; off < m->key_len; off += 8) {
    uint8_t block[8] = {0};
    size_t len = m->key_len - off < 8 ? m->key_len - off : 8;
    memcpy(block, key + off, len);
    uint64_t word = aq_le64_get(block);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
  }
  v[2] ^= 0xff;
  sip_round(v), sip_round(v), sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void aq_map_init(aq_map *m, size_t key_len, size_t max, const uint8_t *seed) {
  AQ_ASSERT(key_len > 0 && key_len <= 256);
  *m = (aq_map){.max = max, .key_len = key_len, .stride = sizeof(void *) + ((key_len + 7) & ~(size_t)7)};
  if (seed) m->seed[0] = aq_le64_get(seed), m->seed[1] = aq_le64_get(seed + 8);
}

void aq_map_free(aq_map *m) {
  free(m->slots);
  m->slots = NULL;
  m->cap = m->cnt = 0;
}

static void *slot_val(const aq_map *m, size_t i) {
  void *val;
  memcpy(&val, m->slots + i * m->stride, sizeof val);
  return val;
}

static void slot_set(aq_map *m, size_t i, const void *key, void *val) {
  memcpy(m->slots + i * m->stride, &val, sizeof val);
  if (val) memcpy(m->slots + i * m->stride + sizeof val, key, m->key_len);
}

static const uint8_t *slot_key(const aq_map *m, size_t i) { return m->slots + i * m->stride + sizeof(void *); }

/* Index of the key's slot, or of the free slot where it would go. cap is a power of two and never full. */
static size_t find(const aq_map *m, const void *key) {
  size_t i = (size_t)hash(m, key) & (m->cap - 1);
  while (slot_val(m, i) && memcmp(slot_key(m, i), key, m->key_len) != 0) i = (i + 1) & (m->cap - 1);
  return i;
}

static bool grow(aq_map *m) {
  size_t cap = m->cap ? m->cap * 2 : 16;
  uint8_t *slots = calloc(cap, m->stride);
  if (!slots) return false;
  aq_map old = *m;
  m->slots = slots;
  m->cap = cap;
  for (size_t i = 0; i < old.cap; i++) {
    void *val = slot_val(&old, i);
    if (val) slot_set(m, find(m, slot_key(&old, i)), slot_key(&old, i), val);
  }
  free(old.slots);
  return true;
}

aq_status aq_map_put(aq_map *m, const void *key, void *val) {
  AQ_ASSERT(val);
  if (m->cap) {
    size_t i = find(m, key);
    if (slot_val(m, i)) {
      slot_set(m, i, key, val);
      return AQ_OK;
    }
  }
  if (m->cnt >= m->max) return AQ_E_LIMIT;
  if (m->cnt * 4 >= m->cap * 3 && !grow(m)) return AQ_E_LIMIT;
  slot_set(m, find(m, key), key, val);
  m->cnt++;
  return AQ_OK;
}

void *aq_map_get(const aq_map *m, const void *key) { return m->cap ? slot_val(m, find(m, key)) : NULL; }

void *aq_map_del(aq_map *m, const void *key) {
  if (!m->cap) return NULL;
  size_t hole = find(m, key);
  void *val = slot_val(m, hole);
  if (!val) return NULL;
  m->cnt--;
  /* Backward-shift deletion: close the gap so that probe chains stay whole without tombstones. */
  size_t i = hole;
  for (;;) {
    slot_set(m, hole, NULL, NULL);
    for (;;) {
      i = (i + 1) & (m->cap - 1);
      void *moved = slot_val(m, i);
      if (!moved) return val;
      size_t home = (size_t)hash(m, slot_key(m, i)) & (m->cap - 1);
      bool stays = hole <= i ? (hole < home && home <= i) : (hole < home || home <= i);
      if (stays) continue;
      slot_set(m, hole, slot_key(m, i), moved);
      hole = i;
      break;
    }
  }
}

void *aq_map_next(const aq_map *m, size_t *it, const void **key) {
  while (*it < m->cap) {
    size_t i = (*it)++;
    void *val = slot_val(m, i);
    if (!val) continue;
    if (key) *key = slot_key(m, i);
    return val;
  }
  return NULL;
}
