#!/usr/bin/python3
"""The tool for random bugs, on a module of twenty lines.

Goal: each rule makes what it should, nothing inside assertions and log lines is touched, and a bug that no test sees is
reported. Method: the changes of a small C file against a list written by hand; then a tree of one module and one test with a
hole, in which every change is planted. Needs python3-clang; exit status 77 (skipped) without it.
"""
import json
import os
import sys
import tempfile
import types

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools"))
try:
    import mutate_c
    import mutants_common as common
    import mutants_random as rand
except ImportError as missing:
    print(missing)
    sys.exit(77)

HEADER = """#include <stdbool.h>
#define AQ_ASSERT(e) ((e) ? (void)0 : (void)*(volatile int *)0)
#include <stdlib.h>
#define AQ_LOG(level, text) ((void)(level))
void none(unsigned from, unsigned to);
void count(unsigned from, unsigned to);
unsigned half_of(unsigned n, bool up);
char *room(void);
"""
MODULE = """#include "m/half.h"

enum { HALF_MAX = 64 };

void none(unsigned from, unsigned to) { (void)from, (void)to; }

unsigned half_of(unsigned n, bool up) {
  AQ_ASSERT(n != 77);
  AQ_LOG(1, "half");
  if (n > HALF_MAX) return 0;
  if (up && n % 2 == 1) {
    n += 1;
    count(n, 0u);
  }
  return n / 2;
}

char *room(void) {
  char *made = malloc(7);
  if (!made) return NULL;
  return made;
}
"""
# line: rule: the new line, blanks at its ends left out
WANTED = """
3: constant: enum { HALF_MAX = 63 };
3: constant: enum { HALF_MAX = 65 };
5: return: void none(unsigned from, unsigned to) { return; (void)from, (void)to; }
5: statement: void none(unsigned from, unsigned to) { (void)0; }
8: return: unsigned half_of(unsigned n, bool up) { return 0;
10: operator: if (n >= HALF_MAX) return 0;
10: condition: if (!(n > HALF_MAX)) return 0;
10: statement: if (n > HALF_MAX) (void)0;
10: constant: if (n > HALF_MAX) return 1;
11: operator: if (up || n % 2 == 1) {
11: condition: if (up) {
11: condition: if (n % 2 == 1) {
11: condition: if (!(up && n % 2 == 1)) {
11: condition: if (false && (up && n % 2 == 1)) {
11: operator: if (up && n / 2 == 1) {
11: operator: if (up && n % 2 != 1) {
11: constant: if (up && n % 1 == 1) {
11: constant: if (up && n % 3 == 1) {
11: constant: if (up && n % 2 == 0) {
11: constant: if (up && n % 2 == 2) {
12: operator: n -= 1;
12: statement: (void)0;
12: constant: n += 0;
12: constant: n += 2;
13: call: (void)0;
13: argument: count(0u, n);
13: constant: count(n, 1u);
15: operator: return n * 2;
15: constant: return n / 1;
15: constant: return n / 3;
19: return: char *room(void) { return NULL;
19: constant: char *made = malloc(6);
19: constant: char *made = malloc(8);
"""
# Sees halves, not the limit from above, and nothing of the call.
TEST = """#include "m/half.h"
void count(unsigned from, unsigned to) { (void)from, (void)to; }
int main(void) { return half_of(4, true) == 2 && half_of(5, true) == 3 && half_of(5, false) == 2 && half_of(64, true) == 32 &&
  half_of(63, true) == 32 && half_of(1, true) == 1 && half_of(2, false) == 1 && half_of(6, true) == 3 ? 0 : 1; }
"""
SURVIVE = {"3: enum { HALF_MAX = 65 };", "10: if (n > HALF_MAX) (void)0;", "10: if (n > HALF_MAX) return 1;", "11: if (up) {", "12: n += 2;",
           "13: (void)0;", "13: count(0u, n);", "13: count(n, 1u);",
           "19: char *made = malloc(6);", "19: char *made = malloc(8);", "19: char *room(void) { return NULL;"}
SAME = {"5: void none(unsigned from, unsigned to) { return; (void)from, (void)to; }",
        "5: void none(unsigned from, unsigned to) { (void)0; }"}
EQUIVALENT = """[half]
file src/m/half.c
function half_of
why  nothing counts what is counted
-    count(n, 0u);
+    count(n, 1u);
"""
NINJA = """rule cc
  command = cc -I{root}/src -O1 -std=c11 -o $out -c $in
rule ar
  command = ar rcs $out $in
rule link
  command = cc $in -o $out
build CMakeFiles/aq_m.dir/src/m/half.c.o: cc {root}/src/m/half.c
build CMakeFiles/m_half_test.dir/src/m/half_test.c.o: cc {root}/src/m/half_test.c
build libaq_m.a: ar CMakeFiles/aq_m.dir/src/m/half.c.o
build bin/m_half_test: link CMakeFiles/m_half_test.dir/src/m/half_test.c.o libaq_m.a
"""


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def tree_of(root):
    build = os.path.join(root, "build")
    write(os.path.join(root, "src/m/half.h"), HEADER)
    write(os.path.join(root, "src/m/half.c"), MODULE)
    write(os.path.join(root, "src/m/half_test.c"), TEST)
    write(os.path.join(root, "equivalent"), EQUIVALENT)
    write(os.path.join(build, "build.ninja"), NINJA.format(root=root))
    objects = {"half.c": "CMakeFiles/aq_m.dir/src/m/half.c.o", "half_test.c": "CMakeFiles/m_half_test.dir/src/m/half_test.c.o"}
    write(os.path.join(build, "compile_commands.json"), json.dumps([
        {"directory": build, "file": f"{root}/src/m/{name}", "command": f"cc -I{root}/src -O1 -g -std=c11 -o {out} -c {root}/src/m/{name}"}
        for name, out in objects.items()]))
    wrong = common.ninja(build, ["bin/m_half_test"], 1)
    assert not wrong, wrong
    return common.Tree(build)


def check_rules(sites, text):
    got = sorted(f"{s.line}: {s.rule}: {' '.join(s.change(text)[1])}" for s in sites)
    want = sorted(line for line in WANTED.split("\n") if line)
    assert got == want, "\n".join(["not as wanted:", *sorted(set(want) - set(got)), "but:", *sorted(set(got) - set(want))])
    for s in sites:
        assert s.apply(text).count(b"\n") == text.count(b"\n")


def check_hunt(tree, root, sites, text):
    where = rand.Where({"m_half_test": {"src/m/half.c": {n: 1 for n in range(1, 22)}}})
    opts = types.SimpleNamespace(no_sim=True)
    hunt = rand.Hunt(tree, tree, where, {"m_half_test": 1}, opts)
    hunt.equal = rand.Equivalents(os.path.join(root, "equivalent"))
    how = {}
    for s in sites:
        result = hunt.plant(s, text, os.path.join(root, "work"))
        how.setdefault(result.how, set()).add(f"{s.line}: {' '.join(result.new)}")
        if result.how == "survived":
            assert "m_half_test" in result.show() and f"src/m/half.c:{s.line}" in result.show()
    assert how["equivalent"] == {"13: count(n, 1u);"}, how["equivalent"]
    assert how["survived"] == SURVIVE - how["equivalent"], how["survived"] ^ SURVIVE
    assert how.get("same code", set()) == SAME and len(how["noticed"]) == len(sites) - len(SURVIVE) - len(SAME), how
    hunt.where = rand.Where({"m_half_test": {"src/m/half.c": {n: 0 for n in range(1, 22)}}})
    assert hunt.plant(sites[-1], text, os.path.join(root, "work")).how == "not executed"
    assert hunt.equal.stale([(s, text) for s in sites]) == []
    assert len(hunt.equal.stale([])) == 1


def main():
    with tempfile.TemporaryDirectory() as root:
        root = os.path.realpath(root)
        common.ROOT = rand.ROOT = root
        tree = tree_of(root)
        path = os.path.join(root, "src/m/half.c")
        sites = mutate_c.sites(path, tree.flags("src/m/half.c"), "src/m/half.c")
        with open(path, "rb") as f:
            text = f.read()
        check_rules(sites, text)
        check_hunt(tree, root, sites, text)
    print(f"{len(sites)} changes of {len(mutate_c.RULES)} rules as they should be")
    return 0


sys.exit(main())
