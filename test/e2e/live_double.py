"""Goal: of two live instances of one identity the later one stops with exit status 3 and says why, the cluster goes on, and nothing
slashable is made (contract.md 13.6).
Method: a cluster of four does duties for more than an epoch; then a copy of node 0's directory is started that reaches one peer, without
its store, so that both instances hear of the other's votes. Then one with a copy of the store that reaches all peers: equal votes say
nothing, the peers tell each of the other (docs/decisions/007)."""
import shutil, sqlite3, time
from common import *

GENESIS, SLOT, EPOCH = int(time.time()) + 6, 1, 16
NETWORK = network_flags("double", "0x50000041", 1337, "0x53000041", GENESIS)

def rows(text):
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue

def main(d, procs):
    cluster = simulated(procs, d, "double", NETWORK, GENESIS, SLOT, EPOCH)
    beacon = cluster.beacon
    cluster.start(0)
    first, cluster.p2p[0] = cluster.p2p[0], free_ports(1)[0]  # the others do not dial node 0: of two that dial them the newer one counts
    for i in range(1, 4):
        cluster.start(i)
    cluster.p2p[0] = first
    cluster.ready()
    for i in range(4):
        cluster.start_vc(i)
    older = time.monotonic() + SLOT * EPOCH + 4  # node 0 has run for an epoch by then
    wait_for("duties", 60, lambda: time.monotonic() > older and len(cluster.verdicts(0)[0]) >= 8)
    def stops(name, peers):
        ports = free_ports(3)
        copy = procs.start(name, [AEQUA, "run", f"--data-dir={d}/{name}", f"--validator-api=127.0.0.1:{ports[0]}",
                                  f"--monitoring=127.0.0.1:{ports[1]}", f"--p2p-tcp-address=127.0.0.1:{ports[2]}",
                                  f"--p2p-peers={','.join(f'127.0.0.1:{cluster.p2p[i]}' for i in peers)}",
                                  f"--beacon-node-endpoints={beacon}", "--enable-tss", *NETWORK])
        started = time.monotonic()
        wait_for(f"the end of {name}", 90, lambda: copy.poll() is not None)
        print(f"{name} ended after {time.monotonic() - started:.1f} s")
        check(copy.returncode == 3, f"{name} ended with {copy.returncode}: {procs.log(name)[-2000:]}")
        why = [r for r in rows(procs.log(name)) if r["msg"] == "node_stop"]
        check(len(why) == 1 and "another instance with this identity" in why[0]["err"] and why[0]["level"] == "error", f"{why}")
        return why[0]["err"]

    no_store = shutil.ignore_patterns("aequa.db*", "validator.db*")
    shutil.copytree(f"{d}/node0", f"{d}/copy", ignore=no_store)
    stops("copy", [1])
    shutil.copytree(f"{d}/node0", f"{d}/twin", ignore=no_store)
    with sqlite3.connect(f"{d}/node0/aequa.db") as old, sqlite3.connect(f"{d}/twin/aequa.db") as new:
        old.backup(new)
    check("began earlier" in stops("twin", [1, 2, 3]), "the twin is told by the peers")
    told = [r for r in rows(procs.log("node0")) if r["msg"] == "live_double"]
    check(len(told) == 1 and told[0]["level"] == "error", f"node 0 said {told}")
    before = len(cluster.verdicts(1)[0])
    wait_for("more duties of the cluster", 60, lambda: len(cluster.verdicts(1)[0]) >= before + 8)
    for i in range(4):
        check(procs.all[f"node{i}"].poll() is None, f"node {i} ended: {procs.log(f'node{i}')[-1000:]}")
    stats = get_json(beacon + "/sim/stats")
    slashable = stats.get("slashable")
    check(slashable in (0, []), f"slashable: {slashable}")

with workdir("double") as d, Procs(d) as procs:
    main(d, procs)
print("ok")
