/* Text of others. */
#include "aq_test.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/utf8.h"

static const struct {
  const char *in, *clean, *logged;
} texts[] = {
    {"node of Z\xc3\xbcrich \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80",
     "node of Z\xc3\xbcrich \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80", NULL},
    {"\x1b[2Jgone\a", "?[2Jgone?", "\\u001b[2Jgone\\u0007"},
    {"one\r\ntwo\tthree", "one??two?three", "one\\u000d\\u000atwo\\u0009three"},
    {"\x7f\xc2\x9b", "??", "\\u007f\\u009b"},
    {"a\xe2\x80\xae"
     "gpj.exe\xe2\x80\xac",
     "a?gpj.exe?", "a\\u202egpj.exe\\u202c"},
    {"\xe2\x81\xa6x\xe2\x81\xa9\xe2\x80\x8f", "?x??", "\\u2066x\\u2069\\u200f"},
    {"pa\xe2\x80\x8by\xef\xbb\xbf\xe2\x80\xa8", "pa?y??", "pa\\u200by\\ufeff\\u2028"},
    {"\xf3\xa0\x81\x81", "?", "\\udb40\\udc41"},
    {"bad \xff\xc3", "bad ?", "bad \xef\xbf\xbd\xef\xbf\xbd"},
    {"bad \xed\xa0", "bad ??", "bad \xef\xbf\xbd\xef\xbf\xbd"},
    {"", "", ""},
};

/* Goal: what a peer calls itself cannot steer a terminal, turn the text around or hide in it; all else stays.
   Method: one text of each kind, cleaned in place, as a log value and as a label. */
static void shown(void **state) {
  (void)state;
  for (size_t i = 0; i < AQ_COUNT(texts); i++) {
    char text[64], line[AQ_LOG_LINE_MAX + 1], want[128];
    snprintf(text, sizeof text, "%s", texts[i].in);
    aq_text_clean(text);
    assert_string_equal(text, texts[i].clean);
    aq_text_clean(text);
    assert_string_equal(text, texts[i].clean);
    size_t len = aq_log_format(line, 0, AQ_LOG_INFO, "m", (const aq_log_field[]){AQ_STR("v", texts[i].in)}, 1);
    line[len] = 0;
    snprintf(want, sizeof want, "\"v\":\"%s\"", texts[i].logged ? texts[i].logged : texts[i].in);
    if (!strstr(line, want)) fail_msg("%s instead of %s", line, want);
    aq_metrics_init();
    aq_metric_set(AQ_M_APP_PEERINFO_NICKNAME, 1, AQ_LABELS("p", texts[i].in));
    assert_true(aq_metric_value(AQ_M_APP_PEERINFO_NICKNAME, AQ_LABELS("p", texts[i].clean)) == 1);
    aq_buf out = AQ_BUF(4 << 20);
    aq_metrics_write(&out);
    assert_null(strpbrk(aq_buf_cstr(&out), "\x1b\r\a\x7f"));
    aq_buf_free(&out);
  }
}

/* Goal: an error text that quotes a file is clean. Method: a name with a sequence that clears the screen. */
static void errors(void **state) {
  (void)state;
  aq_err err;
  assert_int_equal(aq_fail(&err, AQ_E_FORMAT, "no such peer: %s", "x\x1b[2J\n"), AQ_E_FORMAT);
  assert_string_equal(err.text, "no such peer: x?[2J?");
}

/* Goal: a limit never leaves half a character, in a copy or in a text that was cut before.
   Method: characters of every length, cut at every byte: what is left is whole and a beginning of the text. */
static void cuts(void **state) {
  (void)state;
  static const char full[] = "a\xc3\xbc\xe6\x97\xa5\xed\x9f\xbf\xe0\xa4\x85\xf0\x9f\x98\x80\xf4\x8f\xbf\xbdz";
  static const size_t end[] = {0, 1, 3, 6, 9, 12, 16, 20, 21};
  for (size_t len = 0, at = 0; len < sizeof full; len++) {
    char copy[sizeof full], cut[sizeof full] = "";
    if (at + 1 < AQ_COUNT(end) && end[at + 1] == len) at++;
    assert_int_equal(aq_text_copy(copy, len + 1, full), end[at]);
    memcpy(cut, full, len);
    aq_text_clean(cut);
    assert_string_equal(cut, copy);
    assert_memory_equal(copy, full, end[at]);
  }
  char small[4];
  assert_int_equal(aq_text_copy(small, sizeof small, "\n\n\n\n\n"), 3);
  assert_string_equal(small, "???");
  assert_int_equal(aq_text_copy(small, sizeof small, "\xe2\x80\x8b\xe2\x80\x8b\xc3\xbc"), 2);
  assert_string_equal(small, "??");
}

/* Goal: an error text that quotes something long ends with a whole character.
   Method: names of two-byte characters, so that the limit falls inside one of them. */
static void long_errors(void **state) {
  (void)state;
  char name[AQ_ERR_TEXT_MAX + 64];
  for (size_t shift = 0; shift < 2; shift++) {
    aq_err err;
    memset(name, 'x', sizeof name);
    for (size_t i = shift; i + 2 < sizeof name; i += 2) memcpy(name + i, "\xc3\xa9", 2);
    name[sizeof name - 1] = 0;
    (void)aq_fail(&err, AQ_E_FORMAT, "%s", name);
    assert_null(strchr(err.text, '?'));
    assert_true(strlen(err.text) >= AQ_ERR_TEXT_MAX - 2);
    assert_memory_equal(err.text, name, strlen(err.text));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(shown), cmocka_unit_test(errors), cmocka_unit_test(cuts),
                                     cmocka_unit_test(long_errors)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
