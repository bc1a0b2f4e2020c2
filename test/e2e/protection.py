"""Goal: slashing protection moves between clients and nodes as docs/operate.md says, and what cannot protect is refused with the mend.
Method: the commands of that section are taken from it and run. A client signs with its shares on a simulated chain; its history goes into
a node's store, out again, and into a fresh client, which then lives through the same slots of the same chain once more and must sign none of
them. Then files in the forms of each client, files of other networks and other keys, and databases that are damaged, lost or in use."""
import os, re, resource, shutil, signal, sqlite3, subprocess, sys, time
from common import *

SPE, SLOT = 4, "500ms"
VERSION = "0x50000071"
NETWORK = network_flags("protect", VERSION, 1337, "0x53000071", int(time.time()))
HOODI = "0x212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f"
ADDRESSES = [f"--fee-recipient-addresses=0x{1:040x}", f"--withdrawal-addresses=0x{2:040x}"]

# ---- the procedures ----

def procedures():
    """The commands of the section, in order: (sub-command, words)."""
    text = open(os.path.join(ROOT, "docs", "operate.md")).read()
    section = text.split("\n## Slashing protection, in and out\n")[1].split("\n## ")[0]
    found = [l.split()[1:] for l in re.findall(r"^aequa store .*$", section, re.M)]
    check([f[:2] for f in found] == [["store", "export"], ["store", "export"], ["store", "import"], ["store", "import"]], f"operate.md: {found}")
    return found

def step(words, rc=0, **names):
    """One command of the section with its places filled in."""
    def fill(w):
        for k, v in names.items():
            w = w.replace(f"<{k.replace('_', '-')}>", v)
        return names.get("file", w) if w == "protection.json" else w
    argv = [fill(w) for w in words]
    check(not any("<" in a for a in argv), f"a place of operate.md is not filled in: {argv}")
    p = run(*argv)
    check(p.returncode == rc, f"{' '.join(argv)}: {p.returncode}: {p.stdout} {p.stderr}")
    return p

def expect(rc, *args, err=None, **kw):
    p = run("store", *args, **kw)
    check(p.returncode == rc, f"store {' '.join(args)}: exit {p.returncode}, want {rc}\n{p.stdout}{p.stderr}")
    for word in ([err] if isinstance(err, str) else err or []):
        check(word in p.stderr, f"store {' '.join(args)}: \"{word}\" is not in: {p.stderr}")
    return p

# ---- what a file and a store say ----

def history(path):
    """{key: (slots, targets)} of a file."""
    data = json.load(open(path))["data"]
    return {v["pubkey"]: ({int(b["slot"]) for b in v["signed_blocks"]}, {int(a["target_epoch"]) for a in v["signed_attestations"]}) for v in data}

def signed(path):
    """The same of what was signed, not imported: that has roots."""
    data = json.load(open(path))["data"]
    return {v["pubkey"]: ({int(b["slot"]) for b in v["signed_blocks"] if "signing_root" in b},
                          {int(a["target_epoch"]) for a in v["signed_attestations"] if "signing_root" in a}) for v in data}

def marks(db):
    """{key: (source, target, block slot)}"""
    with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as c:
        return {"0x" + k.hex(): (s, t, b) for k, s, t, b in c.execute("select pubkey, max(source), max(target), max(block_slot) from mark group by pubkey")}

def keys_of(node):
    lock = json.load(open(f"{node}/cluster-lock.json"))
    i = int(node[-1])
    return ([v["public_shares"][i] for v in lock["distributed_validators"]], [v["distributed_public_key"] for v in lock["distributed_validators"]])

def file_of(path, keys, root, slot=90, source=8, target=9, **extra):
    json.dump({"metadata": {"interchange_format_version": "5", "genesis_validators_root": root},
               "data": [{"pubkey": k, "signed_blocks": [{"slot": str(slot), **extra}],
                         "signed_attestations": [{"source_epoch": str(source), "target_epoch": str(target), **extra}]} for k in keys]}, open(path, "w"))
    return path

# ---- a chain whose validators are the shares of one operator ----

def start_chain(procs, name, d, port, pubkeys):
    procs.start(name, [AEQUA, "beacon", f"--listen=127.0.0.1:{port}", f"--pubkeys-file={pubkeys}", f"--slot-time={SLOT}",
                       f"--slots-per-epoch={SPE}", f"--genesis-fork-version={VERSION}"])
    url = f"http://127.0.0.1:{port}"
    wait_for(name, 120, lambda: get_json(url + "/eth/v1/beacon/genesis"))
    return url

def start_client(procs, name, url, keys, data, *args):
    return procs.start(name, [AEQUA, "validator", f"--beacon-api={url}", f"--keys-dir={keys}", f"--data-dir={data}", *args])

def stop(procs, *names):
    for n in names:
        procs.all[n].terminate()
        procs.all[n].wait(10)

def moved(d, procs):
    """A client's history to a node's store, out of it and into a fresh client."""
    export_node, export_client, import_client, import_node = procedures()
    node, old, new = f"{d}/node0", f"{d}/old", f"{d}/new"
    shares, groups = keys_of(node)
    open(f"{d}/pubkeys", "w").write("\n".join(shares) + "\n")
    port, = free_ports(1)
    url = start_chain(procs, "chain1", d, port, f"{d}/pubkeys")
    root = get_json(url + "/eth/v1/beacon/genesis")["data"]["genesis_validators_root"]
    start_client(procs, "old", url, f"{node}/validator_keys", old)
    def done():
        s = get_json(url + "/sim/stats")
        return s["attestations"]["ok"] >= 2 * len(shares) and s["blocks"]["ok"] >= SPE and s["slot"] >= 2 * SPE + 1
    wait_for("duties of the old client", 60, done)
    p = expect(1, "import", "--store", f"{old}/validator.db", file_of(f"{d}/any.json", shares, root), err=["another process uses", "stop it first"])
    stop(procs, "old", "chain1")
    check(os.path.exists(f"{old}/validator.db.bak"), "the client's database has a copy after an epoch")
    step(export_client, data_dir=node, client_dir=old, file=f"{d}/1.json")
    first = history(f"{d}/1.json")
    check(set(first) == set(shares), f"a client's export names its shares: {set(first)}")
    top_slot, top_target = max(max(s) for s, _ in first.values() if s), max(max(t) for _, t in first.values())
    p = step(import_node, data_dir=node, file=f"{d}/1.json")
    check(f"{len(shares)} of the {len(shares)} keys are known here" in p.stdout and "made" in p.stdout, f"import into a node: {p.stdout}")
    check(set(marks(f"{node}/aequa.db")) == set(groups), "a node's store names validators")
    step(export_node, data_dir=node, file=f"{d}/2.json")
    second = history(f"{d}/2.json")
    check(set(second) == set(shares), f"a node's export names shares, too: {set(second)}")
    for k in shares:
        check(not first[k][0] or max(first[k][0]) == max(second[k][0]), f"{k}: slots {first[k][0]} became {second[k][0]}")
        check(max(first[k][1]) == max(second[k][1]), f"{k}: targets {first[k][1]} became {second[k][1]}")
    check(json.load(open(f"{d}/2.json"))["metadata"]["genesis_validators_root"] == root, "the root comes along")
    p = step(import_client, data_dir=node, client_dir=new, file=f"{d}/2.json")
    check(f"{len(shares)} of the {len(shares)} keys are known here" in p.stdout, f"import into a client: {p.stdout}")
    # The same chain lives once more: all that was signed is due again.
    url = start_chain(procs, "chain2", d, port, f"{d}/pubkeys")
    check(get_json(url + "/eth/v1/beacon/genesis")["data"]["genesis_validators_root"] == root, "the chain is the same")
    start_client(procs, "new", url, f"{node}/validator_keys", new)
    wait_for("duties after the old ones", 60, lambda: get_json(url + "/sim/stats")["slot"] >= max(top_slot, (top_target + 2) * SPE) + 2
             and get_json(url + "/sim/stats")["blocks"]["ok"] > 0 and get_json(url + "/sim/stats")["attestations"]["ok"] > 0)
    stop(procs, "new", "chain2")
    refused = [l for l in procs.log("new").splitlines() if '"vc_protection"' in l]
    check(refused, "the new client refused nothing")
    expect(0, "export", "--store", f"{new}/validator.db", f"{d}/3.json")
    second = signed(f"{d}/3.json")
    for k, (slots, targets) in second.items():
        before = first[k]
        print(f"{k[:10]}: before slots {sorted(before[0])} targets {sorted(before[1])}; after slots {sorted(slots)} targets {sorted(targets)}")
        check(targets and min(targets) > max(before[1]), f"{k} voted again: {targets}")
        check(not slots or not before[0] or min(slots) > max(before[0]), f"{k} proposed again: {slots}")
    return root

# ---- each client's form ----

FORMS = {
    "Lighthouse": {}, "Teku": {"signing_root": None}, "Prysm": {"signing_root": "0x" + "ab" * 32}, "Lodestar": {"signing_root": "0x" + "00" * 32},
    "Nimbus": {"signing_root": "0x" + "cd" * 32}, "Dirk": {}, "aequa": {"signing_root": "0x" + "ef" * 32}}

def forms(d):
    """The file that each client writes binds a fresh client and a fresh node alike."""
    shares, groups = keys_of(f"{d}/hoodi/node1")
    for name, extra in FORMS.items():
        w = f"{d}/form-{name}"
        shutil.copytree(f"{d}/hoodi/node1", w + "1")
        f = file_of(f"{w}.json", [k.upper().replace("0X", "0x") if name == "Teku" else k for k in shares], HOODI, **extra)
        expect(0, "import", f"--store={w}/c/validator.db", f"--keys-dir={w}1/validator_keys", f)
        check(marks(f"{w}/c/validator.db") == {k: (8, 9, 90) for k in shares}, f"{name}: {marks(f'{w}/c/validator.db')}")
        expect(0, "import", f"--data-dir={w}1", f)
        check(marks(f"{w}1/aequa.db") == {k: (8, 9, 90) for k in groups}, f"{name}: {marks(f'{w}1/aequa.db')}")
        out = json.loads(expect(0, "export", f"--data-dir={w}1").stdout)
        for v in out["data"]:  # what every client's import wants to see
            check(re.fullmatch("0x[0-9a-f]{96}", v["pubkey"]) and set(v) == {"pubkey", "signed_blocks", "signed_attestations"}, f"{v}")
            check(all(isinstance(x, str) for r in v["signed_blocks"] + v["signed_attestations"] for x in r.values()), "numbers are strings")

# ---- refusals ----

def refusals(d):
    node, other = f"{d}/hoodi/node0", f"{d}/hoodi/node2"
    shares, groups = keys_of(node)
    strangers = keys_of(other)[0]
    f = lambda name, *a, **kw: file_of(f"{d}/{name}.json", *a, **kw)
    nothing = lambda: check(not [n for n in os.listdir(node) if n.startswith("aequa.db") and not n.endswith(".lock")], "a refused import leaves no store")
    expect(1, "import", f"--data-dir={node}", f("wrong-net", shares, "0x" + "11" * 32), err=["another network", "hoodi"]); nothing()
    expect(1, "import", f"--data-dir={node}", f("strangers", strangers, HOODI), err=["none of the 2 keys", "--force"]); nothing()
    expect(1, "import", f"--data-dir={node}", f("nobody", [], HOODI), err=["no validator", "--force"]); nothing()
    for name, text in (("junk", "{"), ("empty", ""), ("old", json.dumps({"metadata": {"interchange_format_version": "4"}, "data": []})),
                       ("half", open(f("x", shares, HOODI)).read().replace('"slot"', '"slit"', 1))):
        open(f"{d}/{name}.json", "w").write(text)
        expect(1, "import", f"--data-dir={node}", f"{d}/{name}.json", err="aequa: "); nothing()
    expect(1, "import", f"--data-dir={node}", f"{d}/no-such.json", err="no-such.json"); nothing()
    expect(1, "import", f"--data-dir={node}", "--keys=share", f("groups", groups, HOODI), err="leave --keys out"); nothing()
    expect(1, "import", f"--data-dir={d}/bare", f("ok", shares, HOODI), err=["there is no", "cluster-lock.json", "--lock-file", "validator.db"])
    expect(1, "import", f"--store={d}/bare/other.db", f("ok", shares, HOODI), err=["aequa.db", "validator.db"])
    expect(1, "import", f"--data-dir={node}", "--genesis-validators-root", "0x" + "11" * 32, f("ok", shares, HOODI), err=["hoodi", "--force"]); nothing()
    for args in (["import", "--keys=both", "x"], ["import"], ["export", "--keys=nobody"], ["import", "--genesis-validators-root=zz", "x"], ["export", "--nope"]):
        expect(2, *args)
    x = f"{d}/altered"; shutil.copytree(node, x); os.chmod(f"{x}/cluster-lock.json", 0o600)
    lock = json.load(open(f"{x}/cluster-lock.json")); v = lock["distributed_validators"]
    v[0]["public_shares"][0], v[1]["public_shares"][0] = v[1]["public_shares"][0], v[0]["public_shares"][0]
    json.dump(lock, open(f"{x}/cluster-lock.json", "w"))
    expect(1, "import", f"--data-dir={x}", f("ok", shares, HOODI), err="altered")
    # The wrong file did not bar the right one; both names of a validator count, and strangers beside them are taken as they are.
    p = expect(0, "import", f"--data-dir={node}", f("mixed", [shares[0], groups[1], strangers[0]], HOODI))
    check("2 of the 3 keys are known here; 0 of this operator's 2 keys are not in the file" in p.stdout, p.stdout)
    check(marks(f"{node}/aequa.db") == {k: (8, 9, 90) for k in (*groups, strangers[0])}, f"{marks(f'{node}/aequa.db')}")
    p = expect(0, "export", f"--data-dir={node}")
    check({e["pubkey"] for e in json.loads(p.stdout)["data"]} == {*shares, strangers[0]} and "1 of them are not of this operator" in p.stderr, p.stderr)
    p = expect(0, "export", f"--data-dir={node}", "--keys=group")
    check({e["pubkey"] for e in json.loads(p.stdout)["data"]} == {*groups, strangers[0]}, "groups on request")
    expect(1, "export", f"--data-dir={node}", f"{d}/ok.json", err="exists")
    expect(1, "export", f"--data-dir={d}/bare", err=["there is no store", "--data-dir or --store"])
    shutil.copy(f"{node}/aequa.db", f"{d}/aequa.db")
    expect(1, "export", f"--store={d}/aequa.db", cwd=d, err=["--lock-file", "--keys group"])
    expect(0, "export", f"--store={d}/aequa.db", f"--lock-file={node}/cluster-lock.json")
    expect(0, "export", f"--store={d}/aequa.db", "--keys=group")
    p = expect(0, "check", f"--data-dir={node}")
    check("operator 0" in p.stdout and f"{HOODI} (of an import)" in p.stdout, p.stdout)
    # What cannot be written whole is no success and leaves nothing; an input without end has an end.
    for what in ("dump", "check", "export"):
        with open("/dev/full", "w") as full:
            p = subprocess.run([AEQUA, "store", what, f"--data-dir={node}"], stdout=full, stderr=subprocess.PIPE, text=True)
        check(p.returncode == 1 and "stdout" in p.stderr, f"store {what} to a full disk: exit {p.returncode}, {p.stderr}")
    with open("/dev/zero") as zeros:
        expect(1, "import", f"--data-dir={node}", "-", stdin=zeros, err="stdin: over")
    many = f"--store={d}/many/validator.db"
    expect(0, "import", many, f("many", ["0x%096x" % i for i in range(1000)], HOODI))
    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
    expect(1, "export", many, f"{d}/part.json", preexec_fn=small_files, err="cannot write")
    check(not os.path.exists(f"{d}/part.json"), "half an export was left")
    # A copy of the store from before an import is one from before a signature.
    x = f"{d}/rolled"; shutil.copytree(node, x)
    expect(0, "import", f"--data-dir={node}", f("later", shares, HOODI, slot=91, source=9, target=10))
    for n in os.listdir(node):
        if n.startswith("aequa.db") and not n.endswith(".stamp"):
            os.remove(f"{node}/{n}")
    for n in os.listdir(x):
        if n.startswith("aequa.db") and not n.endswith(".stamp"):
            shutil.copy(f"{x}/{n}", f"{node}/{n}")
    ports = free_ports(2)
    with Procs(d) as procs:
        procs.start("rolled", [AEQUA, "run", f"--data-dir={node}", f"--validator-api=127.0.0.1:{ports[0]}", f"--monitoring=127.0.0.1:{ports[1]}"])
        wait_for("the node's word on a copy older than the import", 15, lambda: "older copy of the database" in procs.log("rolled"))
    expect(0, "import", f"--data-dir={other}", "--force", f("strangers", shares, HOODI))  # asked for by name

def networks(d, procs, root):
    """A chain that no list knows: the beacon node says; a wrong file neither stays nor bars the right one."""
    shares = keys_of(f"{d}/node0")[0]
    keys = f"{d}/node0/validator_keys"
    port, = free_ports(1)
    url = start_chain(procs, "chain3", d, port, f"{d}/pubkeys")
    wrong, right = file_of(f"{d}/wrong.json", shares, "0x" + "22" * 32), file_of(f"{d}/right.json", shares, root, slot=1, source=0, target=0)
    ask = f"--beacon-node-endpoints={url}"
    db = f"--store={d}/asked/validator.db"
    expect(1, "import", db, f"--keys-dir={keys}", ask, wrong, err=["another network", "the beacon node"])
    check(not os.path.exists(f"{d}/asked/validator.db"), "a refused import leaves no database")
    expect(0, "import", db, f"--keys-dir={keys}", ask, right)
    expect(1, "import", f"--store={d}/dead/validator.db", "--beacon-node-endpoints=http://127.0.0.1:9", right, err="does not tell")
    db = f"--store={d}/unasked/validator.db"
    p = expect(0, "import", db, f"--keys-dir={keys}", wrong, err="--genesis-validators-root")  # a note: nothing to compare with
    expect(1, "import", db, f"--keys-dir={keys}", right, err=["--genesis-validators-root", "--beacon-node-endpoints"])
    c = start_client(procs, "unasked", url, keys, f"{d}/unasked")
    check(c.wait(20) == 1, f"a client with a file of another chain ends with {c.returncode}")
    check("import the right file" in procs.log("unasked"), procs.log("unasked")[-500:])
    expect(0, "import", db, f"--keys-dir={keys}", ask, right)
    start_client(procs, "unasked2", url, keys, f"{d}/unasked")
    wait_for("a signature after the right file", 30, lambda: get_json(url + "/sim/stats")["blocks"]["ok"] > 0)
    stop(procs, "unasked2")
    expect(1, "import", db, f"--keys-dir={keys}", wrong, err=["another network", "the store"])
    # A database that a beacon node has pinned signs on no other chain.
    other = f"{d}/other-pubkeys"
    open(other, "w").write("\n".join(shares + keys_of(f"{d}/node1")[0]) + "\n")
    port, = free_ports(1)
    url2 = start_chain(procs, "chain4", d, port, other)
    c = start_client(procs, "elsewhere", url2, keys, f"{d}/unasked")
    check(c.wait(20) == 1 and "of another chain" in procs.log("elsewhere"), procs.log("elsewhere")[-500:])
    check(get_json(url2 + "/sim/stats")["attestations"]["ok"] == 0, "nothing was signed on the other chain")
    return url

def lost(d, procs, url):
    """A client whose database is damaged or gone does as the node: the copy, abstention, or a refusal that names the flag."""
    keys, data = f"{d}/node0/validator_keys", f"{d}/lost"
    said = lambda name: wait_for(f"abstention of {name}", 20, lambda: '"msg":"abstain"' in procs.log(name))
    start_client(procs, "first", url, keys, data)
    said("first")  # a first start cannot be told from a lost database
    wait_for("the copy", 30, lambda: os.path.exists(f"{data}/validator.db.bak"))
    stop(procs, "first")
    start_client(procs, "again", url, keys, data)
    wait_for("the client", 20, lambda: '"vc_ready"' in procs.log("again"))
    stop(procs, "again")
    open(f"{data}/validator.db", "wb").write(os.urandom(8192))
    start_client(procs, "fallback", url, keys, data)
    said("fallback")
    stop(procs, "fallback")
    for n in ("validator.db", "validator.db.bak"):
        open(f"{data}/{n}", "wb").write(os.urandom(8192))
    for n in ("-wal", "-shm"):
        if os.path.exists(f"{data}/validator.db{n}"):
            os.remove(f"{data}/validator.db{n}")
    c = start_client(procs, "damaged", url, keys, data)
    check(c.wait(20) == 1 and "--accept-empty-store" in procs.log("damaged"), procs.log("damaged")[-500:])
    start_client(procs, "accepted", url, keys, data, "--accept-empty-store")
    said("accepted")
    stop(procs, "accepted")
    check(get_json(url + "/sim/stats")["slashable"] == 0, "something slashable was signed")

with workdir("protection") as d, Procs(d) as procs:
    for place, network in ((d, NETWORK), (f"{d}/hoodi", ["--network=hoodi"])):
        p = run("create", "cluster", "--nodes=3", "--num-validators=2", f"--cluster-dir={place}", "--name=p", "--insecure-keys", *ADDRESSES, *network)
        check(p.returncode == 0, p.stderr)
    os.mkdir(f"{d}/bare")
    forms(d)
    refusals(d)
    root = moved(d, procs)
    url = networks(d, procs, root)
    lost(d, procs, url)
print("ok")
