#!/usr/bin/env python3
"""Goal: each kind of small fault is found, and what looks like it is not. Method: one line or two of each, planted."""
import os, sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import lint_faults

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
]

wrong = 0
for path, text, want in CASES:
    got = lint_faults.check([(path, text)])
    if got != [f"{path}:{w}" for w in want]:
        wrong += 1
        print(f"{text!r}: {got}, not {want}")
print(f"{len(CASES)} cases, {wrong} wrong")
sys.exit(1 if wrong else 0)
