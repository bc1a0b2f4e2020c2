"""Goal: whatever is wrong around a node ends in one clear line and the right exit status, or is survived and counted.
Method: one node of a made cluster is started with each thing spoilt; then garbage and floods go to its ports while it runs."""
import os, random, re, shutil, signal, socket, sqlite3, subprocess, time, urllib.request
from common import *

GENESIS = int(time.time()) + 2
NETWORK = network_flags("bad", "0x50000038", 1337, "0x53000038", GENESIS)

def lines(out):
    rows = [json.loads(l) for l in out.splitlines() if l]  # every line of stdout is one JSON object
    return rows

def refused(d, what, want, *args, data=None, rc=1, network=NETWORK):
    ports = free_ports(2)
    argv = [f"--data-dir={data or d + '/node0'}", f"--validator-api=127.0.0.1:{ports[0]}", f"--monitoring=127.0.0.1:{ports[1]}", *network, *args]
    t = time.monotonic()
    p = subprocess.run([AEQUA, "run", *argv], capture_output=True, text=True, timeout=30)
    check(p.returncode == rc, f"{what}: exit status {p.returncode}, wanted {rc}: {p.stdout[-500:]} {p.stderr[-300:]}")
    if rc == 1:
        rows = lines(p.stdout)
        errors = [r for r in rows if r["level"] == "error"]
        check(len(errors) == 1 and errors[0] is rows[-1], f"{what}: the reason is one line, and the last: {rows[-3:]}")
        check(want in rows[-1]["err"] and not p.stderr, f"{what}: wanted {want!r}: {rows[-1]} {p.stderr[-300:]}")
        stopped = [r for r in rows if r.get("op") == "stop"]
        started = {r["service"] for r in rows if r.get("op") == "start" and r["result"] == "ok"}
        check({r["service"] for r in stopped} <= started | {"consensus"}, f"{what}: stopped what never started: {stopped}")
    else:
        check(want in p.stderr.strip().splitlines()[-1], f"{what}: the last line: {p.stderr[-300:]}")
    print(f"{what}: ok ({time.monotonic() - t:.1f} s)")

def copy(d, name):
    shutil.rmtree(f"{d}/{name}", ignore_errors=True)
    shutil.copytree(f"{d}/node0", f"{d}/{name}")
    return f"{d}/{name}"

def start_up(d, beacon):
    refused(d, "unknown flag", "no-such-flag", "--no-such-flag", rc=2)
    refused(d, "a count that does not fit", "2147483647", "--p2p-max-conns", "4294967296", rc=2)
    refused(d, "missing value", "--p2p-max-conns needs a value", "--p2p-max-conns", rc=2)
    refused(d, "missing directory", "charon-enr-private-key", data=d + "/nothing")
    refused(d, "missing lock", "no-lock.json", f"--lock-file={d}/no-lock.json")
    refused(d, "directory for a lock", d, f"--lock-file={d}")
    refused(d, "directory for overrides", d + "/node1", f"--overrides-file={d}/node1")
    refused(d, "peers of nonsense", "neither host:port nor a multiaddr", "--p2p-peers=nonsense")
    x = copy(d, "x")
    open(x + "/charon-enr-private-key", "w").write("zz")
    refused(d, "key that is no key", "charon-enr-private-key", data=x)
    x = copy(d, "x")
    shutil.copy(f"{d}/stranger", x + "/charon-enr-private-key")
    refused(d, "key of a stranger", "not the key of an operator", data=x)
    x = copy(d, "x")
    lock = json.load(open(x + "/cluster-lock.json"))
    lock["cluster_definition"]["name"] = "another"
    json.dump(lock, open(x + "/cluster-lock.json", "w"))
    refused(d, "altered lock", "hash", data=x)
    open(x + "/cluster-lock.json", "w").write("{")
    refused(d, "lock that is no JSON", "cluster-lock.json", data=x)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        refused(d, "busy validator API port", str(port), f"--validator-api=127.0.0.1:{port}")
        refused(d, "busy peer port", str(port), f"--p2p-tcp-address=127.0.0.1:{port}")
        refused(d, "busy monitoring port", str(port), f"--monitoring=127.0.0.1:{port}")
    refused(d, "address that is none", "host:port", "--monitoring=nonsense")
    x = copy(d, "x")
    db = sqlite3.connect(x + "/aequa.db")
    db.execute("create table t(x)")
    db.execute("pragma user_version = 99")
    db.commit()
    db.close()
    refused(d, "store of a newer program", "version", data=x)
    os.remove(x + "/aequa.db")
    os.mkdir(x + "/aequa.db")
    refused(d, "directory for the store", "aequa.db", data=x)
    os.rmdir(x + "/aequa.db")
    open(x + "/aequa.db", "wb").write(os.urandom(8192))
    refused(d, "damaged store without a backup", "aequa.db", data=x)
    other = d + "/other"
    p = run("create", "cluster", "--nodes=4", "--num-validators=1", f"--cluster-dir={other}", "--name=o", "--insecure-keys",
            "--fee-recipient-addresses=0x0000000000000000000000000000000000000001", "--withdrawal-addresses=0x0000000000000000000000000000000000000002",
            *network_flags("other", "0x60000038", 1338, "0x63000038", GENESIS))
    check(p.returncode == 0, p.stderr)
    refused(d, "beacon node on another network", "another network", f"--beacon-node-endpoints={beacon}", data=other + "/node0",
            network=network_flags("other", "0x60000038", 1338, "0x63000038", GENESIS))

def client(d, beacon):
    """The built-in client ends in one line on stderr, or for what it learns later, in the last of its log."""
    keys, own = f"--keys-dir={d}/node0/validator_keys", f"--data-dir={d}/client"
    wrong = d + "/wrong_keys"
    shutil.copytree(f"{d}/node0/validator_keys", wrong)
    for name in os.listdir(wrong):
        if name.endswith(".txt"):
            open(f"{wrong}/{name}", "w").write("wrong")
    open(d + "/file", "w").close()
    for what, want, args in (("no keys", "nothing", [f"--keys-dir={d}/nothing", own]), ("wrong password", "password", [f"--keys-dir={wrong}", own]),
                             ("file for a directory", "file", [keys, f"--data-dir={d}/file"])):
        p = run("validator", f"--beacon-api={beacon}", *args, timeout=30)
        last = (p.stdout + p.stderr).strip().splitlines()[-1]
        check(p.returncode == 1 and last.startswith("aequa: ") and want in last, f"client, {what}: {p.returncode} {last!r}")
    print("client: each in one line, the last")

def rss_kib(pid):
    return next(int(l.split()[1]) for l in open(f"/proc/{pid}/status") if l.startswith("VmRSS"))

def garbage(port, rng):
    """One connection with random bytes, sometimes after an honest beginning."""
    head = b"\x13/multistream/1.0.0\n" if rng.random() < 0.5 else b""
    if head and rng.random() < 0.5:
        head += b"\x07/noise\n"
    with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
        try:
            s.sendall(head + rng.randbytes(rng.choice((10, 1000, 200000))))
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass

def http_raw(port, data):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        try:
            s.sendall(data)
            s.settimeout(2)
            return s.recv(4096)
        except OSError:
            return b""

def running(d, procs, beacon):
    cluster = Cluster(procs, d, 4, beacon, NETWORK)
    rng = random.Random(5)
    os.environ["CHARON_NICKNAME"] = "\na\"b"
    cluster.start(0)
    del os.environ["CHARON_NICKNAME"]
    node = procs.all["node0"]
    health = lambda: urllib.request.urlopen(cluster.url(0) + "/health", timeout=2).read() == b"ok"
    wait_for("health", 10, health)
    refused(d, "second process on one store", "", data=f"{d}/node0")
    for _ in range(150):
        garbage(cluster.p2p[0], rng)
    wait_for("health after garbage", 10, health)
    before = rss_kib(node.pid)
    for _ in range(600):
        garbage(cluster.p2p[0], rng)
    wait_for("health after more garbage", 10, health)
    grown = rss_kib(node.pid) - before
    check(grown < 8192, f"memory grew by {grown} KiB under garbage")
    for raw in (b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/duty HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
                b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", b"POST /eth/v2/beacon/blocks HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{{{"):
        http_raw(cluster.vapi[0], raw)
    wait_for("health after wrong requests", 10, health)
    text = urllib.request.urlopen(f"http://127.0.0.1:{cluster.monitor[0]}/metrics", timeout=5).read().decode()
    check(text.startswith("# HELP dvt_up"), "the exposition begins with dvt_up")
    for line in text.splitlines():
        check(line.startswith("# ") or SAMPLE.fullmatch(line), f"not a sample: {line}")
    named = [l for l in text.splitlines() if "cluster_name=" in l]
    want = 'cluster_name="' + NAME.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "?").replace("\u202e", "?") + '"'
    check(named and all(want in l and 'nickname="?a\\"b"' in l for l in named), f"the name of the cluster: {named[:1]}, want {want}")
    counted = [l for l in text.splitlines() if l.startswith("p2p_conn_attempts_total") and not l.endswith(" 0")]
    check(counted, "no connection attempt was counted")
    t = time.monotonic()
    node.send_signal(signal.SIGTERM)
    check(node.wait(5) == 0, f"exit status {node.returncode} after SIGTERM")
    check(time.monotonic() - t < 3, "stopping took more than 3 s")
    for row in lines(procs.log("node0")):
        check({"level", "ts", "msg"} <= row.keys(), f"log line without its fields: {row}")
    print("garbage, floods and wrong requests survived; stopped in time")

# 256 bytes, each of which would break a line, a label or a character somewhere.
NAME = "a\"b\\c\nd\u202e" + "\u6771\U0001f600\u00fc" * 27 + "\u00fcx"
assert len(NAME.encode()) == 256
SAMPLE = re.compile(r'[a-z_][a-z0-9_]*(\{([a-z_][a-z0-9_]*="([^"\\\n]|\\["\\n])*",?)*\})? (NaN|[+-]Inf|[0-9.e+-]+)')

with workdir("bad") as d, Procs(d) as procs:
    p = run("create", "cluster", "--nodes=4", "--num-validators=1", f"--cluster-dir={d}", f"--name={NAME}", "--insecure-keys",
            "--fee-recipient-addresses=0x0000000000000000000000000000000000000001", "--withdrawal-addresses=0x0000000000000000000000000000000000000002", *NETWORK)
    check(p.returncode == 0, p.stderr)
    p = run("create", "enr", f"--data-dir={d}/enr")
    check(p.returncode == 0, p.stderr)
    shutil.copy(f"{d}/enr/charon-enr-private-key", f"{d}/stranger")
    port, = free_ports(1)
    procs.start("beacon", [AEQUA, "beacon", f"--listen=127.0.0.1:{port}", f"--lock-file={d}/node0/cluster-lock.json", "--slot-time=1s",
                           f"--genesis-time={GENESIS}", *NETWORK])
    beacon = f"http://127.0.0.1:{port}"
    wait_for("the chain", 120, lambda: get_json(beacon + "/eth/v1/beacon/genesis"))
    start_up(d, beacon)
    client(d, beacon)
    running(d, procs, beacon)
