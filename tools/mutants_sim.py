#!/usr/bin/python3
"""What each simulator alone sees: every bug is put into the release build and each simulator that executes the changed
lines plays its seeds until one breaks a promise.

Goal: to know the simulators' own power, apart from the unit tests that look at the same lines. Method: the bugs of
test/mutants/list, or random ones (tools/mutants_random.py); per simulator the number of seeds it took until the first that
saw it. "-": it plays no line of it; "no": all its seeds passed; "at once": it died without naming a seed.

usage: ./dev mutants --by sim [NAME...] [--random N --seed S [FILES]] [--jobs N] [--out FILE]
"""
import argparse
import concurrent.futures
import datetime
import fnmatch
import os
import re
import shutil
import sys
import time

import mutants_common as common
import mutants_random as rand
import mutate_c
from mutants_common import ROOT

SIMULATORS = [s for s in rand.SIMULATORS if s != "sim_exhaust"] + ["sim_exhaust"]
LIMIT_S = 900


class Bug:
    def __init__(self, name, file, line, text, rows):
        self.name, self.file, self.line, self.text, self.rows, self.function = name, file, line, text, rows, "?"


def listed(names):
    out = []
    for m in common.read_list():
        if names and not any(fnmatch.fnmatch(m.name, n) for n in names):
            continue
        with open(os.path.join(ROOT, m.file), encoding="utf-8") as f:
            text = f.read()
        old, new = m.texts()
        at = text.index(old)
        out.append(Bug(m.name, m.file, text.count("\n", 0, at) + 1 + len(m.old) - 1, text.replace(old, new, 1).encode(), m.old))
    return out


def by_rule(opts, tree):
    out, equal = [], rand.Equivalents()
    for site, text in rand.drawn(rand.all_sites(tree, rand.chosen_files(tree, opts.name)), opts):
        if not equal.reason(site, *site.change(text)) and len(out) < opts.random:
            out.append(Bug(f"{os.path.basename(site.file)}:{site.line} {site.function} {site.rule}", site.file, site.line,
                           site.apply(text), []))
    return out


def seeds_until(bug, simulator, change, work):
    """How it was seen, in a word."""
    target, args = common.program(simulator)
    path = change.link(target)
    if path is None:
        return "no code"
    how, _, said = common.run_program(path, args, work, LIMIT_S, rand.SIMULATORS[simulator])
    found = re.search(r"^seed (\d+)", said, re.M)
    if how is None:
        return "no"
    return str(int(found.group(1)) + 1) if found else "at once" if simulator != "sim_exhaust" else "yes"


def one(bug, lines, release, work):
    change, out = common.Change(release, work, bug.file, bug.text), {}
    for simulator in SIMULATORS:
        played = any(lines.get(simulator, {}).get(bug.file, {}).get(n) for n in range(bug.line - max(1, len(bug.rows)) + 1, bug.line + 1))
        out[simulator] = seeds_until(bug, simulator, change, work) if played else "-"
    return out


def report(bugs, found, seconds, out):
    head = ["| bug | file | " + " | ".join(SIMULATORS) + " |", "|---" * (2 + len(SIMULATORS)) + "|"]
    rows = [f"| {b.name} | {b.file[4:]} | " + " | ".join(f[s] for s in SIMULATORS) + " |" for b, f in zip(bugs, found)]
    sums = []
    for s in SIMULATORS:
        played = [f[s] for f in found if f[s] not in ("-", "no code")]
        seen = [x for x in played if x != "no"]
        counts = sorted(int(x) for x in seen if x.isdigit())
        middle = f", half of them within {counts[len(counts) // 2]} seeds" if counts else ""
        sums.append(f"{s} ({' '.join(common.program(s)[1])}): {len(seen)} of {len(played)} that it plays{middle}")
    seen = sum(1 for f in found if any(v not in ("-", "no", "no code") for v in f.values()))
    sums.append(f"{seen} of {len(found)} bugs are seen by some simulator; {seconds / 60:.0f} minutes")
    print("\n".join(sums))
    if out:
        with open(out, "w", encoding="utf-8") as f:
            f.write("\n".join(head + rows + [""] + sums) + "\n")


def main(argv):
    p = argparse.ArgumentParser(usage=__doc__.split("usage: ", 1)[1])
    p.add_argument("name", nargs="*")
    p.add_argument("--random", type=int, default=0)
    p.add_argument("--seed", type=int, default=int(datetime.date.today().strftime("%Y%m%d")))
    p.add_argument("--jobs", type=int, default=common.jobs())
    p.add_argument("--out")
    opts = p.parse_args(argv)
    opts.again, opts.rules = False, ",".join(mutate_c.RULES)
    os.makedirs(rand.WORK, exist_ok=True)
    tree, release, where, _ = rand.prepare(opts, rand.SIMULATORS)
    bugs = by_rule(opts, tree) if opts.random else listed(opts.name)
    start, found = time.monotonic(), []

    def work(item):
        number, bug = item
        if common.STOP.is_set():
            return {}
        folder = os.path.join(rand.SCRATCH, str(number))
        try:
            return one(bug, where.lines, release, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    with concurrent.futures.ThreadPoolExecutor(opts.jobs) as pool:
        try:
            for bug, f in zip(bugs, pool.map(work, enumerate(bugs))):
                found.append(f)
                print(f"{bug.name:40} " + " ".join(f"{s}:{v}" for s, v in f.items()), flush=True)
        except KeyboardInterrupt:  # what is done is told
            common.STOP.set()
        except BaseException:
            common.STOP.set()
            raise
        finally:
            shutil.rmtree(rand.SCRATCH, ignore_errors=True)
    report(bugs, found, time.monotonic() - start, opts.out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
