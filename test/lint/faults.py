#!/usr/bin/env python3
"""Goal: each kind of small fault is found, and what looks like it is not. Method: one line or two of each, planted."""
import os, sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import lint_faults

SAID = "/* What it does. */"
CHANGES = "an assertion changes something"
CALLS = "an assertion calls {}: AQ_MUST, or a name for LOOKS in tools/lint_faults.py"
# (path, text, findings without the path)
CASES = [
    ("src/a/a.c", "  AQ_ASSERT(n++ == 0);\n", ["1: " + CHANGES]),
    ("src/a/a.c", "  int i;\n  AQ_ASSERT((i = 2) &&\n            i > 1);\n", ["2: " + CHANGES]),
    ("src/a/a_fuzz.c", "  AQ_DEBUG_ASSERT(--n == 0);\n", ["1: " + CHANGES]),
    ("src/a/a.c", "  AQ_ASSERT(a <= b && c != d && e >= f && strcmp(s, \"x=1\") == 0); /* n++ */\n", []),
    ("src/a/a.c", "  AQ_ASSERT(uv_timer_init(l, t) == 0);\n", ["1: " + CALLS.format("uv_timer_init")]),
    ("sim/a/a.c", "  AQ_ASSERT(l->vt->next(l));\n", ["1: " + CALLS.format("l->vt->next")]),
    ("src/a/a.c", "  AQ_MUST(uv_timer_init(l, t) == 0);\n  AQ_ASSERT(aq_hash_eq(a, b) || (n > 1));\n", []),
    ("src/a/a_fuzz.c", "  AQ_ASSERT(aq_open(&(aq_cfg){.path = p}) == AQ_OK);\n", []),
    ("src/a/a.c", "  if (a->b) aq_b_free(a->b);\n  if (c)\n    free(c);\n", ["1: aq_b_free takes NULL: no guard", "2: free takes NULL: no guard"]),
    ("src/a/a.c", "  if (ended) free(l);\n  if (a) aq_a_stop(a);\n", []),
    ("src/a/a.c", "/* src/a/a.c */\n", ["1: no opening line that says what the file does"]),
    ("src/a/b_test.c", "/**/\n", ["1: no opening line that says what the file does"]),
    ("src/a/b_test.c", "/* Vectors of the\n   standard. */\n", []),
    ("src/a/a.c", "  aq_buf b = AQ_BUF(1024);\n  aq_arena_init(&a, 2 * len + (1 << 20));\n",
     ["1: a size without a name and its reason", "2: a size without a name and its reason"]),
    ("src/a/a.c", "  aq_buf b = AQ_BUF(2 * len + 16), c = AQ_BUF(A_MAX);\n  doc = aq_json_parse(body, B1024_MAX, NULL);\n", []),
    ("src/a/a.c", '  aq_buf_put_str(&b, "}");\n  aq_buf_printf(&b, "{\\"slot\\":%u}",\n    slot);\n', ["2: JSON by hand: codec/json_out.h"]),
    ("src/a/a.c", '  printf("want {\\"slot\\":\\"3\\"}");\n  aq_buf_put_str(&b, "\\"0x");\n', []),
    ("src/a/a_int.h", "", ["1: a folder's own header is x_internal.h"]),
    ("test/support/internal.h", "", ["1: a folder's own header is x_internal.h"]),
    ("src/a/a.c", '\n#include "b/b_internal.h"\n#include "a/a_internal.h"\n', ["2: b keeps that header for itself"]),
    ("src/a/a_test.c", '#include "b/b_internal.h"\n', []),
    ("src/a/a.h", "int a_b(void);\n#define a() a_b() + a_b()\n", ["1: a_b is seen by other folders: aq_a_b"]),
    ("src/a/a_internal.h", "int a_b(void);\n#define a() a_b() + a_b()\n", []),
    ("src/a/a.c", "int new_ = 1; /* core_tracker_ */\n#define A(a) aq_a_##a\n", ["1: new_: no underscore at the end"]),
]
PAIR = ("src/a/a.h", "typedef struct {\n  uint32_t share, sub; /* two */\n  char *name;\n} aq_pair;\ntypedef struct {\n  uint64_t slot;\n  char *a;\n} aq_one;\n")
PLACE = "src/a/b.c:{}: aq_pair by position, though members could change places: name them"
WHOLE = [
    ("positions", [PAIR, ("src/a/b.c", "  aq_pair p = {1, 2};\n  f((aq_pair){f(a, b),\n  2, 0});\n")], [PLACE.format(1), PLACE.format(2)]),
    ("names", [PAIR, ("src/a/b.c", "  aq_pair p = {.share = 1, .sub = 2}, q = {0};\n  static const aq_pair t[] = {{1, 2}};\n  aq_one o = {1, b};\n")], []),
    ("positions in tests", [PAIR, ("src/a/b_test.c", "  aq_pair p = {1, 2};\n")], []),
    ("called", [("src/a/a.h", "int aq_a(void);\n"), ("src/a/a.c", "int aq_a(void) {\n}\n"), ("sim/b.c", "aq_a();\n")], []),
    ("not called", [("src/a/a.h", "/* x */\nint *aq_a(void);\n"), ("src/a/a.c", "int *aq_a(void) {\n}\n"), ("src/a/a_test.c", "aq_a();\n")],
     ["src/a/a.h:2: nobody calls aq_a but tests, if those"]),
    ("in a macro", [("src/a/a.h", "void aq_a(int);\n#define A(x) aq_a(x)\n"), ("src/a/a.c", "void aq_a(int x) {\n}\n")], []),
    ("listed", [("src/a/a.h", "void aq_rd_copy(int);\n")], []),
]

wrong = 0
for title, texts, want in WHOLE:
    got = lint_faults.check([(p, SAID + t if p.endswith(".c") else t) for p, t in texts])
    if got != want:
        wrong += 1
        print(f"{title}: {got}, not {want}")
for path, text, want in CASES:
    got = lint_faults.check([(path, text if text.startswith("/*") or not path.endswith(".c") else SAID + text)])
    if got != [f"{path}:{w}" for w in want]:
        wrong += 1
        print(f"{text!r}: {got}, not {want}")
print(f"{len(CASES) + len(WHOLE)} cases, {wrong} wrong")
sys.exit(1 if wrong else 0)
