/* Which subscriptions are kept for a beacon node that is restarted. validator-api.md 18.7. */
#include "aq_test.h"

#include <stdlib.h>

#include "api/vapi_internal.h"

#include "fake/vapi.h"

static const char target[] = "/eth/v1/validator/beacon_committee_subscriptions";
enum { POSTS = 400, FULL = 128, LARGE = 500000 /* four of them fill the list's bytes */ };

typedef struct {
  fv *f;
  uint32_t got[POSTS]; /* in their order */
  size_t got_cnt;
} world;

/* A post is "[number" and blanks. */
static void bn(void *arg, fake_ex *ex) {
  world *w = arg;
  if (!strstr(ex->url, target)) {
    fake_bn_handle(&w->f->beacon, ex);
    return;
  }
  assert_true(w->got_cnt < POSTS);
  w->got[w->got_cnt++] = (uint32_t)strtoul((const char *)ex->body.ptr + 1, NULL, 10);
  fake_http_answer(ex, AQ_MILLIS(5), 200, "{}");
}

static world *world_new(void) {
  world *w = calloc(1, sizeof *w);
  assert_non_null(w);
  w->f = fv_new(&(fv_cfg){.fork = AQ_ELECTRA});
  w->f->http.handle = bn, w->f->http.arg = w;
  return w;
}

static void world_free(world *w) {
  fv_free(w->f);
  free(w);
}

static void subscribe(world *w, uint32_t number, size_t blanks) {
  aq_buf body = AQ_BUF(1 << 20);
  aq_buf_printf(&body, "[%u", number);
  for (size_t i = 0; i < blanks; i++) aq_buf_put_u8(&body, ' ');
  aq_buf_put_u8(&body, ']');
  fake_res *r = fv_post_json(w->f, target, NULL, aq_buf_cstr(&body));
  assert_int_equal(r->code, 200);
  fake_res_free(r);
  aq_buf_free(&body);
}

/* What a restarted beacon node gets. */
static void expect_again(world *w, const uint32_t *want, size_t cnt) {
  w->got_cnt = 0;
  aq_vapi_subscribe_again(w->f->vapi);
  fake_env_run_for(&w->f->env, AQ_SECONDS(2));
  assert_int_equal(w->got_cnt, cnt);
  for (size_t i = 0; i < cnt; i++) {
    if (w->got[i] != want[i]) fail_msg("%u came in the place of %u", w->got[i], want[i]);
  }
}

/* Goal: in a full list an equal subscription takes the place of its first and costs no other one; a new one costs the
   oldest. Method: as many as are kept; the oldest, one in between or the newest once more; then one that is new. */
static void renewed_in_a_full_list(void **state) {
  (void)state;
  static const uint32_t again[] = {0, 64, FULL - 1};
  for (size_t i = 0; i < AQ_COUNT(again); i++) {
    uint32_t want[FULL + 1];
    size_t cnt = 0;
    world *w = world_new();
    for (uint32_t k = 0; k < FULL; k++) {
      subscribe(w, k, 0);
      if (k != again[i]) want[cnt++] = k;
    }
    subscribe(w, again[i], 0);
    want[cnt++] = again[i];
    expect_again(w, want, FULL);
    subscribe(w, FULL, 0);
    want[cnt++] = FULL;
    expect_again(w, want + 1, FULL);
    world_free(w);
  }
}

/* Goal: the same where the list is full by its bytes. Method: four that fill it, one of them again, a fifth. */
static void renewed_in_a_list_of_large_ones(void **state) {
  (void)state;
  world *w = world_new();
  for (uint32_t k = 0; k < 4; k++) subscribe(w, k, LARGE);
  subscribe(w, 2, LARGE);
  expect_again(w, (const uint32_t[]){0, 1, 3, 2}, 4);
  subscribe(w, 4, LARGE);
  expect_again(w, (const uint32_t[]){1, 3, 2, 4}, 4);
  world_free(w);
}

/* Goal: what is over makes the room. Method: half of a full list is older than its duties; a new one. */
static void what_is_over_goes_first(void **state) {
  (void)state;
  world *w = world_new();
  uint32_t want[FULL / 2 + 1];
  for (uint32_t k = 0; k < FULL / 2; k++) subscribe(w, k, 0);
  fake_env_run_for(&w->f->env, FV_SPE * w->f->chain.clock.slot_ns);
  for (uint32_t k = FULL / 2; k < FULL; k++) subscribe(w, k, 0);
  fake_env_run_for(&w->f->env, FV_SPE * w->f->chain.clock.slot_ns);
  subscribe(w, FULL, 0);
  for (uint32_t k = 0; k <= FULL / 2; k++) want[k] = FULL / 2 + k;
  expect_again(w, want, FULL / 2 + 1);
  assert_int_equal(w->f->vapi->kept_cnt, FULL / 2 + 1);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(renewed_in_a_full_list),
                                     cmocka_unit_test(renewed_in_a_list_of_large_ones),
                                     cmocka_unit_test(what_is_over_goes_first)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
