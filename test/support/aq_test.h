/* test/support/aq_test.h - what unit tests share: cmocka, vectors from test/vectors, hex, a seeded generator. */
#ifndef AQ_TEST_SUPPORT_H
#define AQ_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <yyjson.h>

#include "base/bytes.h"

/* A file of test/vectors, e.g. aq_test_json("consensus/leader.json"); the test fails when it is missing. */
yyjson_doc *aq_test_json(const char *path);
/* A file as bytes; free with aq_buf_free. Paths that start with '/' are taken as they are. */
aq_buf aq_test_file(const char *path);
/* Hex text, with or without 0x, into a buffer. */
aq_buf aq_test_hex(const char *text);
aq_buf aq_test_hex_of(yyjson_val *obj, const char *name);
const char *aq_test_str(yyjson_val *obj, const char *name); /* the test fails when absent */
uint64_t aq_test_u64(yyjson_val *obj, const char *name);    /* number or decimal string */

/* xoshiro256** from a seed: the random tests' only source. */
typedef struct {
  uint64_t s[4];
} aq_test_rng;
void aq_test_rng_seed(aq_test_rng *r, uint64_t seed);
uint64_t aq_test_rng_next(aq_test_rng *r);
void aq_test_rng_bytes(aq_test_rng *r, void *out, size_t len);

#define assert_bytes(a, b) aq_test_assert_bytes((a), (b), __FILE__, __LINE__)
void aq_test_assert_bytes(aq_bytes got, aq_bytes want, const char *file, int line);

#endif
