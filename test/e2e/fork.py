"""Goal: forks that the beacon node learns while nodes and clients run are taken part in, Electra with its other attestations and Fulu after
it; a beacon node that lacks a fork which began is named by /readyz and /health, with the mend, for as long.
Method: a cluster of four on a chain of Deneb; both forks are scheduled in the first epoch before which all was up; duties of two epochs
after each are counted. Then the schedule forgets Fulu, and has it again. Meanwhile the lock file of one node changes on the disk, which
that node must say."""
import re, time, urllib.error
from common import *

GENESIS, SLOT, EPOCH = int(time.time()) + 6, 1, 8
NETWORK = network_flags("fork", "0x50000042", 1337, "0x53000042", GENESIS)
NEVER = 2**64 - 1

def post(url, body):
    req = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(req, timeout=2).read()

def answer(url):
    """(status, text)"""
    try:
        with urllib.request.urlopen(url, timeout=2) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()

def main(d, procs):
    p = run("create", "cluster", "--nodes=4", "--num-validators=8", f"--cluster-dir={d}", "--name=fork", "--insecure-keys",
            f"--fee-recipient-addresses=0x{1:040x}", f"--withdrawal-addresses=0x{2:040x}", *NETWORK)
    check(p.returncode == 0, p.stderr)
    port, = free_ports(1)
    procs.start("beacon", [AEQUA, "beacon", f"--listen=127.0.0.1:{port}", f"--lock-file={d}/node0/cluster-lock.json", f"--slot-time={SLOT}s",
                           f"--slots-per-epoch={EPOCH}", f"--genesis-time={GENESIS}", "--fork=deneb", *NETWORK])
    beacon = f"http://127.0.0.1:{port}"
    wait_for("the chain", 120, lambda: get_json(beacon + "/eth/v1/beacon/genesis"))
    cluster = Cluster(procs, d, 4, beacon, NETWORK)
    for i in range(4):
        cluster.start(i)
    cluster.ready()
    for i in range(4):
        cluster.start_vc(i)
    with open(f"{d}/node3/cluster-lock.json", "a") as f:
        f.write("\n")
    stats = lambda slot: wait_for(f"slot {slot}", 60, lambda: (s := get_json(beacon + "/sim/stats")) and s["slot"] >= slot and s)
    first = cluster.clients_ready(GENESIS, SLOT, EPOCH)
    electra, fulu, after = first + 1, first + 2, first + 3
    stats(first * EPOCH)
    post(beacon + "/sim/fork", {"fork": "electra", "epoch": str(electra)})
    post(beacon + "/sim/fork", {"fork": "fulu", "epoch": str(fulu)})
    at = {epoch: stats(epoch * EPOCH + 2) for epoch in (electra, fulu, after)}
    print({epoch: (s["attestations"], s["blocks"], s["bad"], s["last_bad"]) for epoch, s in at.items()})
    for a, b in ((electra, fulu), (fulu, after)):
        for duty, most in (("attestations", 8), ("blocks", EPOCH)):
            done = at[b][duty]["ok"] - at[a][duty]["ok"]
            check(done >= most // 2, f"{done} {duty} in epoch {a}, its fork's first")
    check(at[after]["bad"] == 0 and at[after]["slashable"] == 0, f"{at[after]}")
    ready, health = f"http://127.0.0.1:{cluster.monitor[0]}/readyz", f"{cluster.url(0)}/health"
    wait_for("readiness", 10, lambda: answer(ready) == (200, "ok") and answer(health) == (200, "ok"))
    post(beacon + "/sim/fork", {"fork": "fulu", "epoch": str(NEVER)})
    wrong = f"beacon node fork mismatch: http://127.0.0.1:{port} does not know fork fulu, which began in epoch {fulu}: upgrade that beacon node"
    wait_for("a node that is not ready", 20, lambda: answer(ready) == (500, wrong) and answer(health) == (503, wrong))
    post(beacon + "/sim/fork", {"fork": "fulu", "epoch": str(fulu)})
    wait_for("readiness again", 20, lambda: answer(ready) == (200, "ok") and answer(health) == (200, "ok"))
    row = re.compile(r'app_health_checks\{[^}]*name="cluster_lock_changed"[^}]*\} 1$', re.M)
    wait_for("the lock on disk being noticed", 40, lambda: row.search(answer(f"http://127.0.0.1:{cluster.monitor[3]}/metrics")[1]))
    check('"msg":"lock_changed"' in procs.log("node3"), "no line about the lock on disk")
    check('"msg":"lock_changed"' not in procs.log("node2"), "a line about a lock that is the same")

with workdir("fork") as d, Procs(d) as procs:
    main(d, procs)
print("ok")
