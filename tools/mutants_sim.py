#!/usr/bin/python3
"""What each simulator alone sees: every bug is put into the release build and each simulator that executes the changed
lines plays its seeds until one breaks a promise.

Goal: to know the simulators' own power, apart from the unit tests that look at the same lines. Method: the bugs of
test/mutants/list, or random ones (tools/mutants_random.py); per simulator the number of seeds it took until the first that
saw it. "-": it plays no line of it; "no": all its seeds passed; "at once": it died without naming a seed.

usage: ./dev mutants --by sim [NAME|FILES...] [--sample N --seed S] [--jobs N] [--out FILE]
       ./dev mutants --by sim --random N [--seed S] [FILES] [--jobs N] [--out FILE]

  NAME|FILES  of the list: by name (a trailing * stands for any ending), or all in these files and folders below src
  --sample N  N of them by --seed
"""
import argparse
import concurrent.futures
import datetime
import fnmatch
import os
import random
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


def chosen(m, names):
    return not names or any(fnmatch.fnmatch(m.name, n) or fnmatch.fnmatch(m.file, n) or m.file.startswith(n.rstrip("/") + "/")
                            for n in names)


def listed(opts):
    mutants, out = [m for m in common.read_list() if chosen(m, opts.name)], []
    if opts.sample:
        mutants = random.Random(opts.seed).sample(mutants, min(opts.sample, len(mutants)))
    for m in mutants:
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


def counts_of(results):
    """Seen, played, and how many seeds half of those seen took."""
    played = [r for r in results if r not in ("-", "no code")]
    seeds = sorted(int(r) for r in played if r.isdigit())
    return sum(1 for r in played if r != "no"), len(played), seeds[len(seeds) // 2] if seeds else None


def by_folder(bugs, found):
    """One row a folder: of the bugs that a simulator plays how many it sees, half of them within how many seeds."""
    rows = ["| folder | bugs | " + " | ".join(SIMULATORS) + " | some |", "|---" * (3 + len(SIMULATORS)) + "|"]
    for folder in sorted({b.file.split("/")[1] for b in bugs}) + ["all"]:
        mine = [f for b, f in zip(bugs, found) if folder in ("all", b.file.split("/")[1])]
        cells = []
        for s in SIMULATORS:
            seen, played, middle = counts_of([f[s] for f in mine])
            cells.append((f"{seen} of {played}" + (f" ({middle})" if middle else "")) if played else "-")
        some = sum(1 for f in mine if any(counts_of([v])[0] for v in f.values()))
        rows.append(f"| {folder} | {len(mine)} | " + " | ".join(cells) + f" | {some} |")
    return rows


def report(bugs, found, seconds, out):
    head = ["| bug | file | " + " | ".join(SIMULATORS) + " |", "|---" * (2 + len(SIMULATORS)) + "|"]
    rows = [f"| {b.name} | {b.file[4:]} | " + " | ".join(f[s] for s in SIMULATORS) + " |" for b, f in zip(bugs, found)]
    sums = []
    for s in SIMULATORS:
        seen, played, middle = counts_of([f[s] for f in found])
        sums.append(f"{s} ({' '.join(common.program(s)[1])}): {seen} of {played} that it plays" +
                    (f", half of them within {middle} seeds" if middle else ""))
    seen = sum(1 for f in found if any(counts_of([v])[0] for v in f.values()))
    sums.append(f"{seen} of {len(found)} bugs are seen by some simulator; {seconds / 60:.0f} minutes")
    folders = by_folder(bugs, found)
    print("\n".join(folders + [""] + sums))
    if out:
        with open(out, "w", encoding="utf-8") as f:
            f.write("\n".join(head + rows + [""] + folders + [""] + sums) + "\n")


def main(argv):
    p = argparse.ArgumentParser(usage=__doc__.split("usage: ", 1)[1])
    p.add_argument("name", nargs="*")
    p.add_argument("--random", type=int, default=0)
    p.add_argument("--sample", type=int, default=0)
    p.add_argument("--seed", type=int, default=int(datetime.date.today().strftime("%Y%m%d")))
    p.add_argument("--jobs", type=int, default=common.jobs())
    p.add_argument("--out")
    opts = p.parse_args(argv)
    opts.again, opts.rules = False, ",".join(mutate_c.RULES)
    os.makedirs(rand.WORK, exist_ok=True)
    tree, release, where, _ = rand.prepare(opts, rand.SIMULATORS)
    bugs = by_rule(opts, tree) if opts.random else listed(opts)
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
