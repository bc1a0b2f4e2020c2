"""Goal: each command of docs/runbook.md does what that page says, and fails clearly where something is wrong.
Method: the page's own blocks of commands run in a shell, one after the other; with --docker by Docker, else by the stand-in of test/runbook,
which runs the services of the same compose files as processes. What the chain saw and what the nodes decided is compared before and after.
--check only looks whether each block of the page is run here, and nothing that is not there; --show prints what the blocks print."""
import re, shutil, socket, tempfile
from common import *

REAL, CHECK, SHOW = ("--docker" in sys.argv, "--check" in sys.argv, "--show" in sys.argv)
DIR = os.path.join(ROOT, "deploy", "testnet")
FILE, TSS = "deploy/testnet/docker-compose.yml", "deploy/testnet/docker-compose.tss.yml"
COMPOSE = f"docker compose -f {FILE}"
ROLL = f"deploy/testnet/tools/rolling_upgrade.sh -f {FILE} -w 1"
PORTS = [*range(4600, 4604), *range(4620, 4624)]
results = []

class Fail(Exception):
    pass

def want(ok, what):
    if not ok:
        raise Fail(what)

def sh(line, rc=0, limit=600, **env):
    """Runs a line in a shell; rc None: any status but 0."""
    p = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=limit, env={**ENV, **env})
    good = p.returncode == rc if rc is not None else p.returncode != 0
    want(good, f"`{line}`: exit status {p.returncode}: {(p.stdout + p.stderr).strip()[-400:]}")
    return p.stdout + p.stderr

def blocks():
    """Name -> commands, of the blocks of docs/runbook.md; those that need real Docker say so behind their name."""
    text = open(os.path.join(ROOT, "docs", "runbook.md")).read()
    found = re.findall(r"^<!-- ([a-z-]+)( docker)? -->\n```sh\n(.*?)^```$", text, re.M | re.S)
    out = {name: commands for name, docker, commands in found if REAL or CHECK or not docker}
    want(len(found) == text.count("```sh") and len({name for name, _, _ in found}) == len(found), "a block of docs/runbook.md has no name of its own")
    return out

def doc(name, rc=0, **env):
    """Runs a block of docs/runbook.md."""
    out = sh("set -e\n" + BLOCKS[name], rc, env.pop("limit", 600), WAIT_SECS=env.pop("WAIT_SECS", "1"), **env)
    if SHOW:
        print(f"---- {name}\n{out.rstrip()}\n----", flush=True)
    return out

def unlike_the_page():
    here = set(re.findall(r'\bdoc\("([a-z-]+)"', open(os.path.abspath(__file__)).read()))
    return [f"{n}: in docs/runbook.md, not run here" for n in sorted(set(BLOCKS) - here)] + \
           [f"{n}: run here, not in docs/runbook.md" for n in sorted(here - set(BLOCKS)) if CHECK or REAL]

def sentence(section, text):
    """Runs the function below it at once, and prints how it went."""
    def run_it(fn):
        t = time.monotonic()
        try:
            note = fn() or ""
            ok = True
        except (Fail, OSError, subprocess.TimeoutExpired, ValueError) as e:
            ok, note = False, str(e)
        results.append(ok)
        print(f"{'pass' if ok else 'FAIL'}  {section}: {text}  [{time.monotonic() - t:.1f} s{'; ' + note if note else ''}]", flush=True)
        return fn
    return run_it

# ---- what is asked of the nodes ----

def get(url, limit=3):
    with urllib.request.urlopen(url, timeout=limit) as r:
        return r.read().decode()

def soon(what, seconds, fn):
    end, last = time.monotonic() + seconds, None
    while True:
        try:
            last = fn()
            if last:
                return last
        except OSError as e:
            last = e
        want(time.monotonic() < end, f"not within {seconds} s: {what} (last: {last})")
        time.sleep(0.1)

def healthy(i):
    return get(f"http://127.0.0.1:{4600 + i}/health") == "ok"

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (-?[0-9.e+-]+|\+Inf|NaN)$')

def metrics(i):
    """Sample -> value, of a strict reading: each sample belongs to a family whose TYPE was given before."""
    out, types = {}, {}
    for line in get(f"http://127.0.0.1:{4620 + i}/metrics").splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:4]
            want(name not in types, f"TYPE of {name} twice")
            types[name] = kind
        elif line and not line.startswith("# HELP "):
            m = SAMPLE.match(line)
            want(m, f"not a sample: {line}")
            family = m[1] if m[1] in types else re.sub(r"_(sum|count|bucket)$", "", m[1])
            want(family in types, f"no TYPE before {line}")
            key = m[1] + (m[2] or "")
            want(key not in out, f"twice: {key}")
            out[key] = float(m[3])
    return out

def total(m, family, label=""):
    return sum(v for k, v in m.items() if k.split("{")[0] == family and label in k)

def started_at(i):
    return total(metrics(i), "app_start_time_secs")

def meshed(nodes=range(4), count=3):
    return all(metrics(i).get("p2p_conns_open") == count for i in nodes)

def stats(ask=1):
    return json.loads(get(f"http://127.0.0.1:{4600 + ask}/sim/stats"))

def log(service):
    out = []
    for line in sh(f"{COMPOSE} logs --no-log-prefix --no-color {service}").splitlines():
        if line.strip():
            out.append(json.loads(line))
    return out

def decided(service, duty="attester"):
    return {v["height"]: v["hash"] for v in log(service) if v["msg"] == "consensus_decided" and v["duty"] == duty}

def no_gap(service, since):
    have = sorted(h for h in decided(service) if h > since)
    want(len(have) >= 2, f"{service} decided {have} after slot {since}")
    gaps = [h for h in range(have[0], have[-1]) if h not in have]
    want(not gaps, f"{service}: no decision in the slots {gaps}")
    return f"{len(have)} slots without a gap"

def slots(count, ask=1):
    """Waits until so many more slots are over."""
    until = stats(ask)["slot"] + count
    soon(f"slot {until}", 30, lambda: stats(ask)["slot"] >= until)

def submitted(ask=1):
    """Waits until the chain has taken an attestation that was not there before."""
    before = stats(ask)["attestations"]["ok"]
    soon("an attestation on the chain", 20, lambda: stats(ask)["attestations"]["ok"] > before)

def unharmed(ask=1, bad=0):
    """bad: what a restart of the chain cost, which forgets its blocks, and refuses those that were being made on them."""
    s = stats(ask)
    want(s["bad"] == bad and s["slashable"] == 0, f"the chain saw bad or slashable messages: {s}")
    return s

def running():
    return sorted(sh("docker ps --no-trunc -q").split())

def ports_free():
    for p in PORTS:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", p))
            except OSError:
                skip(f"port {p} is taken; the runbook needs 4600..4603 and 4620..4623 free")

RUNBOOK_FAMILIES = """api_requests_total api_latency_ms_sum api_latency_ms_count service_op_ms_sum service_op_ms_count consensus_events_total
consensus_proc_ms_sum consensus_proc_ms_count qbft_msg_verified_total qbft_state_transitions_total p2p_conn_attempts_total p2p_conns_open
p2p_conn_open_total p2p_conn_close_total state_persist_ms_sum state_persist_ms_count state_recovery_total tss_rate_limited_total
tss_sessions_open tss_sessions_total""".split()

def the_runbook():
    @sentence("Files", "the compose files are gen_compose's; each block of docs/runbook.md is run here; versions agree; dependencies are listed")
    def _():
        for f, args in ((FILE, "4"), (TSS, "4 --tss")):
            want(sh(f"deploy/testnet/tools/gen_compose {args}") == open(os.path.join(ROOT, f)).read(), f"{f} is not gen_compose {args}")
        want(not unlike_the_page(), "; ".join(unlike_the_page()))
        version = open(os.path.join(ROOT, "VERSION")).read().strip()
        want(f"ARG VERSION={version}\n" in open(os.path.join(ROOT, "Dockerfile")).read(), "the Dockerfile has another version")
        sh("scripts/dep-whitelist.sh")

    @sentence("Build & Start", "docker build -t aequa-local:latest .")
    def _():
        doc("build", limit=1800)
        if not REAL:
            return ""
        size = int(sh("docker image inspect -f '{{.Size}}' aequa-local:latest"))
        want(size < 40e6, f"the image has {size} bytes")
        sh("scripts/dep-whitelist.sh aequa-local:latest")
        return f"{size / 1e6:.1f} MB"

    @sentence("Troubleshooting", "a node of the cluster without its files says which, and exits with 1; alone it would be a canary")
    def _():
        name = "aequa-testnet-empty"
        sh(f"docker run -d --name {name} --env-file deploy/testnet/presets/cluster.env aequa-local:latest")
        soon("its end", 10, lambda: name not in sh("docker ps"))
        out = sh(f"docker logs {name}")
        state = sh(f"docker inspect -f '{{{{.State.Status}}}} ({{{{.State.ExitCode}}}})' {name}").strip()
        sh(f"docker rm -f {name}")
        want("charon-enr-private-key" in out and state == "exited (1)", f"{state}: {out[-300:]}")

    @sentence("Troubleshooting", "a port that is busy is named; up -d again goes on from there")
    def _():
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", 4622))
            s.listen()
            out = sh(f"{COMPOSE} up -d", rc=None)
            want("4622" in out, f"the message does not name port 4622: {out[-300:]}")

    @sentence("Build & Start", "up -d: four healthy nodes, a mesh of three peers each, within 30 s")
    def _():
        t = time.monotonic()
        doc("up")
        for i in range(4):
            soon(f"health of node {i}", 30, lambda i=i: healthy(i))
        soon("a mesh of 3 peers each", 10, meshed)
        want(time.monotonic() - t < 30, "took more than 30 s")

    @sentence("Build & Start", "curl health says ok, two bytes; curl metrics is an exposition with every runbook family")
    def _():
        want(doc("health") == "ok", "not exactly ok")
        lines = doc("metrics").splitlines()
        want(lines[2] == "dvt_up 1" and "p2p_conns_open 3" in lines, f"metrics: {lines}")
        have = {k.split("{")[0] for k in metrics(0)}
        missing = [f for f in RUNBOOK_FAMILIES if f not in have]
        want(not missing, f"missing: {missing}")

    @sentence("Build & Start", "readyz names what a node lacks, and says ok in the end; health.sh asks all four")
    def _():
        soon("ready", 20, lambda: doc("ready") == "ok (threshold signing off: other nodes submit)")
        want(doc("health-all").splitlines() == [f"127.0.0.1:{p} ok" for p in range(4600, 4604)], "health.sh does not say ok four times")

    @sentence("Build & Start", "up -d once more changes nothing")
    def _():
        before = running()
        sh(f"{COMPOSE} up -d")
        want(running() == before, "containers were replaced")

    @sentence("Prerequisites", "no host port but 4600.. and 4620..")
    def _():
        for p in [3610, 5052, *range(4604, 4620), *range(4624, 4630)]:
            with socket.socket() as s:
                want(s.connect_ex(("127.0.0.1", p)) != 0, f"port {p} is open")

    @sentence("Build & Start", "duties of the simulated chain are decided in every slot, alike on all nodes")
    def _():
        soon("decisions", 30, lambda: len(decided("node-0")) >= 4)
        all_of = [decided(f"node-{i}") for i in range(4)]
        for d in all_of[1:]:
            wrong = [h for h in d if h in all_of[0] and d[h] != all_of[0][h]]
            want(not wrong, f"different decisions in the slots {wrong}")
        return no_gap("node-0", 0)

    @sentence("Build & Start", "POST /v1/duty at one node is 202 and moves consensus on all four")
    def _():
        before = [total(metrics(i), "qbft_state_transitions_total") for i in range(4)]
        want(doc("duty").startswith("HTTP/1.1 202 "), "not 202")
        for i in range(4):
            soon(f"transitions on node {i}", 10, lambda i=i: total(metrics(i), "qbft_state_transitions_total") > before[i])
        want(total(metrics(2), "consensus_events_total", 'kind="duty"') > 0, "consensus_events_total{kind=duty} did not move")

    @sentence("Scope, Security", "features are off: no signing session, nothing submitted, no builder, private or auction activity")
    def _():
        for i in range(4):
            m = metrics(i)
            on = [k for k, v in m.items() if v and re.match(r"tss_sessions|builder_|beast_|private_pool|dfba_|mempool_in", k)]
            want(not on, f"node {i}: {on}")
        s = unharmed()
        want(json.loads(doc("stats"))["slashable"] == 0, "slashable")
        want(s["attestations"]["ok"] == 0 and s["blocks"]["ok"] == 0, f"something was submitted: {s}")

    @sentence("Observability", "a block request without signing ends in 408; no answer is a server error, so that the API alert is quiet")
    def _():
        vain = lambda: sum(total(metrics(i), "api_requests_total", 'code="408"') for i in range(4))
        faults = lambda: sum(total(metrics(i), "api_requests_total", 'code="5') for i in range(4))
        soon("a block request that waited in vain", 30, vain)
        before, at = faults(), vain()  # requests of the first slots, which began before the nodes did, end in 504
        soon("two more of them", 20, lambda: vain() > at + 1)
        want(faults() == before, f"{faults() - before} server errors")

    @sentence("Observability", "every log line is JSON; request lines have the six fields")
    def _():
        count = 0
        for service in ("beacon", *(f"{kind}-{i}" for i in range(4) for kind in ("node", "validator"))):
            for v in log(service):
                want({"level", "ts", "msg"} <= v.keys(), f"{service}: {v}")
                count += 1
                if v["msg"] == "api_request":
                    want({"trace_id", "route", "code", "result", "latency_ms"} <= v.keys(), f"{service}: {v}")
                    want(("err" in v) == (v["code"] >= 400), f"err and code disagree: {v}")
        return f"{count} lines"

    @sentence("Observability", "the trace id of a request is in its line")
    def _():
        want('"route":"/health"' in doc("trace"), "no line with the trace id")

    @sentence("Rolling upgrade", "a new build of the same tag, then stop node-0 && up -d node-0: stops below 3 s, rejoins below 10 s")
    def _():
        doc("new-image", limit=1800)
        sh("printf 'FROM aequa-local:latest\\nLABEL build=next\\n' | docker build -t aequa-local:latest -")  # as if sources had changed
        since = stats()["slot"]
        t = time.monotonic()
        out = doc("roll-one")
        took = time.monotonic() - t
        want(took < (8 if REAL else 6), f"stop and start took {took:.1f} s")
        want("Recreated" in out or REAL, "node-0 was not recreated from the new image")
        soon("health of node 0", 10, lambda: healthy(0))
        soon("the mesh", 10, meshed)
        soon("decisions", 15, lambda: len([h for h in decided("node-1") if h > since]) >= 3)
        return no_gap("node-1", since)

    @sentence("Rolling upgrade", "the tool does the others one by one; no slot is without a decision")
    def _():
        since = stats(0)["slot"] + 1
        out = doc("roll-rest")
        want(out.count("is well") == 3, out[-300:])
        slots(2, 0)
        return no_gap("node-0", since)

    @sentence("Rolling upgrade", "a node that does not come back ends the roll: exit 1, the others untouched, duties go on")
    def _():
        since = stats()["slot"]
        before = started_at(1)
        out = sh(f"{ROLL} -t 3 -a --no-such-flag node-0 node-1", rc=1)
        want("the roll stops here" in out, out[-300:])
        want(started_at(1) == before, "node-1 was restarted")
        soon("decisions", 15, lambda: len([h for h in decided("node-1") if h > since]) >= 2)
        note = no_gap("node-1", since)
        sh(f"{ROLL} node-0")
        return note

    @sentence("Rolling upgrade", "a node that is up but has fewer peers than before ends the roll too")
    def _():
        before = started_at(1)
        # No peer has a score of 101. A low --p2p-max-conns keeps no member out: the node still dials them.
        out = sh(f"{ROLL} -t 3 -a --p2p-score-threshold=101 node-0 node-1", rc=1)
        want("!! node-0: p2p_conns_open says 0 peers, there were 3 before" in out, out[-300:])
        want(started_at(1) == before, "node-1 was restarted")
        sh(f"{ROLL} node-0")
        soon("the mesh", 10, meshed)

    @sentence("Rolling upgrade", "a tag that names a wrong image ends the roll; the previous image mends it")
    def _():
        before = started_at(1)
        sh("docker tag aequa-local:latest aequa-local:previous")
        if REAL:
            sh("printf 'FROM aequa-local:latest\\nENTRYPOINT [\"/no/such\"]\\n' | docker build -t aequa-local:latest -")
        else:
            sh("docker build -t aequa-local:latest .", AEQUA="/bin/false")
        out = sh(f"{ROLL} -t 2 node-0 node-1", rc=1)
        want("the roll stops here" in out and started_at(1) == before, out[-300:])
        if SHOW:
            print(out)
        sh("docker tag aequa-local:previous aequa-local:latest")
        want("is well" in sh(f"{ROLL} node-0"), "node-0 is not well")

    @sentence("Rolling upgrade", "wrong usage of the tool is exit 2")
    def _():
        sh("deploy/testnet/tools/rolling_upgrade.sh node-0", rc=2)
        sh(f"deploy/testnet/tools/rolling_upgrade.sh -f {FILE}", rc=2)
        sh("deploy/testnet/tools/rollback_all.sh", rc=2)
        sh("deploy/testnet/tools/kpi_active.sh", rc=2)

    @sentence("Rollback", "retag the previous image and roll")
    def _():
        want("node-0 is well" in doc("rollback"), "node-0 is not well")

    @sentence("Rollback", "unstable: stop all, previous image for all; state is read, no double vote, duties resume")
    def _():
        doc("rollback-all")
        sh("deploy/testnet/tools/health.sh", WAIT_SECS="20")
        soon("the mesh", 15, meshed)
        slots(2)
        states = [v for v in log("node-1") if v["msg"] == "consensus_state" and v["op"] == "load"]
        want(states and states[-1]["result"] == "ok", f"state: {states[-1:]}")
        soon("decisions", 20, lambda: max(decided("node-1"), default=0) >= stats()["slot"] - 1)
        unharmed()

    @sentence("Troubleshooting", "restart a node and watch service_op_ms: it starts in fractions of a millisecond that are recorded")
    def _():
        sh(f"{COMPOSE} restart node-1")
        soon("four services started", 10, lambda: total(metrics(1), "service_op_ms_count", 'op="start"') >= 4)
        want(total(metrics(1), "service_op_ms_sum", 'op="start"') % 1 != 0, "the sum has no fraction")
        stops = {v["service"] for v in log("node-1") if v["msg"] == "service_op" and v["op"] == "stop"}
        want({"api", "p2p"} <= stops, f"stop lines only of {stops}")

    @sentence("Troubleshooting", "peer gates: the preset is in force and each gate's result can be counted")
    def _():
        m = metrics(2)
        want(total(m, "p2p_config_checks_total", 'result="ok"') == 1, "p2p_config_checks_total")
        for r in ("allowed", "denied", "limited", "dkg_denied"):
            want(f'p2p_conn_attempts_total{{result="{r}"}}' in m, f"no result {r}")

    @sentence("Tools", "kpi_active.sh counts four of four, and three when one is down; health.sh then fails")
    def _():
        soon("four of four", 10, lambda: json.loads(doc("kpi"))["active_nodes"] == 4)
        sh(f"{COMPOSE} stop node-3")
        want(json.loads(doc("kpi")) | {"timestamp": 0} == {"timestamp": 0, "total_endpoints": 4, "active_nodes": 3}, "not three of four")
        want("4603 is not healthy" in sh("deploy/testnet/tools/health.sh", rc=1, WAIT_SECS="0"), "health.sh does not name 4603")
        sh(f"{COMPOSE} up -d node-3")

    @sentence("Gray rollout", "stop node-0 && docker run ... --enable-tss: the canary starts alone and is healthy")
    def _():
        doc("canary")
        soon("health of the canary", 10, lambda: healthy(0))
        want(sh("docker logs aequa-testnet-canary").count("throwaway_cluster") == 1, "no warning about the throwaway cluster")

    @sentence("Gray rollout", "tss_sessions_open, tss_rate_limited_total and service_op_ms{service=tss} are there and move")
    def _():
        soon("a signing session", 30, lambda: total(metrics(0), "tss_sessions_total", 'result="ok"') >= 2)
        names = {re.split(r"[ {]", line)[0] for line in doc("canary-watch").splitlines()}
        want(names == {"tss_sessions_open", "tss_sessions_total", "tss_rate_limited_total", "service_op_ms_count"}, f"families: {names}")
        m = metrics(0)
        want("tss_sessions_open" in m and 'tss_rate_limited_total{kind="tss_session"}' in m, "families are missing")
        want(total(m, "service_op_ms_count", 'service="tss"') > 1, "service_op_ms{service=tss} stands still")
        want(m["p2p_conns_open"] == 0, "the lone canary has peers")
        return no_gap("node-1", stats()["slot"] - 4)

    @sentence("Gray rollout", "while the canary is there, up -d node-0 fails and names the port; docker rm -f canary mends it")
    def _():
        out = subprocess.run(["bash", "-c", f"{COMPOSE} up -d node-0"], cwd=ROOT, env=ENV, capture_output=True, text=True)
        doc("canary-away")
        if SHOW:
            print(out.stderr)
        want(out.returncode != 0 and re.search("46[02]0", out.stderr), f"status {out.returncode}: {out.stderr[-300:]}")
        soon("the mesh", 15, meshed)

    @sentence("Gray rollout", "a canary in the cluster (network, alias, volume of node-0) submits for all, whose flag is off")
    def _():
        doc("canary-joins")
        soon("health of the canary", 10, lambda: healthy(0))
        soon("the mesh", 15, meshed)
        submitted()
        soon("a block", 20, lambda: stats()["blocks"]["ok"] > 0)
        others = [total(metrics(i), "tss_sessions_total") for i in (1, 2, 3)]
        want(others == [0, 0, 0], f"nodes without the flag opened sessions: {others}")
        unharmed()
        sh("docker rm -f aequa-testnet-canary")

    @sentence("Gray rollout", "roll to all with the tool and --enable-tss: every duty is done from then on")
    def _():
        want(doc("tss-roll").count("is well") == 4, "not four")
        submitted()
        slots(1)
        before = unharmed()
        slots(4)
        now = unharmed()
        for what in ("attestations", "blocks"):
            want(now[what]["missed"] == before[what]["missed"], f"{what}: {before[what]} -> {now[what]}")

    @sentence("Rolling upgrade", "under load with signing on: each node is rolled, no attestation and no block is lost")
    def _():
        before = unharmed()
        sh("printf 'FROM aequa-local:latest\\nLABEL build=third\\n' | docker build -t aequa-local:latest -")
        want(sh(f"{ROLL} -a --enable-tss node-0 node-1 node-2 node-3").count("is well") == 4, "not four")
        slots(3)
        now = unharmed()
        for what in ("attestations", "blocks"):
            want(now[what]["missed"] == before[what]["missed"], f"{what}: {before[what]} -> {now[what]}")
        return f"{now['slot'] - before['slot']} slots"

    @sentence("Gray rollout", "disable by restarting without the flag: that node stops combining, the others go on submitting")
    def _():
        doc("tss-off")
        submitted()
        want(total(metrics(3), "tss_sessions_total") == 0, "node-3 still opens sessions")
        unharmed()

    @sentence("Gray rollout", "docker-compose.tss.yml replaces the nodes in place")
    def _():
        doc("tss-compose")
        names = sh("docker ps")
        want(all(f"aequa-testnet-tss-{i}" in names for i in range(4)), "no container aequa-testnet-tss-<i>")
        soon("the mesh", 20, meshed)
        submitted()
        slots(1)

    @sentence("Acceptance", "kill two of four: decisions stop, health stays ok; back again: they resume, nothing slashable")
    def _():
        bad = stats()["bad"]
        sh(f"docker compose -f {TSS} kill node-2 node-3")
        slots(2)
        at = total(metrics(0), "qbft_qc_built_total", "commit")
        slots(2)
        want(total(metrics(0), "qbft_qc_built_total", "commit") == at and healthy(0) and healthy(1), "it went on, or is not healthy")
        sh(f"docker compose -f {TSS} up -d node-2 node-3")
        submitted()
        unharmed(bad=bad)

    @sentence("Chaos", "chaos.sh: random restarts, then all is well, nothing slashable, and it says what was lost")
    def _():
        bad = stats()["bad"]
        out = doc("chaos", RUNTIME_S="4", STEP_S="2", NETEM="on" if REAL else "off")
        want(re.search(r"^well after [1-9]\d* restarts; lost attestations \d+, lost blocks \d+, slashable 0$", out, re.M), out[-300:])
        unharmed(bad=bad)

    @sentence("Chaos", "netem.sh: split, delay where the kernel has it, clear; wrong usage prints what it knows")
    def _():
        want("apply delay" in sh("deploy/testnet/tools/netem.sh", rc=2), "no usage")
        if not REAL:
            return "the rest needs Docker"
        tss, note = os.path.join(ROOT, TSS), ""
        want("network: split" in doc("netem", FILE=tss), "no split")
        try:
            want("network: delay" in doc("netem-delay", FILE=tss), "no delay")
        except Fail as e:
            want("no traffic control" in str(e), str(e))
            note = "this kernel has no sch_netem"
        doc("netem-down", FILE=tss)
        submitted()
        return note

    @sentence("SLO & Benchmarks", "tss_bench.sh prints ns/op, p50 and p95 and writes the baseline")
    def _():
        bench = os.path.join(os.path.dirname(AEQUA), "aequa-bench")
        if not os.path.exists(bench):
            return "not done: aequa-bench is not built"
        baseline = os.path.join(ROOT, "tss_bench_baseline.txt")
        mine = not os.path.exists(baseline)
        doc("bench", AEQUA_BENCH=bench)
        rows = [l for l in open(baseline) if not l.startswith("#")]
        if mine:
            os.remove(baseline)
        for r in rows:
            want(re.fullmatch(r"Benchmark\w+-\d+ +\d+ +\d+ ns/op +\d+ p50 +\d+ p95\n", r), f"line: {r}")
        for name in ("SignShare", "VerifyShare", "VerifyAggregate", "Combine3of4", "KeyGen"):
            want(any(r.startswith(f"Benchmark{name}-") for r in rows), f"no Benchmark{name}")

    @sentence("Stop & Clean", "down -v leaves no container and no volume; the next start is a fresh cluster")
    def _():
        doc("down")
        want("testnet" not in sh("docker ps -a"), "containers are left")
        if REAL:
            want("testnet_" not in sh("docker volume ls -q") and "testnet_" not in sh("docker network ls"), "volumes or networks are left")
        else:
            want(not os.listdir(os.path.join(ENV["AQ_STANDIN_DIR"], "volumes")), "volumes are left")
        sh(f"{COMPOSE} up -d")
        soon("the mesh", 15, meshed)
        want(stats()["slot"] < 15, f"the chain is at slot {stats()['slot']}")
        sh(f"{COMPOSE} down -v")

def clean():
    subprocess.run(["bash", "-c", f"docker rm -f aequa-testnet-canary aequa-testnet-empty; {COMPOSE} down -v"], cwd=ROOT, env=ENV, capture_output=True)

state = None if REAL else tempfile.mkdtemp(prefix="aequa-runbook-")
ENV = dict(os.environ, SLOT_TIME="2s", AEQUA=os.path.abspath(AEQUA))
ENV.pop("COMPOSE", None)
if not REAL:
    ENV.update(AQ_STANDIN_DIR=state, PATH=os.path.join(ROOT, "test", "runbook", "bin") + ":" + ENV["PATH"])
try:
    BLOCKS = blocks()
except Fail as e:
    check(False, str(e))
if CHECK:
    check(not unlike_the_page(), "; ".join(unlike_the_page()))
    sys.exit(0)
if not shutil.which("curl"):
    skip("curl is not installed")
ports_free()
started = time.monotonic()
try:
    the_runbook()
finally:
    clean()
bad = results.count(False)
print(f"{len(results)} sentences, {bad} failed, {time.monotonic() - started:.0f} s, {'Docker' if REAL else 'stand-in'}")
if state and bad:
    print("left for a look:", state)
elif state:
    shutil.rmtree(state, ignore_errors=True)
sys.exit(1 if bad else 0)
