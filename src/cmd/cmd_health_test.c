/* Command lines as they stand in /proc, and the address that is read from them. */
#include "cmd/cmd_health.c"

#include "aq_test.h"

int aq_cmd_fail(const char *fmt, ...) {
  assert_non_null(fmt);
  return AQ_EXIT_FAILED;
}

typedef struct {
  const char *api;
  bool builder;
} node_cfg;

static const aq_option rows[] = {
    {.flag = "builder-api", .kind = AQ_OPT_BOOL, .off = offsetof(node_cfg, builder)},
    {.flag = "validator-api", .other = "validator-api-address", .kind = AQ_OPT_STR, .off = offsetof(node_cfg, api)},
};
const aq_command aq_cmd_run = {.name = "run", .option = rows, .option_cnt = 2, .cfg_size = sizeof(node_cfg)};

#define WORDS(text) text, sizeof(text)

/* Goal: the health check finds the address that a flag of the node set, and takes no other process for a node.
   Method: command lines as /proc shows them: forms of the flag, programs before it, other commands, broken ones. */
static void test_command_lines(void **state) {
  (void)state;
  static const struct {
    const char *text;
    size_t size;
    const char *api;
  } row[] = {
      {WORDS("/usr/local/bin/aequa\0--validator-api\0000.0.0.0:3600"), "0.0.0.0:3600"},
      {WORDS("aequa\0run\0--builder-api\0true\0--validator-api-address=:1"), ":1"},
      {WORDS("/sbin/docker-init\0--\0/usr/local/bin/dvt-node\0-validator-api=[::1]:2"), "[::1]:2"},
      {WORDS("aequa\0--validator-api=a:1\0--validator-api=a:2"), "a:2"},
      {WORDS("aequa\0--builder-api"), NULL},
      {WORDS("aequa"), NULL},
      {WORDS("aequa\0run"), NULL},
      {WORDS("aequa\0beacon\0--validator-api=a:1"), NULL},
      {WORDS("aequa\0--no-such\0--validator-api=a:1"), NULL},
      {WORDS("aequa\0--validator-api=a:1\0--help"), NULL},
      {WORDS("/sbin/init\0--validator-api=a:1"), NULL},
      {WORDS("/opt/aequa/other\0--validator-api=a:1"), NULL},
      {WORDS("\0\0"), NULL},
  };
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    aq_arena arena;
    aq_arena_init(&arena, 1 << 20);
    const char *api = api_of_node(&arena, aq_bytes_of(row[i].text, row[i].size - 1));
    assert_int_equal(api != NULL, row[i].api != NULL);
    if (api) assert_string_equal(api, row[i].api);
    aq_arena_free(&arena);
  }
}

/* Goal: a command line of any length is read within its limits.
   Method: more words than there is room for, the flag before and behind it. */
static void test_limits(void **state) {
  (void)state;
  aq_arena arena;
  aq_buf text = AQ_BUF(CMDLINE_MAX);
  aq_arena_init(&arena, 1 << 20);
  aq_buf_put(&text, WORDS("aequa\0--validator-api=a:1"));
  for (size_t i = 0; i < 2 * WORDS_MAX; i++) aq_buf_put(&text, WORDS("--builder-api"));
  aq_buf_put(&text, WORDS("--validator-api=a:2"));
  assert_string_equal(api_of_node(&arena, aq_bytes_of(text.ptr, text.len - 1)), "a:1");
  aq_buf_free(&text);
  aq_arena_free(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_command_lines), cmocka_unit_test(test_limits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
