/* test/support/image_scan.h - looks for bytes in the memory of the own process: every readable mapping, through
   /proc/self/mem. The needle is kept masked and compared masked, so that the search does not find itself. Mappings over
   1 GiB (a sanitizer's shadow) are left out. Not thread-safe; no other thread may write secrets meanwhile. */
#ifndef AQ_TEST_IMAGE_SCAN_H
#define AQ_TEST_IMAGE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AQ_NEEDLE_MAX = 128, AQ_NEEDLES_MAX = 64, AQ_NEEDLE_MASK = 0xa5 };

typedef struct {
  const char *name, *form; /* form: raw, reversed, hex */
  uint8_t masked[AQ_NEEDLE_MAX];
  size_t len;
} aq_needle;

typedef struct {
  aq_needle needle[AQ_NEEDLES_MAX];
  size_t cnt;
} aq_needles;

/* Adds the bytes, given masked, as they are; with `forms` also reversed (limbs of a library), as hex of both cases. */
void aq_needles_add(aq_needles *n, const char *name, const uint8_t *masked, size_t len, bool forms);

/* How often the needles occur; `where` gets name and address of the first, 0-terminated. */
size_t aq_image_scan(char where[160], const aq_needles *n);

#endif
