#!/usr/bin/env python3
"""Goal: the check of rooms sees each way out of them. Method: small trees that break one rule each, and one that breaks none."""
import os, sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import lint_rooms

TABLE = {"base": [], "eth": ["base"], "vc": ["base"]}
GOOD = [("src/base/a.h", ""), ("src/eth/a.c", '#include "eth/a.h"\n#include "base/a.h"\n#include "core.pb-c.h"\n'),
        ("src/vc/a.c", '#include "base/a.h"\n')]
CASES = [("nothing is wrong", TABLE, [], []),
         ("up", TABLE, [("src/base/b.h", '#include "eth/a.h"\n')], ["src/base/b.h:1: base must not include eth (src/rooms)"]),
         ("sideways", TABLE, [("src/vc/b.c", '\n#include "eth/a.h"\n')], ["src/vc/b.c:2: vc must not include eth (src/rooms)"]),
         ("a double", TABLE, [("src/vc/b.c", '#include "fake/env.h"\n')], ["src/vc/b.c:1: vc must not include fake (src/rooms)"]),
         ("tests may", TABLE, [("src/vc/b_test.c", '#include "eth/a.h"\n'), ("src/base/b_fuzz.c", '#include "fake/a.h"\n')], []),
         ("unused", {**TABLE, "vc": ["base", "eth"]}, [], ["src/rooms: vc may include eth, and does not"]),
         ("order", {"eth": ["base"], "base": [], "vc": ["base"]}, [], ["src/rooms: eth may include base, which does not stand before it"]),
         ("no row", TABLE, [("src/new/a.c", "")], ["src/new/a.c: new is no row of src/rooms"]),
         ("large", TABLE, [("src/vc/b.c", "x\n" * lint_rooms.LINES_MAX)], [f"src/vc: {lint_rooms.LINES_MAX + 1} lines, at most {lint_rooms.LINES_MAX}"]),
         ("large tests", TABLE, [("src/vc/b_test.c", "x\n" * lint_rooms.LINES_MAX)], [])]

wrong = 0
for title, table, more, want in CASES:
    got = lint_rooms.check(GOOD + more, table)
    if got != want:
        wrong += 1
        print(f"{title}: {got}, not {want}")
print(f"{len(CASES)} cases, {wrong} wrong")
sys.exit(1 if wrong else 0)
