"""Goal: whatever is killed at whatever moment (one client, all clients, all nodes at once, all of it), nothing slashable is made, duties go
on after the restart, and no store is older than what left its process.
Method: four nodes and their clients on a chain that goes on; SIGKILL at random moments of a slot, restarts; the chain counts what is
slashable or wrong. In the end what each node has on record of its client stands in the client's database, too, each key has one root for a
slot and a target, and fresh machines decide what the stores decided. usage: crash.py [--seed S]"""
import argparse, random, time
from common import *

a = argparse.ArgumentParser()
a.add_argument("--seed", type=int, default=int(time.time()))
SEED = a.parse_args().seed
GENESIS, SLOT, EPOCH = int(time.time()) + 6, 1, 8
NETWORK = network_flags("crash", "0x50000042", 1337, "0x53000042", GENESIS)

def main(d, procs):
    rng = random.Random(SEED)
    cluster = simulated(procs, d, "crash", NETWORK, GENESIS, SLOT, EPOCH)
    nodes, clients = [f"node{i}" for i in range(4)], [f"vc{i}" for i in range(4)]
    def start(names):
        for n in names:
            (cluster.start if n.startswith("node") else cluster.start_vc)(int(n[-1]))
    def kill(names):
        time.sleep(rng.uniform(0, SLOT))  # any moment will do: nothing below depends on which
        procs.kill(*names)
    start(nodes)
    cluster.ready()
    start(clients)
    cluster.duties("at first")
    one = rng.randrange(4)
    kill([clients[one]])
    cluster.duties("of three clients")
    before = cluster.delivered(one)
    start([clients[one]])
    cluster.delivers(one, before)
    for what in (clients, nodes, nodes + clients, nodes + clients):
        kill(what)
        start(what)
        cluster.duties(f"after a restart of {what[0]} to {what[-1]}")
    for i in range(4):
        cluster.delivers(i, cluster.delivered(i))
    kill(nodes + clients)
    s = cluster.stats()
    print(f"seed {SEED}:", s)
    check(s["slashable"] == 0, f"{s['slashable']} slashable messages")
    check(s["bad"] == 0, f"{s['bad']} messages that the chain refused: {s['last_bad']}")
    check_records(d)

with workdir("crash") as d, Procs(d) as procs:
    main(d, procs)
print("ok")
