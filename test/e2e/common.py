"""What the end-to-end tests share: the program under test, temporary directories, checks that name what failed."""
import contextlib, glob, hashlib, json, os, shutil, sqlite3, subprocess, sys, tempfile, time, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AEQUA = os.environ.get("AEQUA", os.path.join(ROOT, "build", "release", "bin", "aequa"))
SKIP = 77

def skip(why):
    print("skipped:", why)
    sys.exit(SKIP)

def check(ok, what):
    if not ok:
        print("FAILED:", what)
        sys.exit(1)

@contextlib.contextmanager
def workdir(name):
    path = tempfile.mkdtemp(prefix=f"aequa-{name}-")
    try:
        yield path
    except BaseException:
        print("left for a look:", path)
        raise
    else:
        shutil.rmtree(path, ignore_errors=True)

def own_files(source, target):
    """A copy of a node's files with the modes that its owner would give them; a checkout leaves secrets readable for all."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    for base, _, names in os.walk(target):
        for n in names:
            os.chmod(os.path.join(base, n), 0o600 if n == "charon-enr-private-key" or n.endswith(".txt") else 0o644)
    return target

def run(*args, timeout=120, **kw):
    return subprocess.run([AEQUA, *args], capture_output=True, text=True, timeout=timeout, **kw)

def get_json(url, timeout=2):
    with urllib.request.urlopen(url, timeout=timeout) as r:
        return json.load(r)

def wait_for(what, seconds, fn):
    """Asks fn until it gives something true; fails the test at the deadline."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            value = fn()
            if value:
                return value
        except Exception as e:  # not there yet
            last = e
        time.sleep(0.1)
    check(False, f"waited {seconds} s for {what} ({last})")

def free_ports(count):
    import socket
    socks = [socket.socket() for _ in range(count)]
    for s in socks:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports

def share_key(keystore, password):
    """The private key of an EIP-2335 keystore, as bytes."""
    c = json.load(open(keystore))["crypto"]
    kdf, salt = c["kdf"]["params"], bytes.fromhex(c["kdf"]["params"]["salt"])
    if c["kdf"]["function"] == "pbkdf2":
        key = hashlib.pbkdf2_hmac("sha256", password, salt, kdf["c"], kdf["dklen"])
    else:
        key = hashlib.scrypt(password, salt=salt, n=kdf["n"], r=kdf["r"], p=kdf["p"], dklen=kdf["dklen"], maxmem=1 << 29)
    text = bytes.fromhex(c["cipher"]["message"])
    check(hashlib.sha256(key[16:32] + text).hexdigest() == c["checksum"]["message"], f"{keystore}: password does not fit")
    p = subprocess.run(["openssl", "enc", "-d", "-aes-128-ctr", "-nopad", "-K", key[:16].hex(), "-iv", c["cipher"]["params"]["iv"]],
                       input=text, capture_output=True)
    check(p.returncode == 0, f"openssl: {p.stderr}")
    return p.stdout

class Procs:
    """Children that end with the test; their output goes to files."""
    def __init__(self, directory):
        self.dir, self.all = directory, {}
    def start(self, name, argv, cwd=None, env=None):
        log = open(os.path.join(self.dir, name + ".log"), "ab")
        self.all[name] = subprocess.Popen(argv, stdout=log, stderr=log, cwd=cwd, env=env)
        return self.all[name]
    def kill(self, *names):
        """SIGKILL to all of them at once."""
        for n in names:
            self.all[n].kill()
        for n in names:
            self.all[n].wait()
    def log(self, name):
        return open(os.path.join(self.dir, name + ".log"), errors="replace").read()
    def wait_for(self, name, seconds, fn):
        """As wait_for, of what this child will do: fails at once when it ended, with its last words."""
        def asked():
            status = self.all[name].poll()
            check(status is None, f"{name} ended with status {status}: {self.log(name)[-1500:]}")
            return fn()
        return wait_for(name, seconds, asked)
    def stop(self):
        for sig in ("terminate", "terminate", "kill"):  # one real peer wants two
            alive = [p for p in self.all.values() if p.poll() is None]
            for p in alive:
                getattr(p, sig)()
            end = time.monotonic() + 3
            while any(p.poll() is None for p in alive) and time.monotonic() < end:
                time.sleep(0.05)
    def __enter__(self):
        return self
    def __exit__(self, *exc):
        self.stop()

def with_headers(env):
    """For native modules: the headers of the node that is there, where it brings them; else they would be downloaded."""
    prefix = os.path.dirname(os.path.dirname(os.path.realpath(shutil.which("node"))))
    there = os.path.exists(os.path.join(prefix, "include", "node", "node.h"))
    return {"npm_config_nodedir": prefix, **env} if there else env

def npm_peer(name):
    """A folder of test/e2e/peers with its packages, copied into the build tree; skips the test when they cannot be installed."""
    target = os.path.join(ROOT, "build", "e2e", name)
    source = os.path.join(ROOT, "test", "e2e", "peers", name)
    if not shutil.which("npm") or not shutil.which("node"):
        skip("node and npm are not installed")
    os.makedirs(target, exist_ok=True)
    wanted = open(os.path.join(source, "package.json")).read()
    stamp = os.path.join(target, ".installed")
    for f in os.listdir(source):
        shutil.copy(os.path.join(source, f), target)
    if not os.path.exists(stamp) or open(stamp).read() != wanted:
        p = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=target, capture_output=True, text=True,
                           timeout=900, env=with_headers(dict(os.environ)))
        if p.returncode != 0:
            skip(f"the packages of {name} could not be installed: {(p.stderr or p.stdout).strip()[-200:]}")
        open(stamp, "w").write(wanted)
    return target

class Cluster:
    """Nodes of an existing cluster directory with our own node program; validator clients are the test's business."""
    def __init__(self, procs, directory, count, beacon, network):
        self.procs, self.dir, self.count, self.beacon, self.network = procs, directory, count, beacon, network
        ports = free_ports(3 * count)
        self.vapi, self.monitor, self.p2p = ports[:count], ports[count:2 * count], ports[2 * count:]
    def url(self, i):
        return f"http://127.0.0.1:{self.vapi[i]}"
    def start(self, i, *args, env=None):
        peers = ",".join(f"127.0.0.1:{p}" for j, p in enumerate(self.p2p) if j != i)
        self.procs.start(f"node{i}", [AEQUA, "run", f"--data-dir={self.dir}/node{i}", f"--validator-api=127.0.0.1:{self.vapi[i]}",
                                      f"--monitoring=127.0.0.1:{self.monitor[i]}", f"--p2p-tcp-address=127.0.0.1:{self.p2p[i]}",
                                      f"--p2p-peers={peers}", f"--beacon-node-endpoints={self.beacon}", "--enable-tss", *self.network, *args], env=env)
    def ready(self):
        for i in range(self.count):
            wait_for(f"node {i}", 120, lambda: get_json(f"{self.url(i)}/eth/v1/beacon/genesis"))
    def clients_ready(self, genesis, slot_s, epoch):
        """The first epoch that begins after every client has got its duties: how long that takes depends on the machine."""
        for i in range(self.count):
            wait_for(f"duties for client {i}", 300, lambda: self.duties_got(i))
        return 1 + max(0, int((time.time() - genesis) // (slot_s * epoch)))
    def duties_got(self, i):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.monitor[i]}/metrics", timeout=5) as r:
            lines = r.read().decode().splitlines()
        def count(family):
            return sum(float(l.split()[-1]) for l in lines if l.startswith(family + "{") and 'endpoint="attester_duties"' in l)
        return count("core_validatorapi_request_latency_seconds_count") > count("core_validatorapi_request_error_total")
    def start_vc(self, i):
        self.procs.start(f"vc{i}", [AEQUA, "validator", f"--beacon-api={self.url(i)}", f"--keys-dir={self.dir}/node{i}/validator_keys",
                                    f"--data-dir={self.dir}/node{i}"])
    def verdicts(self, i):
        """(ok, failed) lists of the node's duty lines."""
        ok, failed = [], []
        for line in self.procs.log(f"node{i}").splitlines():
            try:
                v = json.loads(line)
            except ValueError:
                continue
            if v.get("msg") == "duty":
                (ok if v["result"] == "ok" else failed).append(v)
        return ok, failed
    def stats(self):
        return get_json(self.beacon + "/sim/stats")
    def duties(self, what, attestations=4, blocks=2):
        """The simulated chain gets so many more."""
        s = self.stats()
        enough = s["attestations"]["ok"] + attestations, s["blocks"]["ok"] + blocks
        def more():
            s = self.stats()
            return s["attestations"]["ok"] >= enough[0] and s["blocks"]["ok"] >= enough[1]
        wait_for(f"duties {what}", 90, more)
    def delivered(self, i):
        """How many signatures of client i its node took."""
        rows = (json.loads(l) for l in self.procs.log(f"node{i}").splitlines() if l.startswith("{") and l.endswith("}"))
        return sum(r["msg"] == "api_request" and r["result"] == "ok" and r["route"].endswith(("/pool/attestations", "/beacon/blocks")) for r in rows)
    def delivers(self, i, before):
        wait_for(f"signatures of client {i}", 90, lambda: self.delivered(i) > before)

def check_records(directory, nodes=4):
    """Of stopped nodes and clients: one root for a slot and a target of a key, and no signature in a node that its client does not know.
    In the end fresh machines decide what the nodes decided."""
    def signed(db, *kind):  # kind 1: by a node's own share
        with sqlite3.connect(db) as c:
            return set(c.execute("SELECT slot, root FROM sign WHERE type IN (1, 2)" + " AND kind = ?" * len(kind), kind))
    for i in range(nodes):
        node = f"{directory}/node{i}"
        for where in (["--store", f"{node}/validator.db"], ["--data-dir", node]):
            rows = signed_rows(*where)
            check(len({row[:3] for row in rows}) == len(rows), f"{where}: two roots for one duty: {sorted(rows, key=str)}")
        client, own = signed(f"{node}/validator.db"), signed(f"{node}/aequa.db", 1)
        oldest = min(slot for slot, _ in client)  # the rest may be pruned
        more = sorted(slot for slot, root in own - client if slot >= oldest)
        print(f"node{i}: {len(client)} objects signed by its client, {len(own)} of them on record in the node")
        check(own and not more, f"{node} knows signatures that its client does not, of slots {more}")
    replay(directory)

def replay(dir):
    """What the nodes recorded of consensus, played once more by fresh machines, must lead to what they decided."""
    sim = os.environ.get("AEQUA_SIM", os.path.join(os.path.dirname(AEQUA), "aequa-sim"))
    stores = sorted(glob.glob(os.path.join(dir, "node*", "aequa.db")))
    p = subprocess.run([sim, "replay", *stores], capture_output=True, text=True, timeout=120)
    print(p.stdout[-2000:], p.stderr[-500:])
    check(p.returncode == 0 and int(p.stdout.split("instances: ")[1].split()[0]) > 0, f"replay of the stores: status {p.returncode}")

def signed_rows(*where):
    """What a store says was signed: (key, slot of a block or None, target of an attestation or None, signing root) of each."""
    p = run("store", "export", *where)
    check(p.returncode == 0, f"store export {where}: {p.stderr}")
    return {(v["pubkey"], r.get("slot"), r.get("target_epoch"), r["signing_root"])
            for v in json.loads(p.stdout)["data"] for r in v["signed_blocks"] + v["signed_attestations"]}

def network_flags(name, fork_version, chain_id, capella_version, genesis_time):
    return [f"--testnet-name={name}", f"--testnet-fork-version={fork_version}", f"--testnet-chain-id={chain_id}",
            f"--testnet-capella-hard-fork={capella_version}", f"--testnet-genesis-timestamp={genesis_time}"]

def simulated(procs, directory, name, network, genesis, slot_s, epoch, validators=8):
    """A new cluster of four on a chain of its own that runs. Nodes and clients are the test's business."""
    p = run("create", "cluster", "--nodes=4", f"--num-validators={validators}", f"--cluster-dir={directory}", f"--name={name}",
            "--insecure-keys", f"--fee-recipient-addresses=0x{1:040x}", f"--withdrawal-addresses=0x{2:040x}", *network)
    check(p.returncode == 0, p.stderr)
    port, = free_ports(1)
    procs.start("beacon", [AEQUA, "beacon", f"--listen=127.0.0.1:{port}", f"--lock-file={directory}/node0/cluster-lock.json",
                           f"--slot-time={slot_s}s", f"--slots-per-epoch={epoch}", f"--genesis-time={genesis}", *network])
    beacon = f"http://127.0.0.1:{port}"
    wait_for("the chain", 120, lambda: get_json(beacon + "/eth/v1/beacon/genesis"))
    return Cluster(procs, directory, 4, beacon, network)

def split_cluster(keys, directory, nodes, network):
    p = run("create", "cluster", f"--nodes={nodes}", "--split-existing-keys", f"--split-keys-dir={keys}", f"--cluster-dir={directory}",
            "--name=split", "--fee-recipient-addresses=0x00000000000000000000000000000000000000aa",
            "--withdrawal-addresses=0x00000000000000000000000000000000000000bb", *network, timeout=300)
    check(p.returncode == 0, f"create cluster: {p.stdout} {p.stderr}")
