"""Goal: on a chain judged by a state transition that we did not write, at Electra and at Fulu, the cluster does every duty.
Method: half of the chain's validators are split by `create cluster`; four nodes run, two with our validator client and two with
the chain's own; from the first epoch on before which all clients were up nothing of the cluster's may be missing, and at no time anything wrong or
slashable; the chain must finalise."""
import os, subprocess, sys, time
from common import *

OURS, ALL, SPE, SLOT, LAST = 8, 16, 8, 2, 28  # the last: after the first slot that counts

def one(fork, peer, d):
    port, = free_ports(1)
    keys = os.path.join(d, "keys")
    p = subprocess.run(["node", "interop-keystores.mjs", keys, "0", str(OURS)], cwd=peer, capture_output=True, text=True, timeout=120)
    check(p.returncode == 0, f"keystores: {p.stderr}")
    genesis = int(time.time()) + 20
    network = network_flags("simbn", "0x20000089", 32382, "0x20000092", genesis)
    split_cluster(keys, d, 4, network)
    with Procs(d) as procs:
        procs.start("simbn", ["node", "simbn.mjs", "--port", str(port), "--fork", fork, "--spe", str(SPE), "--slot", str(SLOT), "--time",
                              str(genesis), "--interop", str(ALL), "--auto", f"{OURS}..{ALL - 1}"], cwd=peer)
        url = f"http://127.0.0.1:{port}"
        wait_for("the chain's API", 300, lambda: get_json(url + "/eth/v1/beacon/genesis"))
        cluster = Cluster(procs, d, 4, url, network)
        for i in range(4):
            cluster.start(i)
        cluster.ready()
        for i in range(4):
            if i < 2:
                cluster.start_vc(i)
            else:
                procs.start(f"vc{i}", ["node", "simvc.mjs", "--url", cluster.url(i), "--keys", f"{d}/node{i}/validator_keys", "--name", f"vc{i}"], cwd=peer)
        first = cluster.clients_ready(genesis, SLOT, SPE)
        last = first * SPE + LAST
        stats = wait_for(f"slot {last}", genesis - time.time() + (last + 3) * SLOT + 60,
                         lambda: (s := get_json(url + "/sim/stats")) and s["slot"] >= last and s)
    judge(fork, stats, first, last)

def judge(fork, s, first, last):
    print(fork, "counted from epoch", first, {k: s[k] for k in ("slot", "finalizedEpoch", "justifiedEpoch", "ok", "bad")}, s["errors"][-3:])
    ours_bad = {k: v for k, v in s["bad"].items() if v}
    check(not s["slashable"], f"{fork}: slashable {s['slashable'][:3]}")
    check(not ours_bad, f"{fork}: refused messages {ours_bad} {s['errors'][-3:]}")
    missed = [b for b in s["blocks"]["missed"] if b["slot"] >= first * SPE and b["proposer"] < OURS]
    check(not missed, f"{fork}: missed blocks of the cluster {missed}")
    for epoch, perf in s["epochs"].items():
        if first <= int(epoch) <= last // SPE - 2:
            gone = [v for v in perf["missing"] if v < OURS]
            check(not gone, f"{fork}: epoch {epoch}: validators {gone} did not attest")
    proposed = sum(len(v) for k, v in s["blocks"]["byProposer"].items() if int(k) < OURS)
    check(proposed >= 6, f"{fork}: only {proposed} blocks by the cluster")
    check(s["finalizedEpoch"] >= first + 1, f"{fork}: finalised epoch {s['finalizedEpoch']}")
    print(f"{fork}: {proposed} blocks by the cluster, epoch {s['finalizedEpoch']} final, nothing refused")

peer = npm_peer("simbn")
for fork in sys.argv[1:] or ("electra", "fulu"):
    with workdir("simbn-" + fork) as d:
        one(fork, peer, d)
