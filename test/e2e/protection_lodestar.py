"""Goal: slashing protection goes into a client of other hands (Lodestar 1.5.1) and out of it again without a loss.
Method: the shares' history of one operator in our node's store; exported, imported by Lodestar's own command, exported by it, and imported
into a fresh client and a fresh node of ours: the watermarks are the same everywhere, and Lodestar refuses the file of another network."""
import os, shutil, sqlite3, subprocess
from common import *

def marks(db):
    with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as c:
        return {"0x" + k.hex(): row for k, *row in c.execute("select pubkey, max(source), max(target), max(block_slot) from mark group by pubkey")}

def store(*args):
    p = run("store", *args)
    check(p.returncode == 0, f"store {' '.join(args)}: {p.stdout} {p.stderr}")

peer = npm_peer("lodestar")
env = dict(os.environ, LODESTAR_PRESET="mainnet", NODE_OPTIONS=f"--require {peer}/polyfill.cjs")

def lodestar(command, home, url, file, rc=0):
    p = subprocess.run([f"{peer}/node_modules/.bin/lodestar", "validator", "slashing-protection", command, "--network", "dev", "--dataDir", home,
                        "--server", url, "--file", file], env=env, cwd=os.path.dirname(home), capture_output=True, text=True, timeout=120)
    check((p.returncode == 0) == (rc == 0), f"lodestar {command}: {p.returncode} {p.stdout[-800:]} {p.stderr[-800:]}")

with workdir("lodestar-protection") as d, Procs(d) as procs:
    network = network_flags("lodestar", "0x50000081", 1337, "0x53000081", 1700000000)
    p = run("create", "cluster", "--nodes=3", "--num-validators=2", f"--cluster-dir={d}", "--name=p", "--insecure-keys",
            f"--fee-recipient-addresses=0x{1:040x}", f"--withdrawal-addresses=0x{2:040x}", *network)
    check(p.returncode == 0, p.stderr)
    for n in ("fresh", "other"):
        shutil.copytree(f"{d}/node0", f"{d}/{n}")
    port, = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    procs.start("beacon", [AEQUA, "beacon", f"--listen=127.0.0.1:{port}", f"--lock-file={d}/node0/cluster-lock.json", *network])
    root = wait_for("the chain", 120, lambda: get_json(url + "/eth/v1/beacon/genesis"))["data"]["genesis_validators_root"]
    lock = json.load(open(f"{d}/node0/cluster-lock.json"))["distributed_validators"]
    want = {v["public_shares"][0]: [8 + i, 9 + i, 90 + i] for i, v in enumerate(lock)}
    def write(path, root):
        json.dump({"metadata": {"interchange_format_version": "5", "genesis_validators_root": root},
                   "data": [{"pubkey": k, "signed_blocks": [{"slot": str(b)}], "signed_attestations": [{"source_epoch": str(s), "target_epoch": str(t)}]}
                            for k, (s, t, b) in want.items()]}, open(path, "w"))
        return path
    ask = f"--beacon-node-endpoints={url}"
    store("import", f"--data-dir={d}/node0", ask, write(f"{d}/first.json", root))
    store("export", f"--data-dir={d}/node0", f"{d}/ours.json")
    lodestar("import", f"{d}/home", url, f"{d}/ours.json")
    lodestar("export", f"{d}/home", url, f"{d}/theirs.json")
    theirs = json.load(open(f"{d}/theirs.json"))
    print("Lodestar writes format", theirs["metadata"]["interchange_format_version"])
    check({v["pubkey"] for v in theirs["data"]} == set(want), f"Lodestar has our shares: {theirs}")
    store("import", f"--data-dir={d}/fresh", ask, f"{d}/theirs.json")
    groups = {v["distributed_public_key"]: want[v["public_shares"][0]] for v in lock}
    check(marks(f"{d}/fresh/aequa.db") == groups, f"a node after Lodestar: {marks(f'{d}/fresh/aequa.db')}")
    store("import", f"--store={d}/client/validator.db", f"--lock-file={d}/node0/cluster-lock.json", ask, f"{d}/theirs.json")
    check(marks(f"{d}/client/validator.db") == want, f"a client after Lodestar: {marks(f'{d}/client/validator.db')}")
    write(f"{d}/wrong.json", "0x" + "11" * 32)
    lodestar("import", f"{d}/home2", url, f"{d}/wrong.json", rc=1)
print("ok")
