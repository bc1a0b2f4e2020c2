/* base/arena.h - memory that is released as a whole. Blocks come from malloc as needed, up to `max` bytes in all; an
   allocation over the limit returns NULL, which callers turn into AQ_E_LIMIT. Alignment is 16. Not thread safe. */
#ifndef AQ_BASE_ARENA_H
#define AQ_BASE_ARENA_H

#include <stddef.h>

#include "base/bytes.h"

typedef struct aq_arena_block aq_arena_block;

typedef struct {
  aq_arena_block *head; /* newest block */
  size_t used, max;     /* bytes handed to callers and its limit */
} aq_arena;

void aq_arena_init(aq_arena *a, size_t max);
void aq_arena_free(aq_arena *a);  /* releases everything; usable again with the same max */
void aq_arena_reset(aq_arena *a); /* forgets everything, keeps the oldest block for the next use */

void *aq_arena_alloc(aq_arena *a, size_t len);              /* zeroed; NULL over the limit */
void *aq_arena_array(aq_arena *a, size_t cnt, size_t size); /* zeroed; NULL on overflow or over the limit */
aq_bytes aq_arena_copy(aq_arena *a, aq_bytes src); /* ptr NULL over the limit; an empty src gives a non-NULL ptr */
char *aq_arena_str(aq_arena *a, aq_bytes src);     /* 0-terminated copy; NULL over the limit */

#endif
