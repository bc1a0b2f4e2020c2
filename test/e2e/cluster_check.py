"""Goal: the file commands do on the command line what the units promise: check, create, split, print, refuse.
Method: the reference's vectors through `aequa cluster check`; clusters made by `aequa create cluster`, checked again, compared with
the reference's files member for member, and spoiled in one place each."""
import base64, hashlib, json, os, re, shutil, stat
from common import *

V = os.path.join(ROOT, "test", "vectors", "cluster")
FEE, TO = "0x388C818CA8B9251b393131C08a736A67ccB19297", "0x00000000219ab540356cBB839Cbe05303d7705Fa"
AEQUANET = ["--testnet-name", "aequanet", "--testnet-fork-version", "0x0a0b0c0d", "--testnet-chain-id", "424242",
            "--testnet-genesis-timestamp", "1700000000"]

def expect(rc, *args, err=None, **kw):
    p = run(*args, **kw)
    check(p.returncode == rc, f"{' '.join(args)}: exit {p.returncode}, want {rc}\n{p.stdout}{p.stderr}")
    if err is not None:
        check(err in p.stderr, f"{' '.join(args)}: \"{err}\" is not in: {p.stderr}")
    return p

def definition_hash(d):
    """Of a v1.0 definition without signatures: what leads to the leaves is in the specification, 2.8."""
    sha = lambda b: hashlib.sha256(b).digest()
    def tree(chunks, size=1):
        while size < len(chunks):
            size *= 2
        level = chunks + [bytes(32)] * (size - len(chunks))
        while len(level) > 1:
            level = [sha(level[i] + level[i + 1]) for i in range(0, len(level), 2)]
        return level[0]
    def text(t):
        b = t.encode() + bytes(-len(t.encode()) % 32)
        return [tree([b[i:i + 32] for i in range(0, len(b), 32)])] if t else []
    number = lambda n: n.to_bytes(32, "little")
    operators = [tree(text(o["address"]) + text(o["enr"]) + [bytes(32)]) for o in d["operators"]]
    leaves = [*text(d["uuid"]), *text(d["name"]), *text(d["version"]), number(d["num_validators"]), number(d["threshold"])]
    for name in ("fee_recipient_address", "withdrawal_address", "dkg_algorithm", "fork_version"):
        leaves += text(d[name])
    leaves.append(sha(tree(operators) + number(len(operators))))
    return base64.b64encode(tree(leaves)).decode()

def vectors(tmp):
    for e in json.load(open(f"{V}/invalid/index.json")):
        if not e["file"]:
            continue
        ok = e["result"] == "accepted"
        p = expect(0 if ok else 1, "cluster", "check", f"{V}/{e['file']}")
        if not ok:
            check(re.fullmatch(rf"{e['stage']}: .+\n", p.stderr), f"{e['file']}: one line with the stage {e['stage']}: {p.stderr}")
        r = json.loads(expect(0 if ok else 1, "cluster", "check", "--json", f"{V}/{e['file']}").stdout)
        check(r["valid"] == ok and (ok or r["stage"] == e["stage"]), f"{e['file']}: {r}")
    for e in json.load(open(f"{V}/versions/index.json")):
        if "multisig" in e["file"]:
            expect(1, "cluster", "check", f"{V}/{e['file']}", err="contract wallet")
            expect(0, "cluster", "check", "--no-verify", f"{V}/{e['file']}")
            continue
        r = json.loads(expect(0, "cluster", "check", "--json", f"{V}/{e['file']}").stdout)
        check(r["definition_hash"] == e["definition_hash"], e["file"])
    old = json.load(open(f"{V}/v1_0_0-timestamp.json"))
    check(definition_hash(old) == old["definition_hash"], "the hash of the test")
    expect(0, "cluster", "check", f"{V}/v1_0_0-timestamp.json")
    good = old["operators"][2]["enr"]
    for enr, rc in ((good, 0), ("", 0), (good[:-4], 1), ("enr:-", 1), ("enr:" + good[5:], 1), (good[:-6] + "A" + good[-5:], 1)):
        old["operators"][2]["enr"] = enr
        old["definition_hash"] = definition_hash(old)
        json.dump(old, open(f"{tmp}/definition.json", "w"))
        expect(rc, "cluster", "check", f"{tmp}/definition.json", err="signatures: the ENR of operator 2 is wrong: " if rc else None)
        p = expect(0, "cluster", "check", "--no-verify", f"{tmp}/definition.json")
        check(("ENR of operator 2" in p.stdout) == (rc == 1), f"a warning: {p.stdout}")
    for e in json.load(open(f"{V}/golden/expected.json")):
        extra = AEQUANET if "testnet" in e["directory"] else []
        for n in e["nodes"]:
            d = own_files(f"{V}/{e['directory']}/node{n['node']}", f"{tmp}/golden")
            r = json.loads(expect(0, "cluster", "check", "--json", d, *extra).stdout)
            check(r["lock_hash"] == e["lock_hash"] and r["node_index"] == n["peer_index"], d)
            check(r["keystores"] == len(e["validators"]), f"{d}: keystores")
            check(expect(0, "enr", "--data-dir", d).stdout == n["enr"] + "\n", f"{d}: ENR")
    expect(1, "cluster", "check", own_files(f"{V}/golden/testnet-7x1/node0", f"{tmp}/golden"), err="signatures: fork_version")
    expect(1, "cluster", "check", "no-such-file", err="read: ")

def skeleton(v):
    """The members in their order, without values that differ between clusters."""
    if isinstance(v, dict):
        return [(k, skeleton(x)) for k, x in v.items()]
    if isinstance(v, list):
        return [skeleton(x) for x in v]
    if isinstance(v, str):
        return f"hex {len(v)}" if re.fullmatch(r"(0x)?[0-9a-fA-F]{8,}", v) else "enr" if v.startswith("enr:") else "str"
    return v if isinstance(v, bool) else type(v).__name__

def files(d):
    out = {}
    for base, dirs, names in os.walk(d):
        for n in dirs + names:
            p = os.path.join(base, n)
            out[os.path.relpath(p, d)] = stat.S_IMODE(os.stat(p).st_mode)
    return out

MODES = {"charon-enr-private-key": 0o600, "cluster-lock.json": 0o400, "validator_keys": 0o755}
def mode_of(name):
    return MODES.get(name, 0o400 if name.endswith(".txt") else 0o444)

def like_golden(d):
    """Clusters of the reference's parameters have its files, layout and modes."""
    cases = [
        ("hoodi-4x2", ["--name=golden-4x2", "--nodes=4", "--num-validators=2", "--network=hoodi", "--insecure-keys",
                       f"--fee-recipient-addresses={FEE},0x0000000000000000000000000000000000000001",
                       f"--withdrawal-addresses={TO},0x71C7656EC7ab88b098defB751B7401B5f6d8976F"], []),
        ("testnet-7x1", ["--name", "golden-7x1", "--nodes", "7", "--num-validators", "1", "--compounding", "--insecure-keys=true",
                         "--deposit-amounts=1,256,2048", "--target-gas-limit", "45000000", "--consensus-protocol", "qbft",
                         "--fee-recipient-addresses", FEE, "--withdrawal-addresses", TO, *AEQUANET], AEQUANET),
        ("hoodi-3x1-full", ["-name=golden-3x1", "-nodes", "3", "-num-validators=1", "-network=hoodi",
                            f"-fee-recipient-addresses={FEE}", f"-withdrawal-addresses={TO}"], []),
    ]
    for name, args, extra in cases:
        out = f"{d}/{name}"
        expect(0, "create", "cluster", f"--cluster-dir={out}", *args)
        golden = f"{V}/golden/{name}"
        got, want = files(out), files(golden)
        check(set(got) == set(want), f"{name}: files {sorted(set(got) ^ set(want))}")
        for f, mode in got.items():
            expected = 0o755 if re.fullmatch(r"node\d+", f) else mode_of(os.path.basename(f))
            check(mode == expected, f"{name}/{f}: mode {mode:o}, want {expected:o}")
        for f in sorted(want):
            if f.endswith(".json"):
                a, b = open(f"{out}/{f}").read(), open(f"{golden}/{f}").read()
                check(skeleton(json.loads(a)) == skeleton(json.loads(b)), f"{name}/{f}: another layout")
                check(a == json.dumps(json.loads(a), indent=1, ensure_ascii=False), f"{name}/{f}: not in the reference's form")
        nodes = len([f for f in want if re.fullmatch(r"node\d+", f)])
        for i in range(nodes):
            expect(0, "cluster", "check", f"{out}/node{i}", *extra)
        locks = {open(f"{out}/node{i}/cluster-lock.json").read() for i in range(nodes)}
        check(len(locks) == 1, f"{name}: the locks differ")

def spoiled(d):
    """One fault each in a good directory: the stage names it."""
    src = f"{d}/hoodi-4x2"
    def copy():
        shutil.rmtree(f"{d}/bad", ignore_errors=True)
        shutil.copytree(f"{src}/node0", f"{d}/bad")
        return f"{d}/bad"
    other = own_files(f"{V}/golden/hoodi-4x2/node1", f"{d}/golden")
    b = copy(); shutil.copy(f"{other}/charon-enr-private-key", b)
    expect(1, "cluster", "check", b, err="identity: ")
    b = copy(); os.remove(f"{b}/charon-enr-private-key")
    expect(1, "cluster", "check", b, err="identity: ")
    b = copy(); shutil.rmtree(f"{b}/validator_keys"); shutil.copytree(f"{src}/node1/validator_keys", f"{b}/validator_keys")
    expect(1, "cluster", "check", b, err="keystores: key 0 is the share of node 1")
    b = copy(); shutil.rmtree(f"{b}/validator_keys")
    shutil.copytree(own_files(f"{V}/golden/hoodi-4x2/node0", f"{d}/golden") + "/validator_keys", f"{b}/validator_keys")
    expect(1, "cluster", "check", b, err="is no share of this cluster")
    b = copy(); os.remove(f"{b}/validator_keys/keystore-insecure-1.json")
    expect(1, "cluster", "check", b, err="keystores: 1 keys for 2 validators")
    b = copy(); os.remove(f"{b}/validator_keys/keystore-insecure-1.txt")
    expect(1, "cluster", "check", b, err="keystores: ")
    b = copy(); shutil.rmtree(f"{b}/validator_keys")
    check("none here" in expect(0, "cluster", "check", b).stdout, "no keystores are no fault")
    b = copy(); os.chmod(f"{b}/cluster-lock.json", 0o600)
    text = open(f"{b}/cluster-lock.json").read()
    open(f"{b}/cluster-lock.json", "w").write(text.replace('"threshold": 3', '"threshold": 2'))
    expect(1, "cluster", "check", b, err="hashes: config_hash")
    open(f"{b}/cluster-lock.json", "w").write(text[:-20])
    expect(1, "cluster", "check", b, err="parse: ")

def split(d):
    """Existing keys, of the reference and of ours, keep their public keys and their order."""
    keys = own_files(f"{V}/golden/hoodi-4x2/node0", f"{d}/split-from") + "/validator_keys"
    want = [json.load(open(f"{keys}/keystore-insecure-{i}.json"))["pubkey"] for i in range(2)]
    base = ["create", "cluster", "--split-existing-keys", f"--split-keys-dir={keys}", "--nodes=4", "--network=hoodi", "--insecure-keys",
            f"--fee-recipient-addresses={FEE}"]
    expect(0, *base, f"--withdrawal-addresses={TO},0x71C7656EC7ab88b098defB751B7401B5f6d8976F", f"--cluster-dir={d}/split2")
    lock = json.load(open(f"{d}/split2/node0/cluster-lock.json"))
    check([v["distributed_public_key"][2:] for v in lock["distributed_validators"]] == want, "the order of the keys")
    for i in range(4):
        expect(0, "cluster", "check", f"{d}/split2/node{i}")
    # Any names, passwords by trial, in a tree.
    os.makedirs(f"{d}/tree/sub")
    for i in range(2):
        shutil.copy(f"{keys}/keystore-insecure-{i}.json", f"{d}/tree/{'sub/' if i else ''}validator{i}.json")
        shutil.copy(f"{keys}/keystore-insecure-{i}.txt", f"{d}/tree/password{i}.txt")
    open(f"{d}/tree/deposit_data.json", "w").write("[]")
    base[3] = f"--split-keys-dir={d}/tree"
    p = expect(0, *base, f"--withdrawal-addresses={TO}", f"--cluster-dir={d}/split1")
    check("WARNING" in p.stdout, "the warning to stop the old validators")
    lock = json.load(open(f"{d}/split1/node0/cluster-lock.json"))
    check({v["distributed_public_key"][2:] for v in lock["distributed_validators"]} == set(want), "the keys of the tree")
    expect(1, *base, f"--withdrawal-addresses={TO}", f"--cluster-dir={d}/x", "--num-validators=2", err="--num-validators")
    os.remove(f"{d}/tree/password1.txt")
    expect(1, *base, f"--withdrawal-addresses={TO}", f"--cluster-dir={d}/x", err="password")

def definition(d):
    args = ["create", "cluster", f"--cluster-dir={d}/def", "--insecure-keys"]
    expect(0, *args, f"--definition-file={V}/versions/v1_8_0-definition.json")
    expect(0, "cluster", "check", f"{d}/def/node3")
    expect(1, *args, f"--definition-file={V}/versions/v1_8_0-definition.json", err="already")
    expect(1, "create", "cluster", f"--cluster-dir={d}/x", f"--definition-file={V}/invalid/12.json", err="parse: ")
    expect(1, "create", "cluster", f"--cluster-dir={d}/x", "--definition-file=https://example.org/d", err="download")

def threshold(d):
    """What f operators could sign alone is refused wherever a cluster is met; what is unusual is said."""
    create = ["create", "cluster", "--insecure-keys", "--num-validators=1", "--network=hoodi", f"--fee-recipient-addresses={FEE}",
              f"--withdrawal-addresses={TO}"]
    p = expect(0, *create, "--nodes=7", "--threshold=3", f"--cluster-dir={d}/three")
    check("WARNING: threshold 3 of 7 where 5" in p.stdout, p.stdout)
    check("WARNING     threshold 3 of 7" in expect(0, "cluster", "check", f"{d}/three/node0").stdout, "cluster check warns")
    check("WARNING" not in expect(0, *create, "--nodes=7", f"--cluster-dir={d}/usual").stdout, "nothing is unusual")
    lock = open(f"{d}/three/node0/cluster-lock.json").read()
    os.chmod(f"{d}/three/node0/cluster-lock.json", 0o600)
    open(f"{d}/three/node0/cluster-lock.json", "w").write(lock.replace('"threshold": 3', '"threshold": 2'))
    expect(1, "cluster", "check", f"{d}/three/node0", "--no-verify", err="threshold: ")
    p = expect(1, "run", f"--data-dir={d}/three/node0", "--no-verify")
    check("could sign alone" in p.stdout + p.stderr, f"run: {p.stdout}{p.stderr}")

def refused(d):
    ok = {"nodes": "4", "num-validators": "1", "network": "hoodi", "fee-recipient-addresses": FEE, "withdrawal-addresses": TO,
          "cluster-dir": f"{d}/x"}
    def create(**kw):
        a = dict(ok, **{k.replace("_", "-"): v for k, v in kw.items()})
        return ["create", "cluster", *(f"--{k}={v}" for k, v in a.items() if v is not None)]
    for kw, err in [
        (dict(nodes=None), "--nodes"), (dict(nodes="2"), "--nodes"), (dict(nodes="33"), "--nodes"), (dict(threshold="1"), "--threshold"),
        (dict(threshold="5"), "--threshold"), (dict(nodes="7", threshold="2"), "could sign alone"), (dict(num_validators=None), "--num-validators"), (dict(network="nowhere"), "--network"),
        (dict(withdrawal_addresses=None), "--withdrawal-addresses"), (dict(fee_recipient_addresses=f"{FEE},{FEE}"), "--fee-recipient"),
        (dict(withdrawal_addresses=TO[:-1] + "b"), "checksum"), (dict(withdrawal_addresses="0x12"), "40 hex digits"),
        (dict(network="mainnet", withdrawal_addresses="0x" + "0" * 40), "zero address"), (dict(deposit_amounts="31"), "32 ETH"),
        (dict(deposit_amounts="33"), "32 ETH"), (dict(deposit_amounts="x"), "ETH"), (dict(consensus_protocol="pbft"), "--consensus-protocol"),
        (dict(target_gas_limit="0"), "--target-gas-limit"), (dict(network="mainnet", insecure_keys="true"), "--insecure-keys"),
        (dict(keymanager_addresses="http://x", keymanager_auth_tokens="t"), "--keymanager"), (dict(publish="true"), "--publish"),
        (dict(zipped="true"), "--zipped"), (dict(testnet_name="half"), "--testnet-fork-version"), (dict(split_keys_dir="x"), "--split-existing"),
    ]:
        expect(1, *create(**kw), err=err)
    check(not os.path.exists(f"{d}/x"), "a refused command leaves nothing")
    if_absent = [*create(network="hoodi", cluster_dir=f"{d}/once"), "--if-absent", "--insecure-keys"]
    expect(0, *if_absent)
    lock = open(f"{d}/once/node0/cluster-lock.json").read()
    check("there is a cluster already" in expect(0, *if_absent).stdout, "--if-absent says that it did nothing")
    check(open(f"{d}/once/node0/cluster-lock.json").read() == lock, "--if-absent left the cluster alone")
    expect(1, *if_absent[:-2], "--insecure-keys", err="there is a cluster already")

def command_line(d):
    flags = json.load(open(os.path.join(ROOT, "test", "vectors", "contract", "cli_flags.json")))
    usage = expect(0, "create", "cluster", "--help").stdout
    for f in flags:
        if any(c.split(" [")[0] == "create cluster" for c in f["commands"]):
            check(f"--{f['flag']}" in usage, f"create cluster lacks Charon's --{f['flag']}")
    for args in (["enr", "--nope"], ["enr", "x"], ["cluster", "check"], ["cluster", "check", "a", "b"], ["enr", "--data-dir"], ["no-such"],
                 ["create", "cluster", "--nodes=x"], ["create"]):
        p = expect(2, *args)
        check("usage:" in p.stderr or "--help" in p.stderr, f"{args}: no usage: {p.stderr}")
    listed = re.findall(r"^  (\S+(?: \S+)?)  +\S", expect(0, "help").stdout, re.M)
    check("create cluster" in listed, f"help: {listed}")
    for name in listed:
        check("usage: aequa " + name in expect(0, *name.split(), "--help").stdout, f"{name} --help")
        expect(0, "help", *name.split())
    check(re.match(r"v\d+\.\d+\.\d+ \[git_commit_hash=\w+,git_commit_time=\S+\]\n$", expect(0, "version").stdout), "version")
    k = f"{d}/key"
    p = expect(0, "create", "enr", f"--data-dir={k}")
    enr = re.search(r"^enr:\S+$", p.stdout, re.M)[0]
    check(expect(0, "enr", env=dict(os.environ, CHARON_DATA_DIR=k)).stdout == enr + "\n", "CHARON_DATA_DIR")
    check(expect(0, "enr", env=dict(os.environ, AEQUA_DATA_DIR=k, CHARON_DATA_DIR="/none")).stdout == enr + "\n", "AEQUA_DATA_DIR first")
    for name, text in (("charon.yaml", f"data-dir: {k}\nbeacon-node-endpoints: http://x\n"), ("charon.json", json.dumps({"data-dir": k}))):
        c = f"{d}/cwd-{name}"
        os.mkdir(c)
        open(f"{c}/{name}", "w").write(text)
        check(expect(0, "enr", cwd=c).stdout == enr + "\n", name)
        check(f"{name} of the current directory sets data-dir" in expect(0, "enr", cwd=c).stderr, f"{name} is announced")
        os.mkfifo(f"{c}/charon.toml") if name == "charon.yaml" else None  # comes first, and never ends
        if name == "charon.yaml":
            p = expect(1, "enr", cwd=c, err="charon.toml: is a pipe")
            check("charon.yaml is not read" in p.stderr, f"the file that is passed over is named: {p.stderr}")
            os.remove(f"{c}/charon.toml")
        open(f"{c}/{name}", "w").write("{[")
        expect(1, "enr", cwd=c, err=name)
    expect(1, "create", "enr", f"--data-dir={k}", err="not replaced")
    check("current directory" not in expect(0, "enr", f"--data-dir={k}", cwd=d).stderr, "no file, no line")

def wrong_files(d):
    """What others can read is no secret, and what never ends is no file, whichever command meets it."""
    src = f"{d}/hoodi-4x2/node0"
    def copy():
        shutil.rmtree(f"{d}/wrong", ignore_errors=True)
        shutil.copytree(src, f"{d}/wrong")
        return f"{d}/wrong"
    w = copy(); key = f"{w}/charon-enr-private-key"; os.chmod(key, 0o640)
    for args in (["cluster", "check", w], ["enr", "--data-dir", w]):
        expect(1, *args, err=f"others can use this secret (mode 0640): chmod 600 {key}")
    p = expect(1, "run", "--data-dir", w)
    check(f"chmod 600 {key}" in p.stdout, f"run: {p.stdout}")
    os.chmod(key, 0o600)
    expect(0, "cluster", "check", w)
    password = f"{w}/validator_keys/keystore-insecure-0.txt"; os.chmod(password, 0o444)
    expect(1, "cluster", "check", w, err=f"chmod 600 {password}")
    expect(1, "validator", f"--keys-dir={w}/validator_keys", f"--data-dir={w}", err=f"chmod 600 {password}")
    expect(1, "create", "cluster", "--split-existing-keys", f"--split-keys-dir={w}/validator_keys", "--nodes=4", "--network=hoodi",
           f"--fee-recipient-addresses={FEE}", f"--withdrawal-addresses={TO}", f"--cluster-dir={d}/x", "--insecure-keys", err=f"chmod 600 {password}")
    for name, args in (("charon-enr-private-key", ["cluster", "check"]), ("cluster-lock.json", ["cluster", "check"]),
                       ("validator_keys/keystore-insecure-1.json", ["cluster", "check"]), ("validator_keys/keystore-insecure-1.txt", ["cluster", "check"])):
        for make, what in ((os.mkfifo, "a pipe"), (os.mkdir, "a directory"), (lambda x: os.symlink("/dev/zero", x), "a device")):
            w = copy(); os.remove(f"{w}/{name}"); make(f"{w}/{name}")
            expect(1, *args, w, err=f"{name}: is {what}, not a file", timeout=20)
    w = copy(); os.mkfifo(f"{w}/pipe")
    p = expect(1, "run", "--data-dir", w, f"--p2p-peers={w}/pipe", err="is a pipe", timeout=20)
    expect(1, "beacon", f"--pubkeys-file={w}/pipe", err="is a pipe", timeout=20)
    expect(1, "create", "cluster", f"--definition-file={w}/pipe", f"--cluster-dir={d}/x", err="is a pipe", timeout=20)
    expect(1, "store", "import", f"--store={w}/validator.db", f"{w}/pipe", err="is a pipe", timeout=20)
    os.mkfifo(f"{w}/aequa.db")
    for command in ("check", "dump", "export"):
        expect(1, "store", command, "--data-dir", w, timeout=20)
    p = expect(1, "run", "--data-dir", w, timeout=20)
    check("aequa.db: it and its -wal, -shm and -journal must be files" in p.stdout, f"run with a pipe for a store: {p.stdout}")

def read_only(d):
    """Secrets that a container mounts have modes that nobody can change: a warning, not a refusal."""
    w = f"{d}/mounted"; shutil.copytree(f"{d}/hoodi-4x2/node0", w)
    os.chmod(f"{w}/charon-enr-private-key", 0o444); os.chmod(f"{w}/validator_keys/keystore-insecure-0.txt", 0o440)
    script = f'mount --bind "{w}" "{w}" && mount -o remount,bind,ro "{w}" && exec "{AEQUA}" cluster check "{w}"'
    p = subprocess.run(["unshare", "--mount", "--map-root-user", "sh", "-c", script], capture_output=True, text=True, timeout=60)
    if "mount" in p.stderr or "unshare" in p.stderr:
        print("not tried, no mounts here:", p.stderr.strip())
        return
    check(p.returncode == 0 and "is valid" in p.stdout, f"a read-only mount of secrets: {p.stdout} {p.stderr}")
    check(p.stdout.count('"msg":"secret_mode"') == 2 and '"level":"warn"' in p.stdout, f"one warning a file: {p.stdout}")

with workdir("cluster") as d:
    os.umask(0o022)
    vectors(d)
    like_golden(d)
    spoiled(d)
    split(d)
    definition(d)
    threshold(d)
    refused(d)
    command_line(d)
    wrong_files(d)
    read_only(d)
print("ok")
