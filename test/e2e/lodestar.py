"""Goal: a real beacon node of other hands (Lodestar 1.5.1, Capella) with its own validator client behind each of our nodes.
Method: half of the development chain's validators are split by `create cluster`, and four nodes run on the old routes. The other half
attests directly and aggregates, which this version of ours does not: without the cluster's attestations two thirds are never reached,
so finality is the cluster's work. Its blocks must be in the chain."""
import os, shutil, subprocess, time
from common import *

OURS, OTHERS, FIRST, SPE, LAST = 16, 16, 100, 8, 34  # the last: after the first slot that counts
ZERO = ["ALTAIR_FORK_EPOCH", "BELLATRIX_FORK_EPOCH", "CAPELLA_FORK_EPOCH", "TERMINAL_TOTAL_DIFFICULTY"]
PARAMS = [x for k in ZERO for x in (f"--params.{k}", "0")] + ["--params.GENESIS_FORK_VERSION", "0x00000001", "--params.SECONDS_PER_SLOT"]

def start_chain(procs, peer, d, env, keys_file, genesis, slot_s):
    el, rest, p2p = free_ports(3)
    out = subprocess.run(["node", "lodestar-genesis.mjs", "--root", peer, "--out", f"{d}/genesis.ssz", "--fork", "capella", "--time", str(genesis),
                          "--interop", str(OTHERS), "--pubkeys", keys_file], cwd=peer, env=env, capture_output=True, text=True, timeout=120)
    check(out.returncode == 0, f"genesis: {out.stdout[-300:]} {out.stderr[-600:]}")
    open(f"{d}/jwt.hex", "w").write(os.urandom(32).hex())
    procs.start("el", ["node", "mock-el.mjs", str(el)], cwd=peer, env=env)
    procs.start("bn", [f"{peer}/node_modules/.bin/lodestar", "beacon", "--network", "dev", "--dataDir", f"{d}/bn", "--genesisStateFile",
                       f"{d}/genesis.ssz", *PARAMS, str(slot_s), "--rest", "true", "--rest.address", "127.0.0.1", "--rest.port", str(rest), "--rest.namespace", "*",
                       "--listenAddress", "127.0.0.1", "--port", str(p2p), "--discv5", "false", "--mdns", "false", "--targetPeers", "0",
                       "--sync.isSingleNode", "true", "--network.allowPublishToZeroPeers", "true", "--subscribeAllSubnets", "true",
                       "--eth1", "false", "--execution.urls", f"http://127.0.0.1:{el}", "--jwt-secret", f"{d}/jwt.hex"], cwd=d, env=env)
    url = f"http://127.0.0.1:{rest}"
    procs.wait_for("bn", 300, lambda: get_json(url + "/eth/v1/beacon/genesis"))
    return url

def start_vc(procs, peer, d, env, i, url, slot_s):
    home = f"{d}/lsvc{i}"
    for k in sorted(os.listdir(f"{d}/node{i}/validator_keys")):
        if not k.endswith(".json"):
            continue
        path = f"{d}/node{i}/validator_keys/{k}"
        pubkey = "0x" + json.load(open(path))["pubkey"].removeprefix("0x")
        os.makedirs(f"{home}/keystores/{pubkey}", exist_ok=True)
        os.makedirs(f"{home}/secrets", exist_ok=True)
        shutil.copy(path, f"{home}/keystores/{pubkey}/voting-keystore.json")
        shutil.copy(path.replace(".json", ".txt"), f"{home}/secrets/{pubkey}")
    procs.start(f"lsvc{i}", [f"{peer}/node_modules/.bin/lodestar", "validator", "--network", "dev", "--dataDir", home, "--server", url, *PARAMS, str(slot_s),
                             "--force", "--suggestedFeeRecipient", "0x00000000000000000000000000000000000000aa", "--keystoresDir",
                             f"{home}/keystores", "--secretsDir", f"{home}/secrets"], cwd=d, env=env)

def start_others(procs, peer, d, env, url, slot_s):
    procs.start("others", [f"{peer}/node_modules/.bin/lodestar", "validator", "--network", "dev", "--dataDir", f"{d}/others", "--server", url, *PARAMS, str(slot_s),
                           "--force", "--suggestedFeeRecipient", "0x00000000000000000000000000000000000000cc", "--interopIndexes",
                           f"0..{OTHERS - 1}"], cwd=d, env=env)

class Watch:
    """Who proposes in each slot; the beacon node says so for epochs of now only."""
    def __init__(self, url):
        self.url, self.proposer = url, {}
    def head(self):
        slot = int(get_json(self.url + "/eth/v1/node/syncing")["data"]["head_slot"])
        if slot not in self.proposer:
            for d in get_json(f"{self.url}/eth/v1/validator/duties/proposer/{slot // SPE}")["data"]:
                self.proposer[int(d["slot"])] = int(d["validator_index"])
        return slot

def judge(watch, cluster, first, last):
    """The slots in which a block of the cluster is missing; all else is a failure."""
    fin = get_json(watch.url + "/eth/v1/beacon/states/head/finality_checkpoints")["data"]
    ours, slots = 0, []
    for slot in range(1, last):
        try:
            message = get_json(f"{watch.url}/eth/v2/beacon/blocks/{slot}")["data"]["message"]
        except Exception:
            continue
        slots.append(slot)
        ours += int(message["proposer_index"]) < OURS
    print(f"justified {fin['current_justified']['epoch']}, finalised {fin['finalized']['epoch']}, {len(slots)} blocks in {last - 1} slots, {ours} by the cluster")
    check(int(fin["finalized"]["epoch"]) >= first + 1, f"finality: {fin}")
    check(ours >= 6, f"only {ours} blocks by the cluster")
    missing = [s for s in range(first * SPE, last) if s not in slots]
    print(f"slots without a block: {[(s, watch.proposer.get(s)) for s in missing]}")
    for i in range(4):
        ok, failed = cluster.verdicts(i)
        late = [v for v in failed if v["slot"] >= first * SPE]
        print(f"node {i}: {len(ok)} duties ok, {len(failed)} failed, from epoch {first} on {len(late)}: {[(v['duty'], v['slot'], v.get('reason')) for v in late][:4]}")
        check(len(ok) >= LAST + SPE, f"node {i} has only {len(ok)} duties")
        check(len(late) <= 1 + len(missing), f"node {i}: failed duties")
    return [s for s in missing if watch.proposer.get(s, 0) < OURS]

def short_epochs(peer):
    """Mainnet-size types with eight slots an epoch, so that finality comes within the test."""
    path = f"{peer}/node_modules/@lodestar/params/lib/presets/mainnet.js"
    text = open(path).read()
    open(path, "w").write(text.replace("SLOTS_PER_EPOCH: 32", "SLOTS_PER_EPOCH: 8"))

peer = npm_peer("lodestar")
short_epochs(peer)
simbn = npm_peer("simbn")
def start_all(procs, peer, d, lead, slot_s):
    """The URL, the cluster and genesis; None: this machine was not ready by then, and a chain that begins without blocks stays "syncing"."""
    env = dict(os.environ, LODESTAR_PRESET="mainnet", NODE_OPTIONS=f"--require {peer}/polyfill.cjs")
    keys = f"{d}/keys"
    p = subprocess.run(["node", "interop-keystores.mjs", keys, str(FIRST), str(OURS)], cwd=simbn, capture_output=True, text=True, timeout=120)
    check(p.returncode == 0, f"keystores: {p.stderr}")
    open(f"{d}/pubkeys", "w").write(p.stdout)
    genesis = int(time.time()) + lead
    network = network_flags("lodestar", "0x00000001", 1337, "0x03000000", genesis)
    split_cluster(keys, d, 4, network)
    url = start_chain(procs, peer, d, env, f"{d}/pubkeys", genesis, slot_s)
    cluster = Cluster(procs, d, 4, url, network)
    for i in range(4):
        cluster.start(i)
    start_others(procs, peer, d, env, url, slot_s)
    if time.time() > genesis:
        return None
    cluster.ready()
    for i in range(4):
        start_vc(procs, peer, d, env, i, cluster.url(i), slot_s)
    return (url, cluster, genesis) if time.time() < genesis else None

# A machine that is not ready by genesis, or too slow for slots of 3 s with nine node processes, is asked once more with more time.
why = ""
for lead, slot_s in ((45, 3), (150, 6), (400, 12)):
    with workdir("lodestar") as d, Procs(d) as procs:
        started = start_all(procs, peer, d, lead, slot_s)
        if not started:
            why = f"not ready within {lead} s"
            print(f"{why}: once more with more time")
            continue
        url, cluster, genesis = started
        first, watch = cluster.clients_ready(genesis, slot_s, SPE), Watch(url)
        last = first * SPE + LAST
        wait_for(f"slot {last}", genesis - time.time() + (last + 2) * slot_s + 60, lambda: watch.head() >= last)
        missing = judge(watch, cluster, first, last)
        if not missing:
            break
        why = f"no block by the cluster in slots {missing} of {slot_s} s"
        print(f"{why}: once more with longer slots")
else:
    check(False, why)
