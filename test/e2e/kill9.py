"""Goal: a process that records its votes and is killed at any moment never comes back older than what it was told is durable, and
refuses what contradicts it.
Method: `aequa-sim-store writer` on the real disk, SIGKILL at a random moment (while it opens, checks, writes, prunes, makes a backup),
again and again on the same store; each start checks what the last one was told. usage: kill9.py [ROUNDS] [--seed S]"""
import argparse, os, random, select, shutil, signal, subprocess, sys, tempfile, time

p = argparse.ArgumentParser()
p.add_argument("rounds", type=int, nargs="?", default=25)
p.add_argument("--seed", type=int, default=int(time.time()))
built = os.path.dirname(os.environ.get("AEQUA_SIM", "build/release/bin/aequa-sim"))
p.add_argument("--writer", default=built + "/aequa-sim-store")
a = p.parse_args()

def fail(text):
    sys.exit(f"kill9: seed {a.seed}: {text}")

def follow(proc, state, until):
    """Reads the writer's lines until the moment, or to the end when it is None."""
    data = b""
    while until is None or time.monotonic() < until:
        if until is not None:
            left = max(0, until - time.monotonic())
            if not select.select([proc.stdout], [], [], left)[0]:
                break
        chunk = os.read(proc.stdout.fileno(), 65536)
        if not chunk:
            break
        data += chunk
        *rows, data = data.split(b"\n")
        for row in rows:
            word, number = row.split()
            state[word.decode()] = int(number)
            if word == b"checked":
                state["ok"] = max(state["ok"], int(number))  # committed, only its answer was lost
    if data:
        fail(f"half a line: {data!r}")

def main():
    rng = random.Random(a.seed)
    folder = tempfile.mkdtemp(prefix="aequa-kill9-")
    state, kills, before, slowest = {"ok": 0, "sent": 0, "checked": 0}, 0, 0, 0.3
    for i in range(a.rounds + 1):
        proc = subprocess.Popen([a.writer, "writer", folder + "/aequa.db", str(state["ok"]), str(state["sent"])],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        state["checked"] = None
        if i == a.rounds or i % 10 == 0:  # this one gets as far as its check, however slow the machine
            end = time.monotonic() + 60
            while state["checked"] is None and proc.poll() is None and time.monotonic() < end:
                follow(proc, state, min(end, time.monotonic() + 0.02))
        follow(proc, state, time.monotonic() + rng.uniform(0, slowest))
        before += state["checked"] is None
        proc.send_signal(signal.SIGKILL)
        follow(proc, state, None)  # what it said before it died
        rc, text = proc.wait(), proc.stderr.read().decode()
        kills += rc == -signal.SIGKILL
        if rc != -signal.SIGKILL or text:
            fail(f"round {i}: status {rc}: {text}")
    if state["ok"] <= a.rounds:
        fail(f"only {state['ok']} records in {a.rounds} rounds")
    shutil.rmtree(folder)
    print(f"seed {a.seed}: {kills} kills, {before} of them before the check was done, {state['ok']} records acknowledged, none lost")

main()
