"""Goal: a real Charon is a full member of our cluster.
Method: three of our nodes and one Charon (its path in CHARON) on direct connections attest and propose on the simulated chain;
nothing may fail, Charon must lead rounds that are decided, and must not complain about us."""
import json, os, re
from common import *

charon = os.environ.get("CHARON")
if not charon or not os.access(charon, os.X_OK):
    skip("CHARON does not name a Charon program")
SLOTS = 40
with workdir("charon") as d:
    report = os.path.join(d, "r.json")
    p = run("testnet", "--nodes", "4", "--validators", "8", "--slot-time", "2s", "--slots", str(SLOTS), "--node-binary", f"3={charon}",
            "--report", report, "--dir", d, timeout=300)
    print(p.stdout[-2500:], p.stderr[-1500:])
    r = json.load(open(report))
    log = open(os.path.join(d, "node3.log"), errors="replace").read()
    leaders = set()
    for i in range(3):
        for line in open(os.path.join(d, f"node{i}.log")):
            v = json.loads(line)
            if v.get("msg") == "consensus_decided":
                leaders.add(v.get("leader"))
    print("decided leaders:", leaders)
    # After the last slot the network is being stopped: what Charon says about those duties is not about us.
    late = re.compile(r'"duty": "(\d+)/')
    complaints = [l for l in log.splitlines() if re.search(r"\b(ERRO|WARN)\b", l)
                  and not ((m := late.search(l)) and int(m.group(1)) > SLOTS)]
    print("\n".join(sorted({re.sub(r"[0-9:.]+", "#", l)[:160] for l in complaints})[:12]))
    check(r["slashable"] == 0 and r["bad"] == 0, f"slashable {r['slashable']}, bad {r['bad']}")
    for duty in ("attester", "proposer"):
        check(r["duties"][duty]["failed"] == 0 and r["duties"][duty]["ok"] >= SLOTS - 2, f"{duty}: {r['duties'][duty]}")
    check(3 in leaders, "no round that Charon led was decided")
    named = [l for l in complaints if "p2p" in l and "relay" not in l or "invalid" in l or "signature" in l]
    check(not named, "Charon complains: " + "; ".join(named[:3]))
