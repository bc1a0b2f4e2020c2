"""Goal: what the dashboards, alert rules and log readers of an operator rely on is there on live nodes, and moves.
Method: `aequa testnet` with a node killed, two down and both back, strangers knocking, one node with a session limit of 1. Every scrape
goes through a strict parser; every name and label that dashboards and rules use is looked up; every line of the logs is parsed, held
against contract/log_fields.txt and searched for secrets. With Prometheus installed it scrapes the same nodes and evaluates everything."""
import importlib.machinery, importlib.util, json, os, re, shutil, signal, socket, stat, subprocess, threading, time, urllib.error
import urllib.parse, urllib.request
from common import AEQUA, ROOT, Procs, check, free_ports, get_json, run, share_key, wait_for, workdir

SLOT_S, NODES, LIMITED = 2, 4, 1  # the last: the node that may hold one signing session at a time
KILLED = {3: (5, 11), 2: (7, 10)}  # node: (killed at slot, back at slot)
GRAFANA = os.path.join(ROOT, "deploy", "testnet", "grafana")

loader = importlib.machinery.SourceFileLoader("observability_tool", os.path.join(ROOT, "tools", "observability"))
tool = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
loader.exec_module(tool)

# ---- the exposition format, read strictly: text 0.0.4 as contract.md 6.1 narrows it ----

SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)(?:\{((?:[a-z_][a-z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (-?[0-9.e+-]+|NaN|[+-]Inf)')
LABEL = re.compile(r'([a-z_][a-z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
SUFFIXES = {"counter": [""], "gauge": [""], "summary": ["_sum", "_count"], "histogram": ["_sum", "_count", "_bucket"]}

def check_histogram(name, samples):
    buckets = {}
    for (sample, labels), value in samples.items():
        if sample == name + "_bucket":
            rest = tuple(x for x in labels if x[0] != "le")
            buckets.setdefault(rest, []).append((float(dict(labels)["le"]), value))
    for rest, list_ in buckets.items():
        check(list_ == sorted(list_) and [v for _, v in list_] == sorted(v for _, v in list_), f"{name}: buckets fall or are out of order")
        check(list_[-1] == (float("inf"), samples[name + "_count", rest]), f"{name}: the last bucket is not +Inf with the count")

def parse(text):
    """{(sample name, ((label, value), ...)): value}; fails the test on anything that a strict reader refuses."""
    check(text.startswith("# HELP dvt_up ") and "\n# TYPE dvt_up gauge\ndvt_up 1\n" in text, "dvt_up does not lead")
    check(text.endswith("\n"), "the last line has no end")
    out, seen, family, kind, helped, of_family = {}, set(), None, None, None, {}
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            check(re.fullmatch(r"# HELP [a-z0-9_]+ \S.*", line), f"HELP line: {line}")
            helped = line.split()[2]
            continue
        if line.startswith("# TYPE "):
            if kind == "histogram":
                check_histogram(family, of_family)
            _, _, family, kind = line.split(" ")
            of_family = {}
            check(helped == family and kind in SUFFIXES and family not in seen, f"TYPE without its HELP, or twice: {line}")
            seen.add(family)
            continue
        m = SAMPLE.fullmatch(line)
        check(m, f"not a sample: {line}")
        check(any(m[1] == family + s for s in SUFFIXES[kind]), f"a sample of another family under {family}: {line}")
        labels = tuple((a, b) for a, b, _ in LABEL.findall(m[2] or ""))
        names = [a for a, _ in labels]
        check(names == sorted(set(names)) and not (m[2] or "").endswith(","), f"labels are not in alphabetical order: {line}")
        check(kind != "counter" or float(m[3]) >= 0, f"a negative counter: {line}")
        check(not re.fullmatch(r"-?\d+\.0*", m[3]), f"a whole number with a point: {line}")
        check((m[1], labels) not in out, f"twice: {line}")
        out[m[1], labels] = of_family[m[1], labels] = float(m[3])
    return out

def family_of(sample):
    return re.sub(r"_(sum|count|bucket)$", "", sample)

# ---- requests ----

def http(url, data=None, method=None, trace=None):
    req = urllib.request.Request(url, data=data, method=method, headers={"X-Trace-ID": trace} if trace else {})
    try:
        with urllib.request.urlopen(req, timeout=5) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()

class Scraper(threading.Thread):
    """Scrapes all nodes about once a second: the first answer of each, what differs from it later, and any complaint."""
    def __init__(self, ports):
        super().__init__(daemon=True)
        self.ports, self.first, self.last, self.moved, self.error, self.done = ports, {}, {}, {}, None, threading.Event()
    def scrape(self, i):
        try:
            code, text = http(f"http://127.0.0.1:{self.ports[i]}/metrics", trace=f"scrape-{i}")
        except OSError:
            return
        values = parse(text)
        check(code == 200, f"/metrics of node {i} answers {code}")
        self.first.setdefault(i, values)
        self.last[i] = values
        for key, value in values.items():
            if value != 0:
                self.moved.setdefault(family_of(key[0]), set()).add(key)
    def run(self):
        try:
            while not self.done.is_set():
                for i in range(NODES):
                    self.scrape(i)
                self.done.wait(0.2 if len(self.first) < NODES else 1)
        except BaseException as e:  # check() ends the thread, not the test
            self.error = e
    def finish(self):
        self.done.set()
        self.join()
        check(not self.error, f"a scrape was refused: {self.error}")

# ---- what dashboards and rules ask for ----

def dashboard_expressions():
    out = []
    for name in ("dashboard.json", "p2p_panels.json"):
        for panel in json.load(open(os.path.join(GRAFANA, name)))["panels"]:
            out += [(panel["title"], t["expr"]) for t in panel["targets"]]
    return out

def rule_expressions():
    text = open(os.path.join(GRAFANA, "rules", "aequa.rules.yml")).read()
    return [(name, expr.replace("''", "'")) for name, expr in re.findall(r"- alert: (\w+)\n\s+expr: '((?:[^']|'')*)'", text)]

def check_names(scrape):
    labels_of = {}
    for name, labels in scrape:
        labels_of.setdefault(name, set()).update(k for k, _ in labels)
    expressions = dashboard_expressions() + rule_expressions()
    check(len(expressions) > 35, f"only {len(expressions)} expressions found")
    for where, expr in expressions:
        used = tool.names_used(expr)
        check(used, f"{where}: no metric found in {expr}")
        for metric, labels in used:
            check(metric in labels_of, f"{where}: no node has {metric}")
            missing = labels - labels_of[metric] - tool.TARGET_LABELS
            check(not missing, f"{where}: {metric} has no label {missing} on a live node")

# ---- families ----

RUNBOOK = """api_requests_total api_latency_ms service_op_ms consensus_events_total consensus_proc_ms qbft_msg_verified_total
qbft_state_transitions_total state_persist_ms state_recovery_total p2p_conn_attempts_total p2p_conns_open p2p_conn_open_total
p2p_conn_close_total tss_rate_limited_total tss_sessions_open tss_sessions_total""".split()
STILL = {  # families of contract.md 6.2 to 6.6 that stay at 0 here, and why
    "state_sync_verified_total block_sign_total tss_persist_ms tss_persist_errors_total tss_recovery_total": "not part of the base system",
    "tss_e2e_requests_total tss_e2e_latency_ms": "test builds",
    "state_persist_errors_total qbft_wal_guard_drops_total tss_batch_failed_total tss_peer_suspect": "needs a broken disk, a second process "
    "with the same key, or a lying peer",
    "state_stale_total state_refused_total": "needs an older copy of a store put back, or a record that forbids what is to be sent: "
    "nothing of an honest run",
    "p2p_peers_removed_total": "the peers of a lock stay",
}
SERIES = """api_requests_total{code="202",route="/v1/duty"} api_requests_total{code="400",route="/v1/duty"}
api_requests_total{code="200",route="/metrics"} consensus_events_total{kind="duty"} consensus_events_total{kind="consensus"}
qbft_msg_verified_total{type="preprepare"} qbft_msg_verified_total{type="prepare"} qbft_msg_verified_total{type="commit"}
qbft_msg_verified_total{type="view_change"} qbft_state_transitions_total{type="view_change"} qbft_qc_built_total{kind="prepare"}
qbft_qc_built_total{kind="commit"} consensus_broadcast_total{result="ok",type="view_change"} state_recovery_total{result="miss"}
state_recovery_total{result="ok"} p2p_conn_attempts_total{result="allowed"} p2p_conn_attempts_total{result="denied"}
p2p_messages_total{kind="broadcast"} p2p_broadcast_ms_count{kind="broadcast"}
p2p_config_checks_total{result="ok"} p2p_dkg_cluster_checks_total{result="ok"} tss_rate_limited_total{kind="tss_session"}
tss_sessions_total{result="ok"} tss_sessions_total{result="timeout"} service_op_ms_count{op="verify",service="tss"}
service_op_ms_count{op="combine",service="tss"} service_op_ms_count{op="sign",service="tss"}
service_op_ms_count{op="start",service="tss"} tss_round_ms_count{round="init"} tss_round_ms_count{round="gather"}
tss_round_ms_count{round="combine"}""".split()

def series_text(key):
    return key[0] + ("{" + ",".join(f'{k}="{v}"' for k, v in key[1]) + "}" if key[1] else "")

def check_first(first):
    wanted = [l.rsplit(" ", 1)[0] for l in open(os.path.join(ROOT, "test", "vectors", "contract", "first_scrape.txt")).read().splitlines()]
    for i, values in first.items():
        have = {series_text(k) for k in values}
        for series in wanted:
            check(series in have, f"node {i}: the first scrape lacks {series}")

def check_moved(moved):
    still = {f for names in STILL for f in names.split()}
    base = [row[0] for group, rows in tool.families() if re.search(r"contract\.md 6\.[2-6]", group) for row in rows]
    check(len(base) > 45 and not set(RUNBOOK) - set(base), "the groups of metric_families.h were not recognised")
    dead = [f for f in base if f not in moved and f not in still]
    check(not dead, f"families that never moved: {' '.join(dead)}")
    check(not set(RUNBOOK) & still, "a family of the runbook is excused")
    check("core_sigagg_slot_aggregation_seconds" in moved, "core_sigagg_slot_aggregation_seconds never moved")
    live = {series_text(k) for keys in moved.values() for k in keys}
    missing = [s for s in SERIES if s not in live]
    check(not missing, f"series that never moved: {' '.join(missing)}")

# ---- logs ----

def golden_fields():
    out, rare = {}, set()
    for line in open(os.path.join(ROOT, "test", "vectors", "contract", "log_fields.txt")):
        if line.startswith("#") or not line.strip():
            continue
        msg, *fields = line.split()
        if msg.startswith("-"):
            msg = msg[1:]
            rare.add(msg)
        out[msg] = fields
    return out, rare

def check_fields(line, fields, where):
    for spec in fields:
        name = re.split(r"[:?=]", spec)[0]
        if name not in line:
            check(spec.endswith("?"), f"{where}: {line['msg']} lacks {name}: {line}")
            continue
        if ":int" in spec:
            check(isinstance(line[name], int) and not isinstance(line[name], bool), f"{where}: {name} is not a whole number: {line}")
        elif "=" in spec:
            check(line[name] in spec.split("=")[1].split("|"), f"{where}: value of {name}: {line}")
        else:
            check(isinstance(line[name], str), f"{where}: {name} is not a string: {line}")
    for name, value in line.items():
        check(not (name == "err" and value == ""), f"{where}: an empty err: {line}")

def check_log(path, cuts, golden, seen):
    """All lines of a node's log; SIGKILL may cut one."""
    lines, cut = [], 0
    for number, text in enumerate(open(path, errors="replace").read().splitlines(), 1):
        where = f"{os.path.basename(path)}:{number}"
        try:
            line = json.loads(text)
        except ValueError:
            cut += 1
            check(cut <= cuts, f"{where}: not JSON: {text[:200]}")
            continue
        keys = [k for k, _ in json.loads(text, object_pairs_hook=lambda p: p)]
        check(keys == sorted(set(keys)), f"{where}: keys are not sorted: {text[:200]}")
        check({"level", "msg", "ts"} <= set(keys) and line["level"] in ("debug", "info", "warn", "error"), f"{where}: {text[:200]}")
        check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", line["ts"]), f"{where}: ts: {line['ts']}")
        if line["msg"] in golden:
            seen.add(line["msg"])
            check_fields(line, golden[line["msg"]], where)
        lines.append(line)
    first = next(l for l in lines if l["msg"] == "p2p_addr")
    check(first.get("self_id", "").startswith("16Uiu2"), f"{path}: the first p2p_addr line has no self_id: {first}")
    return lines

REQUESTS = [  # trace id, method, path, body, code, route, result
    ("obs-health", "GET", "/health", None, 200, "/health", "ok"),
    ("obs-duty", "POST", "/v1/duty", b'{"type":"attester","height":%d,"round":0,"payload":{}}', 202, "/v1/duty", "accepted"),
    ("obs-type", "POST", "/v1/duty", b'{"type":"dinner"}', 400, "/v1/duty", "error"),
    ("obs-method", "GET", "/v1/duty", None, 405, "/v1/duty", "error"),
    ("obs-proxy", "GET", "/eth/v1/node/none", None, 404, "proxy", "error"),
]

def check_requests(lines):
    for trace, _, _, _, code, route, result in REQUESTS:
        found = [l for l in lines if l["msg"] == "api_request" and l["trace_id"] == trace]
        check(len(found) == 1, f"{len(found)} request lines with trace id {trace}")
        line = found[0]
        check((line["code"], line["route"], line["result"]) == (code, route, result), f"request line: {line}")
        check(("err" in line) == (code >= 400) and line["level"] == ("error" if code >= 400 else "info"), f"request line: {line}")
    check(any(l["msg"] == "api_request" and l["route"] == "/metrics" and l["trace_id"] == "scrape-0" for l in lines), "no line of a scrape")

def secrets(directory):
    """Texts that must not be in any log: identity keys, passwords, key shares; hex without a prefix."""
    out = set()
    for i in range(NODES):
        out.add(open(os.path.join(directory, f"node{i}", "charon-enr-private-key")).read().strip().removeprefix("0x"))
        keys = os.path.join(directory, f"node{i}", "validator_keys")
        for name in sorted(os.listdir(keys)):
            if name.endswith(".json"):
                password = open(os.path.join(keys, name[:-5] + ".txt"), "rb").read().strip()
                out.add(password.decode())
                if shutil.which("openssl"):
                    out.add(share_key(os.path.join(keys, name), password).hex())
    if not shutil.which("openssl"):
        print("without openssl: logs are not searched for key shares, only for identity keys and passwords")
    check(len(out) >= NODES + 2 and all(len(s) >= 16 for s in out), "the secrets were not found")
    return out

def check_secrets(directory):
    hidden = {form for s in secrets(os.path.join(directory, "net")) for form in (s, s.lower(), s.upper())}
    logs = [os.path.join(d, f) for d, _, files in os.walk(directory) for f in files if f.endswith(".log")]
    check(len(logs) >= 2 * NODES + 1, f"logs: {logs}")
    for path in logs:
        text = open(path, errors="replace").read()
        for s in hidden:
            check(s not in text, f"a secret of {len(s)} characters is in {path}")

# ---- Prometheus ----

class Prometheus:
    """A real server over the running nodes."""
    def __init__(self, procs, directory, ports):
        self.port = free_ports(1)[0]
        rules = os.path.join(GRAFANA, "rules", "aequa.rules.yml")
        for args in (["check", "rules", rules], ["test", "rules", os.path.join(GRAFANA, "rules", "aequa.test.yml")]):
            p = subprocess.run(["promtool", *args], capture_output=True, text=True)
            check(p.returncode == 0, f"promtool {' '.join(args)}: {p.stdout}{p.stderr}")
        config = os.path.join(directory, "prometheus.yml")
        targets = ", ".join(f"'127.0.0.1:{p}'" for p in ports)
        open(config, "w").write("global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
                                f"rule_files: ['{rules}']\nscrape_configs:\n  - job_name: aequa\n    static_configs: [{{targets: [{targets}]}}]\n")
        p = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True)
        check(p.returncode == 0, f"promtool check config: {p.stdout}{p.stderr}")
        procs.start("prometheus", ["prometheus", "--config.file", config, "--web.listen-address", f"127.0.0.1:{self.port}",
                                   "--storage.tsdb.path", os.path.join(directory, "tsdb"), "--log.level", "warn"])
    def api(self, path, **query):
        return get_json(f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=5)["data"]
    def query(self, expr):
        return self.api("query", query=expr)["result"]
    def firing(self):
        return {a["labels"]["alertname"] for a in self.api("alerts")["alerts"] if a["state"] == "firing"}
    def check_quiet(self):
        """On a healthy cluster no expression of a warning or page holds; the API's mean is left out: one node is starved on purpose."""
        for a in tool.ALERTS:
            if a["severity"] == "info" or a["name"] == "AequaApiLatency":
                continue
            result = self.query(a["expr"])
            check(result == [], f"{a['name']} on a healthy cluster: {result}")
    def check_all(self):
        for where, expr in dashboard_expressions():
            check(self.query(expr), f"{where}: no data for {expr}")
        for where, expr in rule_expressions():
            left = re.sub(r" (>|==) [0-9.]+$", "", expr)
            check(left != expr and self.query(left), f"{where}: no data for {left}")
            self.query(expr)
        groups = self.api("rules")["groups"]
        rules = [r for g in groups for r in g["rules"]]
        check(len(rules) == len(tool.ALERTS) and all(r["health"] == "ok" for r in rules), f"rules: {rules}")
        up = {r["metric"]["instance"]: r["value"][1] for r in self.query("up")}
        check(len(up) == NODES and set(up.values()) == {"1"}, f"targets: {up}")

def lint_metrics(text):
    p = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    strange = [l for l in (p.stdout + p.stderr).splitlines() if "should not contain abbreviated units" not in l]  # the runbook's _ms
    check(p.returncode in (0, 3) and not strange, f"promtool check metrics: {strange}")

# ---- the run ----

def free_base():
    for base in range(21600, 29600, 40):
        socks = [socket.socket() for _ in range(2 * NODES)]
        try:
            for i, s in enumerate(socks):
                s.bind(("127.0.0.1", base + i % NODES + 20 * (i // NODES)))
            return base
        except OSError:
            continue
        finally:
            for s in socks:
                s.close()
    check(False, "no free ports")

def limited_node(directory):
    """The program of the limited node: testnet gives a foreign node only Charon's flags, the rest comes from the environment."""
    path = os.path.join(directory, "limited")
    open(path, "w").write("#!/bin/sh\nexport AEQUA_TSS_MAX_SESSIONS=1 AEQUA_ENABLE_TSS=true AEQUA_LOG_LEVEL=debug "
                          f"AEQUA_DATA_DIR={directory}/net/node{LIMITED}\nexec {AEQUA} \"$@\"\n")
    os.chmod(path, stat.S_IRWXU)
    return path

def knock(procs, directory, p2p_port):
    """Two strangers: one that never says who it is, and a node of another cluster. That one is an honest node and refuses first, so its
    own metrics and log have the refusal; returns its monitoring port."""
    with socket.create_connection(("127.0.0.1", p2p_port), timeout=5) as s:
        s.sendall(b"\x13/multistream/9.9.9\n")
        s.settimeout(5)
        try:
            while s.recv(4096):
                pass
        except OSError:
            pass
    other = os.path.join(directory, "other")
    p = run("create", "cluster", "--nodes=4", "--num-validators=1", f"--cluster-dir={other}", "--insecure-keys", "--name=other", "--network=hoodi",
            "--fee-recipient-addresses=0x0000000000000000000000000000000000000001",
            "--withdrawal-addresses=0x0000000000000000000000000000000000000002")
    check(p.returncode == 0, f"create cluster: {p.stdout}{p.stderr}")
    api, monitor, listen = free_ports(3)
    procs.start("stranger", [AEQUA, "run", f"--data-dir={other}/node0", f"--validator-api=127.0.0.1:{api}", f"--monitoring=127.0.0.1:{monitor}",
                             f"--p2p-tcp-address=127.0.0.1:{listen}", f"--p2p-peers=127.0.0.1:{p2p_port}"])
    return monitor

def p2p_port(net, i):
    for line in open(os.path.join(net, f"node{i}.log")):
        m = re.search(r'"addr":"/ip4/127\.0\.0\.1/tcp/(\d+)".*"msg":"p2p_addr"', line)
        if m:
            return int(m[1])

def main():
    started = time.monotonic()
    with workdir("observability") as d, Procs(d) as procs:
        net, base = os.path.join(d, "net"), free_base()
        ports = [base + 20 + i for i in range(NODES)]
        prom = Prometheus(procs, d, ports) if shutil.which("prometheus") and shutil.which("promtool") else None
        if not prom:
            print("prometheus and promtool are not installed: expressions are not evaluated, rules not tested")
        events = [a for i, (down, up) in KILLED.items() for a in ("--kill", f"{i}@{down}", "--restart", f"{i}@{up}")]
        testnet = procs.start("testnet", [AEQUA, "testnet", "--nodes", str(NODES), "--validators", "16", "--slot-time", f"{SLOT_S}s", "--dir", net,
                                          "--base-port", str(base), "--node-log-level", "debug", "--node-binary",
                                          f"{LIMITED}={limited_node(d)}", *events])
        scraper = Scraper(ports)
        scraper.start()
        wait_for("a scrape of every node", 120, lambda: len(scraper.first) == NODES)
        wait_for("all to be up", 300, lambda: "all is up" in procs.log("testnet"))
        late = re.search(r"counted from the chain's slot (\d+) on", procs.log("testnet"))
        first = int(late[1]) if late else 0
        genesis = int(get_json(f"http://127.0.0.1:{base}/eth/v1/beacon/genesis")["data"]["genesis_time"])
        def at_slot(slot):
            time.sleep(max(0.0, genesis + (first + slot) * SLOT_S - time.time()))
        stranger = knock(procs, d, p2p_port(net, 0))
        at_slot(3.2)
        for trace, method, path, body, code, _, _ in REQUESTS:
            if body and b"%d" in body:
                body = body % (first + 3)
            got, text = http(f"http://127.0.0.1:{base}{path}", data=body, method=method, trace=trace)
            check(got == code, f"{method} {path}: {got} {text}, wanted {code}")
        check(http(f"http://127.0.0.1:{base}/health") == (200, "ok"), "/health")
        at_slot(4.8)
        if prom:
            prom.check_quiet()
        at_slot(10)
        if prom:
            wait_for("the alert on signing timeouts", 5, lambda: "AequaTssTimeouts" in prom.firing())
        at_slot(14)
        check(testnet.poll() is None, "the test network ended early:\n" + procs.log("testnet")[-2000:])
        if prom:
            wait_for("all targets", 10, lambda: len(prom.query("up == 1")) == NODES)
            prom.check_all()
            lint_metrics(http(f"http://127.0.0.1:{ports[0]}/metrics")[1])
        refused = parse(http(f"http://127.0.0.1:{stranger}/metrics")[1])["p2p_conn_attempts_total", (("result", "dkg_denied"),)]
        check(refused > 0, "a node of another cluster was not refused")
        scraper.finish()
        testnet.send_signal(signal.SIGINT)
        testnet.wait(15)
        check_first(scraper.first)
        check_names(scraper.last[0])
        check_moved(scraper.moved)
        golden, rare = golden_fields()
        seen = set()
        lines = [check_log(os.path.join(net, f"node{i}.log"), i in KILLED, golden, seen) for i in range(NODES)]
        procs.stop()
        check_log(os.path.join(d, "stranger.log"), 0, golden, seen)
        check_requests(lines[0])
        missing = set(golden) - seen - rare
        check(not missing, f"messages that no node wrote: {missing}")
        stopped = {(l["service"], l["result"]) for l in lines[0] if l["msg"] == "service_op" and l["op"] == "stop"}
        check(stopped == {(s, "ok") for s in ("api", "monitoring", "p2p", "consensus", "tss")}, f"services stopped: {stopped}")
        check_secrets(d)
        print(f"{len(scraper.moved)} families moved, {len(scraper.last[0])} series a node, {sum(map(len, lines))} log lines, "
              f"{time.monotonic() - started:.0f} s{', evaluated by Prometheus' if prom else ''}")

main()
print("ok")
