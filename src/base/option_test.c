/* Sources, ranks, forms of values and every way to be wrong, on tables of its own. */
#include "base/option.h"

#include "aq_test.h"
#include "base/time.h"

typedef struct {
  const char *name, *dir;
  bool zipped, on;
  uint64_t nodes, timeout_ns;
  aq_opt_list list, addresses;
} cfg;

static const aq_option rows[] = {
    {.flag = "name", .kind = AQ_OPT_STR, .off = offsetof(cfg, name), .help = "cluster name"},
    {.flag = "data-dir",
     .other = "dir p2p.dir",
     .kind = AQ_OPT_PATH,
     .off = offsetof(cfg, dir),
     .def = ".charon",
     .help = "h"},
    {.flag = "zipped", .kind = AQ_OPT_BOOL, .off = offsetof(cfg, zipped), .help = "h"},
    {.flag = "on", .kind = AQ_OPT_BOOL, .off = offsetof(cfg, on), .def = "true", .help = "h"},
    {.flag = "nodes", .env = "NODE_COUNT N", .kind = AQ_OPT_U64, .off = offsetof(cfg, nodes), .def = "4", .help = "h"},
    {.flag = "timeout", .kind = AQ_OPT_DURATION, .off = offsetof(cfg, timeout_ns), .def = "2s", .help = "h"},
    {.flag = "list", .kind = AQ_OPT_LIST, .off = offsetof(cfg, list), .def = "x,y", .help = "h"},
    {.flag = "addresses", .kind = AQ_OPT_LIST, .off = offsetof(cfg, addresses), .help = "h", .secret = true},
};

static aq_arena arena;
static aq_options opt;
static aq_err err;

static int argc_of(const char *const *argv) {
  int n = 0;
  while (argv[n]) n++;
  return n;
}

static aq_status parse(cfg *c, const char *const *argv, const char *const *env, const aq_opt_pair *file,
                       size_t file_cnt) {
  *c = (cfg){.name = NULL};
  err = (aq_err){AQ_OK, ""};
  aq_opt_input in = {argc_of(argv), argv, env, file, file_cnt};
  return aq_options_parse(&opt, c, &arena, rows, AQ_COUNT(rows), &in, &err);
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NONE ((const char *const[]){NULL})

static int setup(void **state) {
  (void)state;
  aq_arena_init(&arena, 1 << 20);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  aq_arena_free(&arena);
  return 0;
}

/* Goal: without any input every value is its default.
   Method: parse nothing. */
static void defaults(void **state) {
  (void)state;
  cfg c;
  assert_int_equal(parse(&c, NONE, NULL, NULL, 0), AQ_OK);
  assert_string_equal(c.name, "");
  assert_string_equal(c.dir, ".charon");
  assert_false(c.zipped);
  assert_true(c.on);
  assert_int_equal(c.nodes, 4);
  assert_int_equal(c.timeout_ns, AQ_SECONDS(2));
  assert_int_equal(c.list.cnt, 2);
  assert_false(aq_options_given(&opt, "nodes"));
}

/* Goal: every way of writing a flag works, other names too, and arguments may stand between flags.
   Method: one line of each form. */
static void flag_forms(void **state) {
  (void)state;
  cfg c;
  assert_int_equal(
      parse(&c,
            ARGS("--name", "a b", "pos", "-nodes=7", "--dir=/x", "--zipped", "-on=false", "--timeout", "1m30s", "q"),
            NULL, NULL, 0),
      AQ_OK);
  assert_string_equal(c.name, "a b");
  assert_string_equal(c.dir, "/x");
  assert_true(c.zipped);
  assert_false(c.on);
  assert_int_equal(c.nodes, 7);
  assert_int_equal(c.timeout_ns, AQ_SECONDS(90));
  assert_int_equal(opt.arg_cnt, 2);
  assert_string_equal(opt.arg[1], "q");
  assert_int_equal(aq_options_source(&opt, "p2p.dir"), AQ_OPT_FLAG);
  assert_int_equal(parse(&c, ARGS("--name=", "--nodes=1", "--nodes", "2", "--", "--zipped"), NULL, NULL, 0), AQ_OK);
  assert_string_equal(c.name, "");
  assert_int_equal(c.nodes, 2);
  assert_false(c.zipped);
  assert_string_equal(opt.arg[0], "--zipped");
}

/* Goal: a boolean takes the word true or false behind it, and nothing else; a false one is told.
   Method: both words, other words, the end of the line, behind "--", with "=". */
static void bool_words(void **state) {
  (void)state;
  cfg c;
  assert_int_equal(parse(&c, ARGS("--zipped", "true", "--on", "False", "q"), NULL, NULL, 0), AQ_OK);
  assert_true(c.zipped);
  assert_false(c.on);
  assert_int_equal(opt.arg_cnt, 1);
  assert_string_equal(opt.arg[0], "q");
  assert_string_equal(opt.denied, "on");
  assert_int_equal(parse(&c, ARGS("--zipped", "--on", "0", "yes", "--zipped=false", "true"), NULL, NULL, 0), AQ_OK);
  assert_false(c.zipped);
  assert_true(c.on);
  assert_int_equal(opt.arg_cnt, 3);
  assert_null(opt.denied);
  assert_int_equal(parse(&c, ARGS("--zipped", "--", "false"), NULL, NULL, 0), AQ_OK);
  assert_true(c.zipped);
  assert_int_equal(opt.arg_cnt, 1);
  assert_int_equal(parse(&c, ARGS("--name", "false", "--zipped"), NULL, NULL, 0), AQ_OK);
  assert_string_equal(c.name, "false");
  assert_true(c.zipped);
}

/* Goal: flag over AEQUA_ over own variable over CHARON_ over file over default.
   Method: take the highest away, one after the other. */
static void precedence(void **state) {
  (void)state;
  cfg c;
  const char *const env[] = {"CHARON_NODES=13", "N=12", "AEQUA_NODES=11", "AEQUA_P2P_DIR=/p", "CHARON_LIST=", NULL};
  const aq_opt_pair file[] = {{"Nodes", "14"}, {"other-command-key", "x"}, {"list", "f1, f2"}};
  assert_int_equal(parse(&c, ARGS("--nodes", "10"), env, file, 3), AQ_OK);
  assert_int_equal(c.nodes, 10);
  assert_string_equal(c.dir, "/p");
  assert_int_equal(c.list.cnt, 2); /* an empty variable is not set */
  assert_string_equal(c.list.item[1], "f2");
  assert_int_equal(parse(&c, NONE, env, file, 3), AQ_OK);
  assert_int_equal(c.nodes, 11);
  assert_int_equal(aq_options_source(&opt, "nodes"), AQ_OPT_ENV);
  const char *const less[] = {"CHARON_NODES=13", "N=12", "AEQUA_NODES=", NULL};
  assert_int_equal(parse(&c, NONE, less, file, 3), AQ_OK);
  assert_int_equal(c.nodes, 12);
  assert_int_equal(parse(&c, NONE, ARGS("CHARON_NODES=13"), file, 3), AQ_OK);
  assert_int_equal(c.nodes, 13);
  assert_int_equal(aq_options_source(&opt, "nodes"), AQ_OPT_CHARON_ENV);
  assert_int_equal(parse(&c, NONE, NULL, file, 3), AQ_OK);
  assert_int_equal(c.nodes, 14);
}

/* Goal: wrong use is refused with a line that names the flag.
   Method: a table of one fault each. */
static void faults(void **state) {
  (void)state;
  cfg c;
  static const char *const row[][2] = {
      {"--nope", "unknown flag --nope"},
      {"--nodes", "--nodes needs a value"},
      {"--nodes=x", "--nodes: \"x\" is not a NUMBER"},
      {"--nodes=-1", "--nodes: \"-1\" is not a NUMBER"},
      {"--nodes=18446744073709551616", "--nodes: \"18446744073709551616\" is not a NUMBER"},
      {"--on=maybe", "--on: \"maybe\" is not a BOOL"},
      {"--timeout=5", "--timeout: \"5\" is not a DURATION"},
      {"--list=\"a", "--list: \"\"a\" is not a LIST"},
      {"--list=\"a\" b", "--list: \"\"a\" b\" is not a LIST"},
      {"--addresses=http://us:\"p@bn", "--addresses: that is not a LIST"},
      {"---name", "unknown flag ---name"},
  };
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    assert_int_equal(parse(&c, ARGS(row[i][0]), NULL, NULL, 0), AQ_E_FORMAT);
    assert_string_equal(err.text, row[i][1]);
  }
  assert_int_equal(parse(&c, NONE, ARGS("CHARON_TIMEOUT=soon"), NULL, 0), AQ_E_FORMAT);
  assert_string_equal(err.text, "environment, --timeout: \"soon\" is not a DURATION");
}

/* Goal: lists are CSV, repeated flags append, the first explicit value replaces the default, empty means empty.
   Method: a table of argument lines. */
static void lists(void **state) {
  (void)state;
  cfg c;
  assert_int_equal(parse(&c, ARGS("--list=a,\"b,\"\"c\"", "--list", "d"), ARGS("AEQUA_LIST=e"), NULL, 0), AQ_OK);
  assert_int_equal(c.list.cnt, 3);
  assert_string_equal(c.list.item[0], "a");
  assert_string_equal(c.list.item[1], "b,\"c");
  assert_string_equal(c.list.item[2], "d");
  assert_int_equal(parse(&c, ARGS("--list=\ta b , c, \" d \" ,  "), NULL, NULL, 0), AQ_OK);
  assert_int_equal(c.list.cnt, 4);
  assert_string_equal(c.list.item[0], "a b");
  assert_string_equal(c.list.item[1], "c");
  assert_string_equal(c.list.item[2], " d ");
  assert_string_equal(c.list.item[3], "");
  assert_int_equal(parse(&c, ARGS("--list="), NULL, NULL, 0), AQ_OK);
  assert_int_equal(c.list.cnt, 0);
  assert_int_equal(parse(&c, ARGS("--list=,a,"), NULL, NULL, 0), AQ_OK);
  assert_int_equal(c.list.cnt, 3);
  assert_string_equal(c.list.item[0], "");
}

/* Goal: lists, arguments and what is read from a file have limits. Method: each at its limit and one beyond. */
static void limits(void **state) {
  (void)state;
  cfg c;
  aq_arena room;
  const char *words[AQ_OPT_ARGS_MAX + 2] = {NULL};
  for (size_t i = 0; i < AQ_OPT_ARGS_MAX; i++) words[i] = "w";
  assert_int_equal(parse(&c, words, NULL, NULL, 0), AQ_OK);
  assert_int_equal(opt.arg_cnt, AQ_OPT_ARGS_MAX);
  words[AQ_OPT_ARGS_MAX] = "w";
  assert_int_equal(parse(&c, words, NULL, NULL, 0), AQ_E_LIMIT);
  assert_string_equal(err.text, "more than 64 arguments");
  aq_opt_list list;
  char *text = calloc(1, AQ_OPT_LIST_MAX + 1);
  assert_non_null(text);
  memset(text, ',', AQ_OPT_LIST_MAX - 1);
  aq_arena_init(&room, 1 << 20);
  assert_int_equal(aq_csv_parse(&list, &room, text), AQ_OK);
  assert_int_equal(list.cnt, AQ_OPT_LIST_MAX);
  text[AQ_OPT_LIST_MAX - 1] = ',';
  assert_int_equal(aq_csv_parse(&list, &room, text), AQ_E_LIMIT);
  aq_arena_free(&room);
  free(text);
  aq_opt_pair *pair;
  size_t cnt;
  aq_arena_init(&room, 64);
  assert_int_equal(aq_options_file(&pair, &cnt, &room, aq_bytes_str("\n\n\n\n\n\n\n\n"), &err), AQ_E_LIMIT);
  assert_int_equal(
      aq_options_file(&pair, &cnt, &room,
                      aq_bytes_str("name: long enough not to fit into what is left of the sixty-four"), &err),
      AQ_E_LIMIT);
  aq_arena_free(&room);
}

/* Goal: durations and booleans as Go writes them, and the booleans of the environment contract.
   Method: tables of accepted and refused texts. */
static void values(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint64_t ns;
  } good[] = {
      {"0", 0},   {"300ms", AQ_MILLIS(300)}, {"1.5h", AQ_SECONDS(5400)}, {"1h0m0s", AQ_SECONDS(3600)}, {"2us", 2000},
      {"7ns", 7}, {".5s", AQ_MILLIS(500)},   {"1m30s", AQ_SECONDS(90)}};
  uint64_t ns;
  bool b;
  for (size_t i = 0; i < AQ_COUNT(good); i++) {
    assert_int_equal(aq_duration_parse(&ns, good[i].text), AQ_OK);
    assert_int_equal(ns, good[i].ns);
  }
  static const char *const bad[] = {"",
                                    "5",
                                    "s",
                                    ".s",
                                    "-1s",
                                    "1d",
                                    "1s ",
                                    "99999999999h",
                                    "18446744073709551616ns",
                                    "9999999999ms9999999999999999999ns9999999999999999999ns"};
  for (size_t i = 0; i < AQ_COUNT(bad); i++) assert_int_not_equal(aq_duration_parse(&ns, bad[i]), AQ_OK);
  static const char *const yes[] = {"1", "t", "TRUE", "Yes", "on"}, *const no[] = {"0", "F", "false", "no", "OFF"};
  for (size_t i = 0; i < AQ_COUNT(yes); i++) {
    assert_int_equal(aq_bool_parse(&b, yes[i]), AQ_OK);
    assert_true(b);
    assert_int_equal(aq_bool_parse(&b, no[i]), AQ_OK);
    assert_false(b);
  }
  assert_int_equal(aq_bool_parse(&b, ""), AQ_E_FORMAT);
  assert_int_equal(aq_bool_parse(&b, "2"), AQ_E_FORMAT);
}

/* Goal: --help wins over every fault; the usage text shows each flag with its default.
   Method: help beside nonsense; search the text. */
static void help(void **state) {
  (void)state;
  cfg c;
  assert_int_equal(parse(&c, ARGS("--nope", "--help"), NULL, NULL, 0), AQ_OK);
  assert_true(opt.help);
  aq_buf text = AQ_BUF(1 << 16);
  aq_options_usage(&text, rows, AQ_COUNT(rows));
  assert_non_null(strstr(aq_buf_cstr(&text), "--data-dir PATH"));
  assert_non_null(strstr(aq_buf_cstr(&text), "(default .charon) [also --dir p2p.dir]"));
  aq_buf_free(&text);
}

/* Goal: required values may come from anywhere but not from nowhere.
   Method: one required row, with and without a variable. */
static void required(void **state) {
  (void)state;
  static const aq_option row = {
      .flag = "name", .kind = AQ_OPT_STR, .off = offsetof(cfg, name), .help = "h", .required = true};
  cfg c = {.name = NULL};
  aq_opt_input in = {.argc = 0};
  assert_int_equal(aq_options_parse(&opt, &c, &arena, &row, 1, &in, &err), AQ_E_FORMAT);
  assert_string_equal(err.text, "--name is required");
  in.env = ARGS("CHARON_NAME=n");
  assert_int_equal(aq_options_parse(&opt, &c, &arena, &row, 1, &in, &err), AQ_OK);
  assert_string_equal(c.name, "n");
}

/* Goal: the flat configuration file is read in both notations; anything else is an error that names its line.
   Method: a file of every kind of line; files with one wrong line. */
static void file(void **state) {
  (void)state;
  static const char text[] =
      "# comment\n---\nname: \"a # b\"  # c\r\nnodes = 7\n\n  list: a,b # two\nurl: http://x:1/#y\n\"k\": "
      "'v'\nempty:\n";
  static const char *const want[][2] = {{"name", "a # b"},        {"nodes", "7"}, {"list", "a,b"},
                                        {"url", "http://x:1/#y"}, {"k", "v"},     {"empty", ""}};
  aq_opt_pair *pair;
  size_t cnt;
  assert_int_equal(aq_options_file(&pair, &cnt, &arena, aq_bytes_str(text), &err), AQ_OK);
  assert_int_equal(cnt, AQ_COUNT(want));
  for (size_t i = 0; i < cnt; i++) {
    assert_string_equal(pair[i].key, want[i][0]);
    assert_string_equal(pair[i].value, want[i][1]);
  }
  static const char *const bad[] = {"a: b\n- x", "x\n", "x y: z", "\"x: 1", "[section]", ": v"};
  for (size_t i = 0; i < AQ_COUNT(bad); i++) {
    assert_int_equal(aq_options_file(&pair, &cnt, &arena, aq_bytes_str(bad[i]), &err), AQ_E_FORMAT);
    assert_non_null(strstr(err.text, i == 0 ? "line 2" : "line 1"));
  }
}

/* Goal: lists in the forms of both notations, behind a byte order mark, are what the CSV text says.
   Method: a table of files, read back through a list option; lines that look like lists and are none. */
static void file_lists(void **state) {
  (void)state;
  static const struct {
    const char *text, *item[4];
  } row[] = {
      {"\xef\xbb\xbflist: a,b", {"a", "b"}},
      {"list = [\"a\", 'b']", {"a", "b"}},
      {"list = [ # first\n  \"a,1\",\n\n  # second\n  \"b\",\n]  # end\nnodes = 7", {"a,1", "b"}},
      {"list: [http://x:1/#y, b]\r\nnodes: 7", {"http://x:1/#y", "b"}},
      {"list:\n  - a # one\n\n  # c\n  - 'say \"b\"'\n-\nnodes: 7", {"a", "say \"b\"", ""}},
      {"list: []", {NULL}},
      {"list: [\"\"]", {""}},
      {"list:\nnodes: 7", {NULL}},
      {"list: [::1]:3610", {"[::1]:3610"}},
  };
  for (size_t i = 0; i < AQ_COUNT(row); i++) {
    aq_opt_pair *pair;
    size_t cnt, want = 0;
    cfg c;
    assert_int_equal(aq_options_file(&pair, &cnt, &arena, aq_bytes_str(row[i].text), &err), AQ_OK);
    assert_int_equal(parse(&c, NONE, NULL, pair, cnt), AQ_OK);
    for (; want < 4 && row[i].item[want]; want++) {
      assert_true(want < c.list.cnt);
      assert_string_equal(c.list.item[want], row[i].item[want]);
    }
    assert_int_equal(c.list.cnt, want);
    assert_int_equal(c.nodes, strstr(row[i].text, "nodes") ? 7 : 4);
  }
  static const char *const bad[] = {"n: 1\nlist: [a", "n: 1\nlist = [\"a\",\n", "n: 1\nlist = [\"a\n\"]", "n: 1\n\"",
                                    "list:\n- a\nb"};
  for (size_t i = 0; i < AQ_COUNT(bad); i++) {
    aq_opt_pair *pair;
    size_t cnt;
    assert_int_equal(aq_options_file(&pair, &cnt, &arena, aq_bytes_str(bad[i]), &err), AQ_E_FORMAT);
    assert_non_null(strstr(err.text, i < 4 ? "line 2 " : "line 3 "));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(defaults),   cmocka_unit_test(flag_forms), cmocka_unit_test(bool_words),
      cmocka_unit_test(file_lists), cmocka_unit_test(precedence), cmocka_unit_test(faults),
      cmocka_unit_test(lists),      cmocka_unit_test(limits),     cmocka_unit_test(values),
      cmocka_unit_test(help),       cmocka_unit_test(required),   cmocka_unit_test(file),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
