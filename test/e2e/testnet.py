"""Goal: a cluster of our own nodes does every duty, and keeps its promises when nodes die.
Method: `aequa testnet` with two second slots; its report is judged, which counts what the simulated chain saw. Several names run side by
side: nodes wait for slots most of the time."""
import glob, json, os, subprocess, sys
from common import AEQUA, check, replay, run, signed_rows, workdir

def exports(dir):
    """What a client signed, its node says by the same names: nothing of it was lost between the two journals."""
    for node in sorted(glob.glob(os.path.join(dir, "node[0-9]"))):
        client, own = signed_rows("--store", f"{node}/validator.db"), signed_rows("--data-dir", node)
        print(f"{os.path.basename(node)}: the client signed {len(client)} objects, {len(client - own)} of them unknown to its node")
        check(len(client) > 10 and not client - own, f"{node}: {sorted(client - own, key=str)[:3]}")

def testnet(name, *args, slots=20, rc=(0,), after=replay):
    with workdir(name) as d:
        report = os.path.join(d, "r.json")
        p = run("testnet", "--slot-time", "2s", "--slots", str(slots), "--report", report, "--dir", d, *args, timeout=600)
        print(p.stdout[-3000:], p.stderr[-2000:])
        check(p.returncode in rc, f"exit status {p.returncode}, wanted one of {rc}")
        r = json.load(open(report))
        after(d)
    check(r["slashable"] == 0, f"{r['slashable']} slashable messages")
    check(r["bad"] == 0, f"{r['bad']} messages that the chain refused")
    return r

def all_done(r, slots):
    for duty in ("attester", "proposer"):
        d = r["duties"][duty]
        check(d["failed"] == 0, f"{duty}: {d['failed']} failed")
        check(d["ok"] >= slots - 2, f"{duty}: only {d['ok']} done in {slots} slots")

def plain():
    r = testnet("plain", "--nodes", "4", "--validators", "8", slots=20, after=lambda d: (replay(d), exports(d)))
    all_done(r, 20)
    for n in r["nodes"]:
        check(n["bytes_in"] > 0 and n["bytes_out"] > 0 and n["ready_ms"] > 0 and n["rss_kib_max"] > 0, f"figures of node {n['index']}")

def kill():
    all_done(testnet("kill", "--validators", "8", "--kill", "2@6", slots=20), 20)

def restart():
    all_done(testnet("restart", "--validators", "8", "--kill", "2@5", "--restart", "2@10", slots=22), 22)

def seven():
    all_done(testnet("seven", "--nodes", "7", "--validators", "8", "--kill", "1@5", "--kill", "4@5", slots=20), 20)

def two_down():
    r = testnet("two_down", "--validators", "8", "--kill", "1@6", "--kill", "2@6", "--restart", "1@14", "--restart", "2@14", slots=30, rc=(1,))
    for duty in ("attester", "proposer"):
        d = r["duties"][duty]
        check(d["failed"] >= 4, f"{duty}: duties went on with two of four down ({d['failed']} failed)")
        check(d["ok"] >= 14, f"{duty}: only {d['ok']} done: they did not start again")
        check(d["failed"] <= 12, f"{duty}: {d['failed']} failed: they did not start again in time")

def one_tss():
    r = testnet("one_tss", "--validators", "8", "--tss", "0", slots=20, rc=(0, 1))
    a = r["duties"]["attester"]
    check(a["failed"] == 0 and a["ok"] >= 18, f"attester: {a}")
    check(r["duties"]["proposer"]["ok"] >= 4, f"proposer: {r['duties']['proposer']}")

def chaos():
    r = testnet("chaos", "--validators", "8", "--chaos", "3", "--seed", "7", slots=40, rc=(0, 1))
    check(r["duties"]["attester"]["ok"] >= 36, f"attester: {r['duties']['attester']}")

def program(d, name, *lines):
    path = os.path.join(d, name)
    with open(path, "w") as f:
        f.write("\n".join(["#!/bin/sh", *lines, ""]))
    os.chmod(path, 0o755)
    return path

def late():
    """Clients that come long after genesis: nothing counts before they are there."""
    with workdir("slow") as d:
        client = program(d, "client", "sleep 12", f'exec "{os.path.abspath(AEQUA)}" "$@"')
        r = testnet("late", "--validators", "8", "--validator-binary", client, slots=6)
    check(r["first_slot"] >= 2, f"the count began at slot {r['first_slot']}")
    all_done(r, 6)

def absent():
    """A node that never comes up, and one that ends: the network ends with that node's name and its log."""
    for line, said in (("exec sleep 600", "not up in time: node2 does not answer on 127.0.0.1:"), ("exit 3", "node2 ended with status 3; ")):
        with workdir("absent") as d:
            p = run("testnet", "--start-timeout", "5s", "--dir", d, "--node-binary", f"2={program(d, 'node', line)}")
            print(p.stdout, p.stderr)
            check(p.returncode == 1, f"exit status {p.returncode}")
            check([l for l in p.stderr.splitlines() if l.startswith(said) and l.endswith(f"log is {d}/node2.log")], f"no line: {said}")

def side_by_side(names):
    children = {n: subprocess.Popen([sys.executable, __file__, n], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for n in names}
    for n, p in children.items():
        print(f"==== {n}\n{p.communicate()[0]}", flush=True)
    bad = [n for n, p in children.items() if p.returncode != 0]
    check(not bad, f"networks that failed: {' '.join(bad)}")

if len(sys.argv) > 2:
    side_by_side(sys.argv[1:])
else:
    {f.__name__: f for f in (plain, kill, restart, seven, two_down, one_tss, chaos, late, absent)}[sys.argv[1]]()
print("ok")
