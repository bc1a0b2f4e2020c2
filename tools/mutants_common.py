"""What tools/mutants, tools/mutants_random.py and tools/mutants_sim.py share: the lists, the programs, and a build that
makes one program with one file of its sources changed, without touching the tree or its build folder."""
import hashlib
import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIST = os.path.join(ROOT, "test/mutants/list")
# Names that are not unit tests: target and arguments.
COMMANDS = {
    "sim_qbft": ("aequa-sim", ["qbft", "--seeds", "2000"]),
    "sim_cluster": ("aequa-sim", ["cluster", "--seeds", "60"]),
    "sim_exhaust": ("aequa-exhaust", ["--walk", "3000"]),
    "sim_store": ("aequa-sim-store", ["--seeds", "200"]),
}


STOP = threading.Event()  # set by ctrl-C: programs that run are ended


class Stopped(Exception):
    pass


class Mutant:
    def __init__(self, name, line):
        self.name, self.line = name, line
        self.file, self.why, self.function, self.by, self.old, self.new = "", "", "", [], [], []

    def texts(self):
        return "\n".join(self.old), "\n".join(self.new)


def read_list(path=LIST):
    mutants, now = [], None
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        line = line.rstrip("\n")
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            now = Mutant(line.strip("[]"), number)
            mutants.append(now)
        elif line[0] == "-":
            now.old.append(line[1:])
        elif line[0] == "+":
            now.new.append(line[1:])
        else:
            word, _, rest = line.partition(" ")
            if word == "by":
                now.by = rest.split()
            elif word in ("file", "why", "function"):
                setattr(now, word, rest.strip())
            else:
                sys.exit(f"{os.path.relpath(path, ROOT)}:{number}: {line}")
    return mutants


def program(catcher):
    """(target, arguments); None: there is no such program."""
    if catcher in COMMANDS:
        return COMMANDS[catcher]
    layer, _, rest = catcher.partition("_")
    if not os.path.exists(os.path.join(ROOT, "src", layer, rest + ".c")):
        return None
    return (catcher, [os.path.join(ROOT, "test/corpus", catcher)] if catcher.endswith("_fuzz") else [])


def write_new(path, data):
    """Times move only where the content does, so that little is built again."""
    if os.path.exists(path):
        with open(path, "rb") as f:
            if f.read() == data:
                return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def jobs():
    return int(os.environ.get("AQ_JOBS", 0)) or os.cpu_count() or 1


def no_cores():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def configure(preset, build):
    if not os.path.exists(os.path.join(build, "build.ninja")):
        subprocess.run(["cmake", "--preset", preset, "-B", build], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def ninja(build, targets, jobs):
    """None, or what the build said when it failed."""
    run = subprocess.run(["ninja", "-C", build, "-j", str(jobs), *sorted(targets)], capture_output=True, text=True)
    return None if run.returncode == 0 else run.stdout[-3000:] + run.stderr[-1000:]


class Tree:
    """A build folder whose programs can be linked anew with one source changed. Its archives and objects are only read."""
    DROP = {"-g", "-Werror", "-MD", "-Wall", "-Wextra"}

    def __init__(self, build):
        self.build, self.by_file, self.links, self.takers = build, {}, {}, {}
        with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
            for entry in json.load(f):
                words = shlex.split(entry["command"])
                name = os.path.relpath(entry["file"], ROOT)
                self.by_file.setdefault(name, []).append((words[words.index("-o") + 1], words))
        # Tests that take a module's .c in, to reach its insides.
        for name in self.by_file:
            if re.search(r"_(test|fuzz)\.c$", name):
                for taken in re.findall(r'^#include "(\w+/\w+\.c)"', open(os.path.join(ROOT, name), encoding="utf-8").read(), re.M):
                    self.takers.setdefault("src/" + taken, []).append(name)

    def flags(self, file):
        """What a parser has to know."""
        words, out = self.by_file[file][0][1], []
        for i, word in enumerate(words):
            if word.startswith(("-I", "-D", "-std=")):
                out.append(word)
            elif word == "-isystem":
                out += [word, words[i + 1]]
        return out

    def link_of(self, target):
        if target not in self.links:
            said = subprocess.run(["ninja", "-C", self.build, "-t", "commands", "-s", f"bin/{target}"], check=True,
                                  capture_output=True, text=True).stdout
            words = shlex.split(said.strip().split("\n")[-1])
            self.links[target] = [w for w in words if w not in (":", "&&")]
        return self.links[target]


class Change:
    """One changed file in a folder of its own, `work`: its objects are made when a program first wants them."""

    def __init__(self, tree, work, file, text):
        self.tree, self.work, self.file, self.made, self.error = tree, work, file, {}, ""
        shutil.rmtree(work, ignore_errors=True)
        self.shadow = os.path.join(work, "src")
        path = os.path.join(work, file)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(text)

    def command(self, words, out, extra=()):
        keep, skip = [], False
        for word in words:
            if skip or word in Tree.DROP or word.startswith("-W") and not word.startswith("-Wl,"):
                skip = False
                continue
            if word in ("-MT", "-MF", "-o", "-c"):
                skip = True
                continue
            if os.path.basename(word) == "ccache":
                continue
            keep.append(word)
        source = words[words.index("-c") + 1]
        changed = os.path.join(self.work, os.path.relpath(source, ROOT))
        return [keep[0], f"-I{self.shadow}", *keep[1:], "-w", *extra, "-iquote", os.path.dirname(source), "-o", out, "-c",
                changed if os.path.exists(changed) else source]

    def object(self, old, words):
        """The changed object in the place of `old`; None: it does not compile."""
        if old not in self.made:
            out = os.path.join(self.work, "o", old)
            os.makedirs(os.path.dirname(out), exist_ok=True)
            run = subprocess.run(self.command(words, out), cwd=self.tree.build, capture_output=True, text=True)
            self.made[old] = out if run.returncode == 0 else None
            self.error = self.error or run.stderr[-800:]
        return self.made[old]

    def plain(self):
        """The digest of the optimised code without sanitizers: two that are equal do the same. None: does not compile."""
        _, words = self.tree.by_file[self.file][0]
        words = [w for w in words if not w.startswith(("-fsanitize", "-fno-sanitize"))]
        out = os.path.join(self.work, "plain.o")
        # One name for both, so that assertions that print it do not differ.
        run = subprocess.run(self.command(words, out, ["-O2", "-g0", f"-ffile-prefix-map={self.work}=."]), cwd=self.tree.build,
                             capture_output=True, text=True)
        self.error = run.stderr[-800:]
        if run.returncode:
            return None
        with open(out, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()

    def link(self, target):
        """The program with the change in it; None: it does not build."""
        olds = dict(self.tree.by_file[self.file])
        for taker in self.tree.takers.get(self.file, []):
            olds.update(self.tree.by_file[taker])
        words, out = list(self.tree.link_of(target)), os.path.join(self.work, target)
        for i, word in enumerate(words):
            if word in olds:
                words[i] = self.object(word, olds[word])
            elif word.endswith(".a"):
                words[i] = self.archive(word, olds)
            if words[i] is None:
                return None
        words[words.index("-o") + 1] = out
        run = subprocess.run(words, cwd=self.tree.build, capture_output=True, text=True)
        self.error = run.stderr[-800:]
        return out if run.returncode == 0 else None

    def archive(self, name, olds):
        """`name` itself, or a copy with the changed member."""
        if name in self.made:
            return self.made[name]
        mine = os.path.basename(name)[3:-2]
        members = [o for o in olds if o.startswith(f"CMakeFiles/{mine}.dir/")]
        self.made[name] = name
        for member in members:
            new = self.object(member, olds[member])
            if new is None:
                self.made[name] = None
                break
            copy = os.path.join(self.work, os.path.basename(name))
            if self.made[name] == name:
                shutil.copyfile(os.path.join(self.tree.build, name), copy)
            subprocess.run(["ar", "r", copy, new], check=True, capture_output=True)
            self.made[name] = copy
        return self.made[name]


def run_program(path, args, cwd, limit_s, until=None):
    """(how it did not pass in a word or None, seconds, its last output). `until`: a pattern of standard error that is
    enough to know that it fails, so that a simulator need not play its other seeds."""
    start = time.monotonic()
    env = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":hard_rss_limit_mb=4000")
    with open(os.path.join(cwd, "said"), "w+b") as said:
        run = subprocess.Popen([path, *args], cwd=cwd, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=env,
                               preexec_fn=no_cores, start_new_session=True)
        how, pause = None, 0.002
        try:
            while run.poll() is None:
                if STOP.is_set():
                    raise Stopped
                if time.monotonic() - start > limit_s:
                    how = "hangs"
                elif until and re.search(until, tail(said)):
                    how = "fails"
                if how:
                    break
                time.sleep(pause)
                pause = min(0.05, pause * 1.5)
        finally:
            if run.poll() is None:
                os.killpg(run.pid, 9)
            run.wait()
        text = tail(said)
    if how is None and run.returncode:
        how = "aborts" if run.returncode < 0 else "fails"
    return how, time.monotonic() - start, text


def tail(file, size=20000):
    at = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), size, max(0, at - size)).decode(errors="replace")
