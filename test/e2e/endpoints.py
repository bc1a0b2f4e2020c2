"""Goal: endpoints as operators write them work over real TLS, with user, base path and key; each mistake has its own sentence with the
address and the mend, and no secret of an address gets into a log, a label or an error.
Method: a strict gateway in front of the simulated chain, with certificates of a CA made here; then one node or client for each mistake."""
import base64, http.server, ssl, socket, subprocess, threading, time, urllib.request
from common import *

GENESIS = int(time.time()) + 2
NETWORK = network_flags("ends", "0x50000038", 1337, "0x53000038", GENESIS)
SECRETS = ("SEcret", "KEYkey", "TOKtok", base64.b64encode(b"us:SEcret@w").decode())

def openssl(*args):
    p = subprocess.run(["openssl", *args], capture_output=True, text=True)
    check(p.returncode == 0, f"openssl {args}: {p.stderr}")

def certificates(d):
    """ca.pem, other-ca.pem; of the first: localhost, elsewhere (another name), old (expired), each a file with its key."""
    for ca in ("ca", "other-ca"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10", "-subj", f"/CN={ca}",
                "-keyout", f"{d}/{ca}.key", "-out", f"{d}/{ca}.pem")
    for name, host, days in (("localhost", "localhost", "9"), ("elsewhere", "beacon.example", "9"), ("old", "localhost", "0")):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={host}", "-keyout", f"{d}/{name}.key",
                "-out", f"{d}/{name}.csr")
        open(f"{d}/ext", "w").write(f"subjectAltName=DNS:{host}\n")
        openssl("x509", "-req", "-in", f"{d}/{name}.csr", "-CA", f"{d}/ca.pem", "-CAkey", f"{d}/ca.key", "-CAcreateserial", "-days", days,
                "-extfile", f"{d}/ext", "-out", f"{d}/{name}.pem")
    # No openssl makes one that ended before it began.
    wait_for("the end of a certificate", 10,
             lambda: subprocess.run(["openssl", "x509", "-in", f"{d}/old.pem", "-noout", "-checkend", "0"], capture_output=True).returncode == 1)

class Gateway(http.server.BaseHTTPRequestHandler):
    """Lets through what has the right path, user, key and header; the rest is refused as by a strict server."""
    protocol_version = "HTTP/1.1"
    upstream, seen = None, []
    def log_message(self, *args):
        pass
    def handle_request(self):
        path, _, query = self.path.partition("?")
        keys = query.split("&")
        want = "Basic " + base64.b64encode(b"us:SEcret@w").decode()
        code = (401 if self.headers.get("Authorization") != want or self.headers.get("X-Token") != "TOKtok" else
                403 if "key=KEYkey" not in keys else 404 if not path.startswith("/v2/KEYkey/eth/") else 200)
        Gateway.seen.append((code, self.path))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if code != 200:
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        keys.remove("key=KEYkey")
        url = self.upstream + path[len("/v2/KEYkey"):] + ("?" + "&".join(keys) if keys else "")
        headers = {k: v for k, v in self.headers.items() if k.lower() in ("accept", "content-type", "eth-consensus-version")}
        try:
            r = urllib.request.urlopen(urllib.request.Request(url, body or None, headers, method=self.command))
        except urllib.error.HTTPError as e:
            r = e
        self.send_response(r.status)
        for k, v in r.headers.items():
            if k.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(k, v)
        if "event-stream" in r.headers.get("Content-Type", ""):
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            while data := r.read1(65536):
                self.wfile.write(data)
                self.wfile.flush()
            return
        data = r.read()
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    do_GET = do_POST = handle_request

def serve(d, certificate=None):
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    s.daemon_threads = True
    s.handle_error = lambda *args: None
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(f"{d}/{certificate}.pem", f"{d}/{certificate}.key")
        s.socket = tls.wrap_socket(s.socket, server_side=True)
    threading.Thread(target=s.serve_forever, daemon=True).start()
    return s.server_address[1]

def argv(d, name, endpoint, *args):
    ports = free_ports(3)
    return [AEQUA, "run", f"--data-dir={d}/{name}", f"--validator-api=127.0.0.1:{ports[0]}", f"--monitoring=127.0.0.1:{ports[1]}",
            f"--beacon-node-endpoints={endpoint}", *NETWORK, *args], ports

def no_secret(text, what):
    for s in SECRETS:
        check(s not in text, f"{what} shows {s}")

def works(d, procs, port):
    line, ports = argv(d, "node0", f" HTTPS://us:SEcret%40w@LocalHost:{port}/v2/KEYkey/?key=KEYkey , ", "--beacon-node-headers=X-Token=TOKtok",
                       f"--beacon-node-ca={d}/ca.pem")
    procs.start("good", line)
    wait_for("the node behind a gateway", 30, lambda: '"node_ready"' in procs.log("good") and '"beacon_node_events"' in procs.log("good"))
    got = get_json(f"http://127.0.0.1:{ports[0]}/eth/v1/beacon/states/head/fork?x=y")
    check("data" in got, f"a proxied request: {got}")
    check(all(code == 200 for code, _ in Gateway.seen), f"the gateway refused: {[s for s in Gateway.seen if s[0] != 200][:3]}")
    check(any("/fork?" in p and "x=y" in p for _, p in Gateway.seen), "the proxied request kept its own query")
    check(any("/events?" in p and "key=KEYkey" in p for _, p in Gateway.seen), "the event stream has the key")
    metrics = lambda: urllib.request.urlopen(f"http://127.0.0.1:{ports[1]}/metrics").read().decode()
    label = f'"https://localhost:{port}"'
    wait_for("the label of the beacon node", 20, lambda: any(label in l for l in metrics().splitlines() if l.startswith("app_beacon_node_version")))
    no_secret(metrics(), "/metrics")
    no_secret(procs.log("good"), "the log")
    procs.all["good"].terminate()
    procs.all["good"].wait(10)
    print("TLS with a private CA, user, base path, key and header: ok")

def says(d, procs, what, endpoint, want, *args, env=None, client=False):
    """The first line of a node, or of the built-in client, about a beacon node that it cannot use."""
    line, _ = argv(d, "node0", endpoint, *args)
    if client:
        line = [AEQUA, "validator", f"--beacon-api={endpoint}", f"--keys-dir={d}/node0/validator_keys", f"--data-dir={d}/vc", *args]
    name = what.replace(" ", "-")
    p = procs.start(name, line, env={**os.environ, **(env or {})})
    row = wait_for(f"{what}: the line", 15, lambda: next((json.loads(l) for l in procs.log(name).splitlines() if '"beacon_node_wait"' in l), None))
    p.terminate()
    p.wait(10)
    check(row["err"].startswith(want), f"{what}: {row['err']!r}, wanted {want!r}")
    no_secret(procs.log(name), what)
    return row["err"]

def mistakes(d, procs, plain, tls, chain):
    ca = f"--beacon-node-ca={d}/ca.pem"
    elsewhere, old = serve(d, "elsewhere"), serve(d, "old")
    closed, = free_ports(1)
    rows = [
        ("unknown name", f"http://us:SEcret@no-such-host.invalid:{plain}/KEYkey", f"http://no-such-host.invalid:{plain}: this name has no address", ()),
        ("nothing listens", f"http://us:SEcret@127.0.0.1:{closed}/KEYkey?key=KEYkey", f"http://127.0.0.1:{closed}: connection refused", ()),
        ("untrusted", f"https://localhost:{tls}", f"https://localhost:{tls}: its certificate is of no authority trusted here", ()),
        ("other CA", f"https://localhost:{tls}", f"https://localhost:{tls}: its certificate is of no authority", (f"--beacon-node-ca={d}/other-ca.pem",)),
        ("expired", f"https://localhost:{old}", f"https://localhost:{old}: its certificate has expired", (ca,)),
        ("other name", f"https://localhost:{elsewhere}", f"https://localhost:{elsewhere}: its certificate is for another name", (ca,)),
        ("TLS to a plain port", f"https://localhost:{plain}", f"https://localhost:{plain}: this port speaks plain HTTP", (ca,)),
        ("plain to a TLS port", f"http://us:SEcret@localhost:{tls}", f"http://localhost:{tls}: ", ()),
        ("no credentials", f"http://localhost:{plain}/v2/KEYkey?key=KEYkey", f"http://localhost:{plain}: HTTP 401, it wants credentials", ()),
        ("wrong base path", f"http://localhost:{chain}/KEYkey", f"http://localhost:{chain}: HTTP 404, it has no such route", ()),
    ]
    texts = [says(d, procs, what, endpoint, want, *args) for what, endpoint, want, args in rows]
    said = {t.split(": ", 1)[1] for t in texts}
    check(len(said) == len(rows) - 1, f"each mistake has its own sentence (the other CA that of an untrusted one): {sorted(said)}")
    check("write https://" in texts[7], f"plain to a TLS port names the mend: {texts[7]}")
    check("no authority" in says(d, procs, "client untrusted", f"https://localhost:{tls}", f"https://localhost:{tls}: ", client=True), "client")
    says(d, procs, "client refused", f"http://us:SEcret@127.0.0.1:{closed}/KEYkey", f"http://127.0.0.1:{closed}: connection refused", client=True)
    # Trusted by the environment, and by the client's flag: what the gateway says comes through.
    says(d, procs, "SSL_CERT_FILE", f"https://localhost:{tls}", f"https://localhost:{tls}: HTTP 401", env={"SSL_CERT_FILE": f"{d}/ca.pem"})
    says(d, procs, "both", f"https://localhost:{tls}", f"https://localhost:{tls}: HTTP 401", ca, env={"SSL_CERT_FILE": f"{d}/other-ca.pem"})
    says(d, procs, "client CA", f"https://localhost:{tls}", f"https://localhost:{tls}: HTTP 401", ca, client=True)
    says(d, procs, "SSL_CERT_FILE without TLS", f"http://127.0.0.1:{closed}", f"http://127.0.0.1:{closed}: connection refused",
         env={"SSL_CERT_FILE": f"{d}/nothing"})
    print(f"{len(rows)} mistakes, each with its sentence: ok")

def proxied(d, procs):
    """What a client's request could not reach is in the line of that request, too."""
    closed, = free_ports(1)
    line, ports = argv(d, "node0", f"http://us:SEcret@127.0.0.1:{closed}/KEYkey")
    p = procs.start("proxied", line)
    def asked():
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/eth/v1/beacon/states/head/fork")
        except urllib.error.HTTPError as e:
            return e.code == 502 and e.read() == b"upstream error\n"
    wait_for("the proxy's answer", 15, asked)
    wait_for("the proxy's line", 5, lambda: any('"api_request"' in l and f'"err":"http://127.0.0.1:{closed}: connection refused' in l
                                                for l in procs.log("proxied").splitlines()))
    p.terminate()
    p.wait(10)
    no_secret(procs.log("proxied"), "the proxy's log")

def refused(what, want, *line, env=None, rc=2):
    p = subprocess.run([AEQUA, *line], capture_output=True, text=True, timeout=30, env={**os.environ, **(env or {})})
    check(p.returncode == rc, f"{what}: exit status {p.returncode}: {p.stdout[-300:]} {p.stderr[-300:]}")
    last = (p.stderr or p.stdout).strip().splitlines()[-1]
    check(want in last, f"{what}: the last line is {last!r}, wanted {want!r}")
    no_secret(p.stdout + p.stderr, what)

def refusals(d):
    run_ = ("run", f"--data-dir={d}/node0", *NETWORK)
    keys = f"--keys-dir={d}/node0/validator_keys"
    for flag in ("beacon-node-endpoints", "upstream", "fallback-beacon-node-endpoints"):
        refused(f"{flag} without scheme", f"--{flag}: it is no http or https URL: did you mean http://127.0.0.1:5052?", *run_,
                f"--{flag}=us:SEcret@127.0.0.1:5052/KEYkey")
        refused(f"{flag}, second entry", f"--{flag}, entry 2: its port is no number", *run_, f"--{flag}=http://a, http://us:SE/cret@b")
    refused("17 endpoints", "at most 16", *run_, "--beacon-node-endpoints=" + ",".join(f"http://a{i}" for i in range(17)))
    refused("fallback alone", "names none", *run_, "--fallback-beacon-node-endpoints=http://a")
    refused("a quote in a list", "--beacon-node-endpoints: that is not a LIST", *run_, '--beacon-node-endpoints=http://us:SEcret"@a')
    refused("header without =", "--beacon-node-headers, entry 1: it is not of the form name=value", *run_, "--beacon-node-headers=TOKtok")
    refused("header with a blank in its name", "no name of a header", *run_, "--beacon-node-headers=X Token=TOKtok")
    refused("header that is too long", "over 4096", *run_, "--beacon-node-headers=X-Token=TOKtok" + "x" * 4096)
    refused("17 headers", "at most 16", *run_, "--beacon-node-headers=" + ",".join(f"X-{i}=TOKtok" for i in range(17)))
    refused("client", "--beacon-api: its path ends in /eth/v1", "validator", "--beacon-api=http://us:SEcret@a/KEYkey/eth/v1", keys)
    refused("client without", "--beacon-api", "validator", "--beacon-api=", keys)
    refused("testnet", "--beacon: in a user or password @ is written %40", "testnet", "--beacon=http://us:SE@cret@a")
    refused("store import", "--beacon-node-endpoints: it names no host", "store", "import", "--beacon-node-endpoints=http:///KEYkey", "-")
    refused("a word that is an address", 'unexpected argument "http://b:1"', "store", "dump", f"--data-dir={d}/node0", "http://us:SEcret@b:1/KEYkey")
    refused("a word with a password", 'unexpected argument "..."', "store", "dump", f"--data-dir={d}/node0", "us:SEcret@b/KEYkey")
    p = run("run", "--beacon-node-endpoints", "http://a,", "http://us:SEcret@b:1/KEYkey", "--log-level=none")
    check('the word "http://b:1" is not used: a list with blanks stands in quotes' in p.stderr and p.returncode == 2, f"a list with blanks: {p.stderr}")
    no_secret(p.stderr, "a list with blanks")
    open(f"{d}/empty.pem", "w").write("none\n")
    https = "--beacon-node-endpoints=https://a"
    for what, want, path in (("missing CA", "nothing.pem", f"{d}/nothing.pem"), ("CA without certificates", "empty.pem has no certificates", f"{d}/empty.pem"),
                             ("key for a CA", "ca.key has no certificates", f"{d}/ca.key")):
        refused(what, want, *run_, https, f"--beacon-node-ca={path}", rc=1)
        refused(f"client, {what}", want, "validator", "--beacon-api=https://a", keys, f"--data-dir={d}/vc", f"--beacon-node-ca={path}", rc=1)
        refused(f"SSL_CERT_FILE, {what}", want, *run_, https, env={"SSL_CERT_FILE": path}, rc=1)
    for what, want, arg in (
            ("no address", "is no IPv4 or IPv6 address", "--p2p-external-ip=not-an-ip"), ("with a port", "without brackets and port", "--p2p-external-ip=127.0.0.1:9999"),
            ("in brackets", "without brackets and port", "--p2p-external-ip=[::1]"), ("every address", "is every address", "--p2p-external-ip=::"),
            ("name with a port", "is no name of a host", "--p2p-external-hostname=a.example:3610"), ("URL", "is no name of a host", "--p2p-external-hostname=http://a"),
            ("IPv6 as a name", "as --p2p-external-ip", "--p2p-external-hostname=::1")):
        refused(f"external: {what}", want, *run_, arg)
    print("refused at once, by flag and entry: ok")

def announced(d, procs):
    """What peers are told, in the family of the address."""
    for name, listen, args, want in (
            ("v6", "127.0.0.1", ["--p2p-external-ip=2001:db8::1"], ["/ip6/2001:db8::1/tcp/"]),
            ("v4-of-a-v6-listener", "[::1]", ["--p2p-external-ip=192.0.2.9"], ["/ip4/192.0.2.9/tcp/"]),
            ("name", "127.0.0.1", ["--p2p-external-hostname=node.example"], ["/dns/node.example/tcp/"]),
            ("address-as-name", "127.0.0.1", ["--p2p-external-hostname=192.0.2.9"], ["/ip4/192.0.2.9/tcp/"]),
            ("both", "0.0.0.0", ["--p2p-external-ip=192.0.2.9", "--p2p-external-hostname=node.example"], ["/ip4/192.0.2.9/tcp/", "/dns/node.example/tcp/"]),
            ("listener-v6", "[::1]", [], ["/ip6/::1/tcp/"]), ("listener-name", "localhost", [], ["/dns/localhost/tcp/"]), ("wildcard", "0.0.0.0", [], [""])):
        if "[::1]" == listen and not socket.has_ipv6:
            continue
        line, ports = argv(d, "node0", "http://127.0.0.1:1", f"--p2p-tcp-address={listen}:0", *args)
        p = procs.start("announce-" + name, line)
        rows = lambda: [json.loads(l)["addr"] for l in procs.log("announce-" + name).splitlines() if '"msg":"p2p_addr"' in l]
        wait_for(f"{name}: the line", 15, lambda: len(rows()) >= len(want))
        p.terminate()
        p.wait(10)
        check(len(rows()) == len(want) and all(r.startswith(w) for r, w in zip(rows(), want)), f"{name}: {rows()}, wanted {want}")
        check(want == [""] or all(r.rsplit("/", 1)[1] != "0" for r in rows()), f"{name}: {rows()}")
    print("announced in the right family: ok")

with workdir("endpoints") as d, Procs(d) as procs:
    certificates(d)
    p = run("create", "cluster", "--nodes=1", "--num-validators=1", f"--cluster-dir={d}", "--name=ends", "--insecure-keys",
            "--fee-recipient-addresses=0x0000000000000000000000000000000000000001", "--withdrawal-addresses=0x0000000000000000000000000000000000000002", *NETWORK)
    check(p.returncode == 0, p.stderr)
    port, = free_ports(1)
    procs.start("beacon", [AEQUA, "beacon", f"--listen=127.0.0.1:{port}", f"--lock-file={d}/node0/cluster-lock.json", "--slot-time=1s",
                           f"--genesis-time={GENESIS}", *NETWORK])
    Gateway.upstream = f"http://127.0.0.1:{port}"
    wait_for("the chain", 120, lambda: get_json(Gateway.upstream + "/eth/v1/beacon/genesis"))
    plain, tls = serve(d), serve(d, "localhost")
    works(d, procs, tls)
    mistakes(d, procs, plain, tls, port)
    proxied(d, procs)
    refusals(d)
    announced(d, procs)
