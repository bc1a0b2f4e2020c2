"""Goal: a node whose disk fails signs and votes nothing that it cannot record, says so in one sentence, takes a full disk for no damage,
and does its duties again when the disk is well: at once, or after a restart with all that it had on record.
Method: one node of four runs with disk_fault.c before its C library: writes without room, then syncs that fail, then writes that fail,
each until its client has been refused while the other three went on; in between it finds room, is killed, is stopped, and is started on
the full disk. The chain counts what is slashable or wrong; each COMMIT that a peer decided by must be in the node's store.
usage: disk.py LIBRARY"""
import mmap, time, urllib.error
from common import *

GENESIS, SLOT, EPOCH = int(time.time()) + 6, 1, 8
NETWORK = network_flags("disk", "0x50000043", 1337, "0x53000043", GENESIS)

class Disk:
    """What disk_fault.c reads: byte 0 is what fails, byte 1 becomes 1 once something did."""
    def __init__(self, path):
        self.path = path
        with open(path, "w+b") as f:
            f.write(bytes(4096))
            f.flush()
            self.map = mmap.mmap(f.fileno(), 4096)
    def fail(self, what):
        self.map[1] = 0
        self.map[0] = ord(what)
    def heal(self):
        self.map[0] = 0
    def hit(self):
        return self.map[1] == 1

def main(d, procs):
    disk = Disk(f"{d}/control")
    env = {**os.environ, "LD_PRELOAD": sys.argv[1], "AQ_DISK_FAULT": disk.path,
           "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    cluster = simulated(procs, d, "disk", NETWORK, GENESIS, SLOT, EPOCH)
    def ready():
        """Its state and the sentence."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{cluster.monitor[0]}/readyz", timeout=5) as r:
                return r.status, r.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
    def said():
        return [r for r in map(json.loads, procs.log("node0").splitlines()) if r["msg"] == "consensus_state"]
    def works():
        wait_for("readiness", 90, lambda: ready()[0] == 200)
        cluster.delivers(0, cluster.delivered(0))
    def fails(what, word):
        """The node refuses its client, the others go on, and it says why."""
        disk.fail(what)
        wait_for("the fault", 90, disk.hit)
        wait_for("the node's word", 90, lambda: ready()[0] == 500)
        before = cluster.delivered(0)
        cluster.duties(f"beside a disk that fails ({word})")
        code, why = ready()
        check(code == 500 and why.startswith("store cannot be written: no signature can be recorded, so none is made"), f"{word}: {code} {why}")
        check(cluster.delivered(0) == before, f"{word}: the node took {cluster.delivered(0) - before} signatures that it could not record")
        last = [r for r in said() if r["op"] == "save" and r["result"] == "error"][-1:]
        check(last and last[0]["level"] == "error" and word in last[0]["err"], f"{word}: the log says {last}")

    def ends(what, code, stop=True):
        node = procs.all["node0"]
        if stop:
            node.terminate()
        wait_for(what, 30, lambda: node.poll() is not None)
        check(node.returncode == code, f"{what}: exit status {node.returncode}: {procs.log('node0')[-1000:]}")

    cluster.start(0, env=env)
    for i in range(1, 4):
        cluster.start(i)
    cluster.ready()
    for i in range(4):
        cluster.start_vc(i)
    works()
    fails("n", "disk is full")
    disk.heal()
    works()
    fails("s", "disk I/O error")
    procs.kill("node0")
    disk.heal()
    cluster.start(0, env=env)
    works()
    fails("w", "disk I/O error")
    for _ in range(2):  # stopped while the disk fails, and once more while it is well
        ends("the stop", 0)
        disk.fail("n")
        before = len(procs.log("node0"))
        cluster.start(0, env=env)
        ends("a start on the full disk", 1, stop=False)
        last = procs.log("node0")[before:].splitlines()[-1]
        print("start on a full disk:", last)
        check("No space left" in last or "is full" in last, f"start on a full disk: {last}")
        disk.heal()
        cluster.start(0, env=env)
        works()
    damage = [r for r in said() if r["op"] == "load" and r["level"] != "info"]
    check(not damage and not os.path.exists(f"{d}/node0/aequa.db.damaged"), f"the store was taken for damaged: {damage}")
    procs.kill(*(f"{n}{i}" for n in ("node", "vc") for i in range(4)))
    s = cluster.stats()
    print(s)
    check(s["slashable"] == 0, f"{s['slashable']} slashable messages")
    check(s["bad"] == 0, f"{s['bad']} messages that the chain refused: {s['last_bad']}")
    check_records(d)

with workdir("disk") as d, Procs(d) as procs:
    main(d, procs)
print("ok")
