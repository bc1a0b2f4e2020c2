/* Blocks double with use, up to 1 MiB, and are zeroed as they are handed out. */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum { ALIGN = 16, BLOCK_MIN = 4096 };

struct aq_arena_block {
  aq_arena_block *next; /* older */
  size_t cap, used;
  _Alignas(ALIGN) uint8_t data[];
};

void aq_arena_init(aq_arena *a, size_t max) { *a = (aq_arena){.max = max}; }

void aq_arena_free(aq_arena *a) {
  while (a->head) {
    aq_arena_block *next = a->head->next;
    free(a->head);
    a->head = next;
  }
  a->used = 0;
}

void aq_arena_reset(aq_arena *a) {
  while (a->head && a->head->next) {
    aq_arena_block *next = a->head->next;
    free(a->head);
    a->head = next;
  }
  if (a->head) a->head->used = 0;
  a->used = 0;
}

void *aq_arena_alloc(aq_arena *a, size_t len) {
  if (len > a->max - a->used || a->used > a->max) return NULL;
  size_t need = (len + ALIGN - 1) & ~(size_t)(ALIGN - 1);
  if (need < len) return NULL;
  if (need == 0) need = ALIGN;
  aq_arena_block *b = a->head;
  if (!b || need > b->cap - b->used) {
    size_t cap = b ? b->cap * 2 : BLOCK_MIN;
    if (cap > 1u << 20) cap = 1u << 20;
    if (cap < need) cap = need;
    b = malloc(sizeof *b + cap);
    if (!b) return NULL;
    b->next = a->head;
    b->cap = cap;
    b->used = 0;
    a->head = b;
  }
  void *out = b->data + b->used;
  b->used += need;
  a->used += len;
  memset(out, 0, need);
  return out;
}

void *aq_arena_array(aq_arena *a, size_t cnt, size_t size) {
  size_t len;
  if (!aq_mul_ok(&len, cnt, size)) return NULL;
  return aq_arena_alloc(a, len);
}

aq_bytes aq_arena_copy(aq_arena *a, aq_bytes src) {
  uint8_t *out = aq_arena_alloc(a, src.len);
  if (!out) return (aq_bytes){NULL, 0};
  if (src.len) memcpy(out, src.ptr, src.len);
  return aq_bytes_of(out, src.len);
}

char *aq_arena_str(aq_arena *a, aq_bytes src) {
  char *out = aq_arena_alloc(a, src.len + 1);
  if (!out) return NULL;
  if (src.len) memcpy(out, src.ptr, src.len);
  out[src.len] = 0;
  return out;
}
