"""Goal: the programs that run for long limit themselves: every thread is under the filter, nothing gains rights, no core file is left.
Method: a node, its validator client and the chain, as the kernel shows them; then a second node with the limits switched off."""
import json, os, time
from common import *

GENESIS = int(time.time()) + 2
NETWORK = network_flags("sandbox", "0x50000039", 1337, "0x53000039", GENESIS)

def status(path):
    return dict(line.split(":\t", 1) for line in open(path).read().splitlines() if ":\t" in line)

def threads(pid):
    """The status of each thread; one that ends meanwhile is left out."""
    out = []
    for tid in os.listdir(f"/proc/{pid}/task"):
        try:
            out.append(status(f"/proc/{pid}/task/{tid}/status"))
        except OSError:
            pass
    return out

def line(procs, name):
    """The program's own word on it."""
    for text in procs.log(name).splitlines():
        if '"msg":"sandbox"' in text:
            return json.loads(text)
    return None

def filters(thread):
    return int(thread.get("Seccomp_filters", "-1"))

def limited(procs, name, threads_min):
    said = wait_for(f"the line of {name}", 20, lambda: line(procs, name))
    if said["result"] != "ok":
        skip(f"no limits here: {said.get('err') or said.get('note')}")
    pid = procs.all[name].pid
    wait_for(f"the threads of {name}", 20, lambda: len(threads(pid)) >= threads_min)
    own = status("/proc/self/status")  # in a container there is a filter already
    for t in threads(pid):
        what = f"{name}, thread {t['Name']}"
        check(t["Seccomp"].strip() == "2" and t["NoNewPrivs"].strip() == "1", f"{what}: {t['Seccomp']}, {t['NoNewPrivs']}")
        check("Seccomp_filters" not in t or filters(t) == filters(own) + 2, f"{what}: {filters(t)} filters")
    core = next(l for l in open(f"/proc/{pid}/limits") if l.startswith("Max core file size"))
    check(core.split()[4:6] == ["0", "0"], core)
    print(f"{name}: {len(threads(pid))} threads, all limited")

def free(procs, name):
    said = wait_for(f"the line of {name}", 20, lambda: line(procs, name))
    check(said["result"] == "off" and "--no-sandbox" in said["note"], f"{name}: {said}")
    own = status("/proc/self/status")
    for t in threads(procs.all[name].pid):
        check(t["Seccomp"] == own["Seccomp"] and filters(t) == filters(own), f"{name}, thread {t['Name']} is limited")
        check(t["NoNewPrivs"].strip() == "1", f"{name}: children could gain rights")
    print(f"{name}: not limited, as asked")

with workdir("sandbox") as d, Procs(d) as procs:
    p = run("create", "cluster", "--nodes=4", "--num-validators=1", f"--cluster-dir={d}", "--name=sandbox", "--insecure-keys",
            f"--fee-recipient-addresses=0x{1:040x}", f"--withdrawal-addresses=0x{2:040x}", *NETWORK)
    check(p.returncode == 0, p.stderr)
    port, = free_ports(1)
    procs.start("beacon", [AEQUA, "beacon", f"--listen=127.0.0.1:{port}", f"--lock-file={d}/node0/cluster-lock.json", "--slot-time=1s",
                           f"--genesis-time={GENESIS}", *NETWORK])
    beacon = f"http://127.0.0.1:{port}"
    wait_for("the chain", 120, lambda: get_json(beacon + "/eth/v1/beacon/genesis"))
    cluster = Cluster(procs, d, 4, beacon, NETWORK)
    cluster.start(0, "--p2p-peers=localhost:1")  # a name: the threads that resolve start late
    cluster.start(1, "--no-sandbox")
    for i in (0, 1):
        wait_for(f"node {i}", 30, lambda: get_json(f"{cluster.url(i)}/eth/v1/beacon/genesis"))
    cluster.start_vc(0)
    limited(procs, "node0", 5)
    limited(procs, "beacon", 2)
    limited(procs, "vc0", 3)
    free(procs, "node1")
    for name, p in procs.all.items():
        check(p.poll() is None, f"{name} ended")
    env = {**os.environ, "AEQUA_NO_SANDBOX": "true"}
    port, = free_ports(1)
    procs.start("by_env", [AEQUA, "beacon", f"--listen=127.0.0.1:{port}", f"--lock-file={d}/node0/cluster-lock.json", *NETWORK], env=env)
    free(procs, "by_env")
