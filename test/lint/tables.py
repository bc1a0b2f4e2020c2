#!/usr/bin/env python3
"""Duties and forks as rows: the check of tools/lint_tables.py, and what a new type of duty lacks.

Goal: a comparison of forks, a cast over types and a crowd of functions that name types are found, and nothing else is. A type
that is added to the table alone misses exactly its rows of operations, each by name, when the program is linked. Method: lines
written by hand; every file that uses the table compiled with one more type in it, and its undefined symbols.
"""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
sys.path.insert(0, os.path.join(ROOT, "tools"))
import lint_tables

FORK, CAST = "forks are not compared: ask aq_fork_of()", "a cast hides a type of duty from the compiler: a row of operations instead"
LINES = [
    ("  if (fork >= AQ_DENEB) {", FORK),
    ("  if (AQ_DENEB <= fork) {", FORK),
    ("  bool old = d->fork<AQ_ELECTRA;", FORK),
    ("  if (f != AQ_PHASE0) return;", FORK),
    ("  for (aq_fork f = AQ_ALTAIR; f < AQ_FORK_CNT; f++) {", ""),
    ("  /* from fork >= AQ_DENEB on */", ""),
    ("  switch ((int)t->duty.type) {", CAST),
    ("  switch ((int)code) {", ""),
]
# Of what files say, the functions that name a type.
NAMING = [
    ("static int f(aq_duty d) { return d.type == AQ_DUTY_EXIT; }\n", ["f"]),
    ("int f(aq_duty d) {\n  a(AQ_DUTY_EXIT);\n  b(AQ_DUTY_RANDAO);\n}\nint g(int a,\n      int b) {\n  return AQ_DUTY_EXIT;\n}\n", ["f", "g"]),
    ("int f(int t) {\n  return t < AQ_DUTY_CNT && t != AQ_DUTY_UNKNOWN; /* AQ_DUTY_EXIT */\n}\n", []),
    ("static const int t[AQ_DUTY_CNT] = {\n    [AQ_DUTY_EXIT] = 1,\n};\nint f(void);\n", []),
    ("int f(void) {\n  static const int t[AQ_DUTY_CNT] = {[AQ_DUTY_EXIT] = 1};\n  return t[AQ_DUTY_RANDAO];\n}\n", ["f"]),
]
ROWS = "belongs explain fetch judge ledger object signed submit unsigned validity".split()
LAST = "AQ_DF_CONSENSUS | AQ_DF_INFO)\n"
DUMMY = "X(a, b, DUMMY, dummy, 14, SLOT, SLOT, NONE, UNKNOWN, UNKNOWN, UNKNOWN, NONE, 0)\n"


def lines_checked():
    wrong = 0
    for line, want in LINES:
        got = lint_tables.check([("src/flow/x.c", line + "\n")])
        if got != ([f"src/flow/x.c:1: {want}"] if want else []) or lint_tables.check([("src/flow/x_test.c", line + "\n")]):
            wrong += 1
            print(f"{line!r}: {got}")
    if any(lint_tables.check([("src/eth/x.c", LINES[0][0] + "\n")])):
        wrong += 1
        print("eth itself may compare forks")
    for text, want in NAMING:
        got = [n for _, _, n in lint_tables.functions_naming("src/x.c", lint_tables.without_comments(text))]
        if got != want:
            wrong += 1
            print(f"{text!r}: {got}, not {want}")
    crowd = [(f"src/flow/x{i}.c", "int f(void) {\n  return AQ_DUTY_EXIT;\n}\n") for i in range(lint_tables.NAMES_MAX + 1)]
    if lint_tables.check(crowd[1:]) or len(lint_tables.check(crowd)) != len(crowd):
        wrong += 1
        print("the crowd of functions is not counted")
    return wrong


def rows_missing(flags):
    src = os.path.join(ROOT, "src")
    with open(os.path.join(src, "duty/duty_table.h"), encoding="utf-8") as f:
        table = f.read()
    files = subprocess.run(["grep", "-rl", "--include=*.c", "AQ_DUTY_OPS(", src], capture_output=True, text=True, check=True)
    missing, wrong = set(), 0
    with tempfile.TemporaryDirectory() as top:
        os.mkdir(os.path.join(top, "duty"))
        with open(os.path.join(top, "duty/duty_table.h"), "w", encoding="utf-8") as f:
            f.write(table.replace(LAST, LAST.rstrip() + " \\\n  " + DUMMY, 1))
        for path in files.stdout.split():
            out = os.path.join(top, "x.o")
            p = subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-I" + top, "-I" + src, *flags, "-c", path, "-o", out],
                               capture_output=True, text=True)
            if p.returncode:
                wrong += 1
                print(f"{path} with a fourteenth duty: {p.stderr[:400]}")
                continue
            names = subprocess.run(["nm", "-u", out], capture_output=True, text=True, check=True).stdout
            missing |= set(re.findall(r"\baq_(\w+)_dummy\b", names))
    if missing != set(ROWS):
        wrong += 1
        print(f"a fourteenth duty lacks {sorted(missing)}, not {ROWS}")
    return wrong


def main():
    wrong = lines_checked() + rows_missing(sys.argv[1:])
    print(f"{len(LINES) + len(NAMING) + len(ROWS)} cases, {wrong} wrong")
    return 1 if wrong else 0


sys.exit(main())
