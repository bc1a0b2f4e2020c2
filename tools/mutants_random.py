#!/usr/bin/python3
"""Random bugs by rule: each is put into one file, and the tests that execute the changed line must notice.

Goal: a figure for how much of what could go wrong the tests see, and the places that they do not. Method: tools/mutate_c.py
lists every change that its rules allow in the files; N of them are drawn by the seed. A change that does not compile, or
that leaves the optimised code as it was, is not counted. Which program executes which line is counted once by the coverage
preset and kept below build/. For each mutant its one file is compiled anew (preset asan), linked into one test after the
other (the module's own first, then the quickest), last into the simulators (release), until one fails, aborts or hangs.
Survivors that change nothing stand in test/mutants/equivalent with the reason.

usage: ./dev mutants --random N [--seed S] [FILES] [--rate 95] [--jobs N] [--rules a,b]
       [--again [FILE]] [--list] [--no-sim]
       tools/mutants_random.py --check --build DIR

  FILES    below src; folders too (default: the files that carry the promise)
  --rate   exit 1 below that many percent, the equivalent ones left out (default 95)
  --again  instead of drawing: what survived last time (build/mutants/random/survivors.json, or a copy of it)
  --list   what would be planted; builds only what the parser needs
  --check  each row of test/mutants/equivalent is still a change that a rule makes; DIR is a build folder
"""
import argparse
import collections
import concurrent.futures
import datetime
import fnmatch
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time

import mutants_common as common
from mutants_common import ROOT

try:
    import mutate_c
except ImportError as missing:
    print(f"{missing}: the parser is Debian's python3-clang")
    sys.exit(77)

# What a wrong line of can cost a stake or a duty.
PROMISE = ["src/qbft/*.c", "src/consensus/*.c", "src/tss/*.c", "src/beacon/*.c", "src/ledger/*.c", "src/schedule/*.c",
           "src/exchange/*.c", "src/flow/*.c", "src/adapter/sqlite_*.c", "src/adapter/interchange.c",
           "src/api/vapi*.c", "src/vc/*.c"]
EQUIVALENT = os.path.join(ROOT, "test/mutants/equivalent")
SIMULATORS = {"sim_qbft": "^seed ", "sim_cluster": "^seed ", "sim_exhaust": None, "sim_store": "^seed "}
SIM_TARGETS = sorted({common.COMMANDS[s][0] for s in SIMULATORS})
FAILED = r"\[  FAILED  \]"  # cmocka goes on to the other tests; one is enough
WORK = os.path.join(ROOT, "build/mutants/random")
SCRATCH = os.path.join(WORK, str(os.getpid()))  # runs may go side by side


def is_code(name):
    return name.startswith("src/") and name.endswith(".c") and not name.endswith(("_test.c", "_fuzz.c"))


def chosen_files(tree, names):
    known = sorted(f for f in tree.by_file if is_code(f))
    if not names:
        return [f for f in known if any(fnmatch.fnmatch(f, p) for p in PROMISE)]
    out = []
    for name in names:
        name = os.path.relpath(os.path.abspath(name), ROOT) if os.path.exists(name) else name
        found = [f for f in known if f == name or f.startswith(name.rstrip("/") + "/") or fnmatch.fnmatch(f, name)]
        if not found:
            sys.exit(f"no source {name}")
        out += found
    return sorted(set(out))


# ---- which program executes which line ----

def programs(build):
    with open(os.path.join(build, "build.ninja"), encoding="utf-8") as f:
        text = f.read()
    names = {w for w in (line.split(":")[0][len("build bin/"):] for line in text.split("\n") if line.startswith("build bin/"))}
    return sorted(n for n in names if n.endswith(("_test", "_fuzz")) and common.program(n)) + \
        sorted(s for s in SIMULATORS if common.COMMANDS[s][0] in names)


def digest(path, catcher):
    """Of all that decides what a program executes."""
    sums = hashlib.sha256(open(path, "rb").read())
    corpus = os.path.join(ROOT, "test/corpus", catcher)
    for name in sorted(os.listdir(corpus)) if os.path.isdir(corpus) else []:
        sums.update(open(os.path.join(corpus, name), "rb").read())
    sums.update(repr(common.program(catcher)).encode())
    return sums.hexdigest()[:24]


def lines_of(build, catcher, work):
    """{file: {line: executed}} of one program's run."""
    target, args = common.program(catcher)
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    # A few seeds show what is executed; the counting build is slow.
    if args[-1:] and args[-1].isdigit():
        args = args[:-1] + [str(max(1, int(args[-1]) // 15))]
    prefix = os.path.join(work, "counts")
    env = dict(os.environ, GCOV_PREFIX=prefix)
    with open(os.path.join(work, "said"), "wb") as said:
        done = subprocess.run([os.path.join(build, "bin", target), *args], cwd=work, env=env, stdin=subprocess.DEVNULL,
                              stdout=said, stderr=said, preexec_fn=common.no_cores, check=False)
    if done.returncode:
        sys.exit(f"{catcher} fails without any mutant: {work}/said")
    counts = []
    for folder, _, names in os.walk(prefix):
        for name in names:
            note = os.path.join(folder, name)[len(prefix):-4] + "gcno"
            if name.endswith(".gcda") and os.path.exists(note):
                os.symlink(note, os.path.join(folder, name[:-4] + "gcno"))
                counts.append(os.path.join(folder, name))
    said = subprocess.run(["gcov", "--json-format", "--stdout", *counts], cwd=work, capture_output=True, text=True, check=True)
    out = {}
    for text in said.stdout.split("\n"):
        if not text.startswith("{"):
            continue
        report = json.loads(text)
        for entry in report["files"]:
            name = os.path.relpath(os.path.join(report["current_working_directory"], entry["file"]), ROOT)
            if not is_code(name):
                continue
            at = out.setdefault(name, {})
            for line in entry["lines"]:
                at[line["line_number"]] = at.get(line["line_number"], 0) or int(line["count"] > 0)
    shutil.rmtree(work)
    return out


def coverage(build, names, jobs):
    """{program: {file: {line: executed}}}, from the last time where nothing changed."""
    kept, out = os.path.join(WORK, "lines"), {}
    os.makedirs(kept, exist_ok=True)

    def one(catcher):
        path = os.path.join(kept, f"{catcher}-{digest(os.path.join(build, 'bin', common.program(catcher)[0]), catcher)}.json")
        if not os.path.exists(path):
            lines = lines_of(build, catcher, os.path.join(SCRATCH, catcher))
            for old in os.listdir(kept):
                if old.startswith(catcher + "-"):
                    os.unlink(os.path.join(kept, old))
            with open(path, "w", encoding="utf-8") as f:
                json.dump(lines, f)
        with open(path, encoding="utf-8") as f:
            return {n: {int(k): v for k, v in lines.items()} for n, lines in json.load(f).items()}

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for name, lines in zip(names, pool.map(one, names)):
            out[name] = lines
    return out


class Where:
    """Who executes a site: by the nearest counted line at or above it in its function, else below."""

    def __init__(self, lines):
        self.lines = lines
        self.counted = collections.defaultdict(set)
        for files in lines.values():
            for name, at in files.items():
                self.counted[name].update(at)

    def catchers(self, site):
        if not site.function:  # an enum: whoever executes anything of the file
            return [p for p, files in self.lines.items() if any(files.get(site.file, {}).values())]
        near = [n for n in range(site.line, max(0, site.line - 6), -1) if n in self.counted[site.file]][:1] or \
            [n for n in range(site.line, site.line + 6) if n in self.counted[site.file]][:1]
        return [p for p, files in self.lines.items() if any(files.get(site.file, {}).get(n) for n in near)]


# ---- the list of those that change nothing ----

def squeeze(lines):
    return [s for s in (" ".join(line.split()) for line in lines) if s]


class Equivalents:
    def __init__(self, path=EQUIVALENT):
        self.rows = common.read_list(path) if os.path.exists(path) else []

    def reason(self, site, old, new):
        for row in self.rows:
            if row.file == site.file and row.function == site.function and squeeze(row.old) == squeeze(old) and \
                    squeeze(row.new) == squeeze(new):
                return row.why
        return None

    def stale(self, all_sites):
        """Rows that no rule makes any more."""
        made = {(s.file, s.function, *map(str, map(squeeze, s.change(text)))) for s, text in all_sites}
        return [f"test/mutants/equivalent:{r.line}: no rule makes this change in {r.file}" for r in self.rows
                if not r.why or (r.file, r.function, str(squeeze(r.old)), str(squeeze(r.new))) not in made]


# ---- one mutant ----

class Result:
    def __init__(self, site, old, new, how, by=(), why=""):
        self.site, self.old, self.new, self.how, self.by, self.why = site, old, new, how, list(by), why

    def show(self):
        s = self.site
        head = f"{s.file}:{s.line} {s.function or 'enum'} [{s.rule}] {self.how.upper()}"
        lines = [head] + ["  -" + x for x in self.old] + ["  +" + x for x in self.new]
        if self.how == "survived":
            lines.append("  ran it: " + " ".join(self.by))
        return "\n".join(lines)


class Hunt:
    def __init__(self, tree, release, where, took, opts):
        self.tree, self.release, self.where, self.took, self.opts = tree, release, where, took, opts
        self.equal, self.lock, self.originals = Equivalents(), threading.Lock(), {}

    def order(self, site):
        layer, name = site.file.split("/")[1:3]
        stem, base = f"{layer}_{name[:-2]}", f"{layer}_{name[:-2].split('_')[0]}"

        def key(catcher):
            unit = catcher.rsplit("_", 1)[0]
            rank = 0 if unit == stem else 1 if catcher.startswith(base) else 2 if catcher.startswith(layer + "_") else 3
            return catcher in SIMULATORS, min(rank, 2) if self.took[catcher] < 1 else rank, self.took[catcher]
        found = [c for c in self.where.catchers(site) if not (self.opts.no_sim and c in SIMULATORS)]
        return sorted(found, key=key)

    def original(self, file, work):
        with self.lock:
            if file not in self.originals:
                with open(os.path.join(ROOT, file), "rb") as f:
                    change = common.Change(self.tree, work, file, f.read())
                self.originals[file] = change.plain()
                if self.originals[file] is None:
                    sys.exit(f"{file} does not compile: {change.error}")
            return self.originals[file]

    def plant(self, site, text, work):
        old, new = site.change(text)
        why = self.equal.reason(site, old, new)
        if why:
            return Result(site, old, new, "equivalent", why=why)
        same = self.original(site.file, work)
        change = common.Change(self.tree, work, site.file, site.apply(text))
        code = change.plain()
        if code is None or code == same:
            return Result(site, old, new, "no code" if code is None else "same code")
        ran, in_release = [], None
        for catcher in self.order(site):
            target, args = common.program(catcher)
            if catcher in SIMULATORS and not in_release:
                in_release = common.Change(self.release, os.path.join(work, "release"), site.file, site.apply(text))
            path = (in_release if catcher in SIMULATORS else change).link(target)
            if path is None:  # what only warns for the optimised build
                return Result(site, old, new, "no code", why=change.error)
            how, _, _ = common.run_program(path, args, work, 10 + 10 * self.took[catcher], SIMULATORS.get(catcher, FAILED))
            os.unlink(path)
            ran.append(catcher)
            if how:
                return Result(site, old, new, "noticed", ran, how)
        return Result(site, old, new, "survived" if ran else "not executed", ran)


# ---- the run ----

def prepare(opts, only=None):
    """The two trees, the lines and the time of each program; `only` these programs."""
    asan, release, counting = (os.path.join(ROOT, "build", p) for p in ("asan", "release", "coverage"))
    for preset, build in (("asan", asan), ("release", release), ("coverage", counting)):
        common.configure(preset, build)
    names = [n for n in programs(asan) if not only or n in only]
    units = [n for n in names if n not in SIMULATORS]
    for build, targets in ((asan, units), (release, SIM_TARGETS), (counting, units + SIM_TARGETS)):
        wrong = targets and common.ninja(build, targets, opts.jobs)
        if wrong:
            sys.exit(wrong)
    lines = coverage(counting, names, opts.jobs)
    took = times(asan, release, names)
    return common.Tree(asan), common.Tree(release), Where(lines), took


def times(asan, release, names):
    """Seconds of each program on the untouched tree; all must pass. Kept until the program changes."""
    path, kept, out = os.path.join(WORK, "times.json"), {}, {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            kept = json.load(f)
    work = os.path.join(SCRATCH, "time")
    os.makedirs(work, exist_ok=True)
    for name in names:
        target, args = common.program(name)
        program = os.path.join(release if name in SIMULATORS else asan, "bin", target)
        key = f"{name}-{digest(program, name)}"
        if key not in kept:
            how, took, said = common.run_program(program, args, work, 900)
            if how:
                sys.exit(f"{name} {how} without any mutant\n{said[-2000:]}")
            kept = {k: v for k, v in kept.items() if not k.startswith(name + "-")}
            kept[key] = took
        out[name] = kept[key]
    with open(path, "w", encoding="utf-8") as f:
        json.dump(kept, f)
    return out


def all_sites(tree, files, rules=mutate_c.RULES):
    out = []
    for file in files:
        path = os.path.join(ROOT, file)
        with open(path, "rb") as f:
            text = f.read()
        out += [(s, text) for s in mutate_c.sites(path, tree.flags(file), file) if s.rule in rules]
    return out


def name_of(site, text):
    old, new = site.change(text)
    return json.dumps([site.file, site.function, old, new])


def drawn(sites, opts):
    if opts.again:
        with open(opts.again, encoding="utf-8") as f:
            wanted = set(json.load(f))
        return [(s, t) for s, t in sites if name_of(s, t) in wanted]
    sites = list(sites)
    random.Random(opts.seed).shuffle(sites)
    return sites


COUNTED = ("noticed", "equivalent", "survived", "not executed")


def hunt(h, order, opts):
    """Plants in the order drawn until enough are counted; prints as they come."""
    results, begun, start, want = [], iter(order), time.monotonic(), len(order) if opts.again else opts.random
    lock = threading.Lock()

    def worker(number):
        work = os.path.join(SCRATCH, f"worker-{number}")
        while True:
            with lock:
                counted = sum(1 for r in results if r is None or r.how in COUNTED)
                item = next(begun, None) if counted < want and not common.STOP.is_set() else None
                if item is None:
                    return
                slot = len(results)
                results.append(None)
            try:
                result = h.plant(item[0], item[1], work)
            except common.Stopped:
                return
            with lock:
                results[slot] = result
                tell(results, result, want, start, opts)

    with concurrent.futures.ThreadPoolExecutor(opts.jobs) as pool:
        try:
            for done in [pool.submit(worker, i) for i in range(opts.jobs)]:
                done.result()
        except KeyboardInterrupt:  # the summary of what is done follows
            common.STOP.set()
        except BaseException:
            common.STOP.set()
            raise
    return [r for r in results if r]


def tell(results, result, want, start, opts):
    cnt = collections.Counter(r.how for r in results if r)
    seen = sum(cnt[k] for k in COUNTED)
    if result.how in ("survived", "not executed"):
        print(result.show(), flush=True)
    elif opts.verbose:
        print(f"{result.site.file}:{result.site.line} {result.site.rule} {result.how} {' '.join(result.by[-1:])} {result.why}",
              flush=True)
    if result.how in COUNTED and (seen % 20 == 0 or seen == want):
        an_hour = 3600 * seen / max(1e-9, time.monotonic() - start)
        print(f"{seen}/{want}: {cnt['noticed']} noticed, {cnt['survived']} survived, {cnt['not executed']} not executed, "
              f"{cnt['equivalent']} equivalent; {an_hour:.0f} an hour", flush=True)


def share(noticed, of):
    return 100 * noticed / of if of else 100.0


def table(results, title, key):
    rows = collections.defaultdict(collections.Counter)
    for r in results:
        rows[key(r)][r.how] += 1
    print(f"\n{title:34} mutants noticed survived not-executed equivalent   rate")
    for name in sorted(rows):
        c = rows[name]
        cnt = sum(c[k] for k in COUNTED)
        if cnt:
            print(f"{name:34} {cnt:7} {c['noticed']:7} {c['survived']:8} {c['not executed']:12} {c['equivalent']:10} "
                  f"{share(c['noticed'], cnt - c['equivalent']):5.1f} %")


def summary(results, opts, seconds):
    results = [r for r in results if r.how in COUNTED]
    table(results, "rule", lambda r: r.site.rule)
    table(results, "module", lambda r: "/".join(r.site.file.split("/")[1:3])[:-2])
    table(results, "folder", lambda r: r.site.file.split("/")[1])
    cnt = collections.Counter(r.how for r in results)
    with_equal, rate = share(cnt["noticed"], len(results)), share(cnt["noticed"], len(results) - cnt["equivalent"])
    print(f"\nseed {'of the last run' if opts.again else opts.seed}: {len(results)} mutants in {seconds / 60:.0f} minutes with "
          f"{opts.jobs} at a time ({3600 * len(results) / max(1, seconds):.0f} an hour): {cnt['noticed']} noticed, {rate:.1f} %; "
          f"{with_equal:.1f} % with the {cnt['equivalent']} that change nothing")
    return rate


def keep_survivors(results):
    texts = {}
    for r in results:
        if r.site.file not in texts:
            with open(os.path.join(ROOT, r.site.file), "rb") as f:
                texts[r.site.file] = f.read()
    left = [name_of(r.site, texts[r.site.file]) for r in results if r.how in ("survived", "not executed")]
    with open(os.path.join(WORK, "survivors.json"), "w", encoding="utf-8") as f:
        json.dump(left, f)


def parse(argv):
    p = argparse.ArgumentParser(usage=__doc__.split("usage: ", 1)[1])
    p.add_argument("files", nargs="*")
    p.add_argument("--random", type=int, default=0)
    p.add_argument("--seed", type=int, default=int(datetime.date.today().strftime("%Y%m%d")))
    p.add_argument("--rate", type=float, default=95)
    p.add_argument("--jobs", type=int, default=common.jobs())
    p.add_argument("--rules", default=",".join(mutate_c.RULES))
    p.add_argument("--again", nargs="?", const=os.path.join(WORK, "survivors.json"))
    p.add_argument("--list", action="store_true")
    p.add_argument("--check", action="store_true")
    p.add_argument("--build", default=os.path.join(ROOT, "build/asan"))
    p.add_argument("--no-sim", action="store_true")
    p.add_argument("--verbose", action="store_true")
    return p.parse_args(argv)


def check(build):
    tree, equal = common.Tree(build), Equivalents()
    stale = equal.stale(all_sites(tree, sorted({r.file for r in equal.rows} & set(tree.by_file))))
    print("\n".join(stale) or f"{len(equal.rows)} changes that change nothing stand in their files")
    return 1 if stale else 0


def main(argv):
    opts = parse(argv)
    if opts.check:
        return check(os.path.abspath(opts.build))
    os.makedirs(WORK, exist_ok=True)
    common.configure("asan", opts.build)
    wrong = common.ninja(opts.build, ["aq_proto"], opts.jobs)  # generated headers
    if wrong:
        sys.exit(wrong)
    tree = common.Tree(opts.build)
    sites = all_sites(tree, chosen_files(tree, opts.files), opts.rules.split(","))
    print(f"{len(sites)} changes in {len({s.file for s, _ in sites})} files; seed {opts.seed}", flush=True)
    order = drawn(sites, opts)
    if opts.list:
        for site, text in order[:opts.random or len(order)]:
            print(Result(site, *site.change(text), "planted").show())
        return 0
    try:
        tree, release, where, took = prepare(opts)
        start = time.monotonic()
        results = hunt(Hunt(tree, release, where, took, opts), order, opts)
    finally:
        shutil.rmtree(SCRATCH, ignore_errors=True)
    keep_survivors(results)
    rate = summary(results, opts, time.monotonic() - start)
    return 0 if rate >= opts.rate else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
