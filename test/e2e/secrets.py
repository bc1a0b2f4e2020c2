"""Goal: a live process holds a secret only where it must: the node its identity key in one guarded page and nothing of the shares or their
passwords, the validator client each share in guarded pages and no password, `create cluster` nothing once it is done.
Method: real processes with secrets that the test reads from the files; every readable mapping of /proc/PID/mem is searched for each secret:
raw, reversed, in Montgomery form (limbs of the libraries), hex of both cases, decimal. A scan sees a signature being made, too: what is
found counts when it is still there at the third look. `create cluster` is held at its very end by a full pipe, after it freed everything."""
import fcntl, os, re, subprocess, time
from common import AEQUA, Procs, check, network_flags, share_key, skip, wait_for, workdir

NODES, THRESHOLD, VALIDATORS = 4, 3, 2
ORDER = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001
FORK_VERSION, CAPELLA_VERSION = "0x50000038", "0x53000038"  # of `aequa testnet`
PAGE = os.sysconf("SC_PAGE_SIZE")

# ---- the secrets, from the files ----

def interpolate(shares):
    """The group secret of {index: share}, at 0."""
    out = 0
    for i, y in shares.items():
        num = den = 1
        for j in shares:
            if j != i:
                num, den = num * j % ORDER, den * (j - i) % ORDER
        out = (out + y * num * pow(den, -1, ORDER)) % ORDER
    return out.to_bytes(32, "big")

def forms(name, secret, bls=False):
    """{name of a form: bytes}"""
    number = int.from_bytes(secret, "big")
    out = {"raw": secret, "reversed": secret[::-1], "hex": secret.hex().encode(), "HEX": secret.hex().upper().encode(),
           "decimal": str(number).encode()}
    if bls:
        out["Montgomery"] = (number * (1 << 256) % ORDER).to_bytes(32, "little")
    return {f"{name}, {form}": b for form, b in out.items()}

def read_secrets(directory):
    """identity[i], share[i][v], password[i][v], group[v]"""
    identity, share, password = [], [], []
    for i in range(NODES):
        node = os.path.join(directory, f"node{i}")
        identity.append(bytes.fromhex(open(os.path.join(node, "charon-enr-private-key")).read().strip()))
        names = [os.path.join(node, "validator_keys", f"keystore-insecure-{v}") for v in range(VALIDATORS)]
        password.append([open(n + ".txt", "rb").read().strip() for n in names])
        share.append([share_key(n + ".json", p) for n, p in zip(names, password[-1])])
    group = [interpolate({i + 1: int.from_bytes(share[i][v], "big") for i in range(THRESHOLD)}) for v in range(VALIDATORS)]
    again = [interpolate({i + 1: int.from_bytes(share[i][v], "big") for i in range(1, NODES)}) for v in range(VALIDATORS)]
    check(group == again, "the shares do not agree on the group secret")
    return identity, share, password, group

# ---- looking into a process ----

def mappings(pid):
    """(from, to, mode, name, flags) of all that can be read."""
    out = []
    for line in open(f"/proc/{pid}/smaps"):
        m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line)
        if m:
            out.append([int(m[1], 16), int(m[2], 16), m[3], m[4], set()])
        elif line.startswith("VmFlags:"):
            out[-1][4] = set(line.split()[1:])
    return [m for m in out if m[2][0] == "r" and m[1] - m[0] < 1 << 30]  # larger: a sanitizer's shadow

def look(pid, needles):
    """{(name, address): mapping} of all needles; mappings overlap by nothing, as no secret spans two."""
    found = {}
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for m in mappings(pid):
            try:
                mem.seek(m[0])
                text = mem.read(m[1] - m[0])
            except (OSError, ValueError):  # a device, or gone meanwhile
                continue
            for name, needle in needles.items():
                at = text.find(needle)
                while at >= 0:
                    found[name, m[0] + at] = m
                    at = text.find(needle, at + 1)
    return found

def scan(pid, needles):
    first = look(pid, needles)
    for _ in range(2):
        if not first:
            break
        again = look(pid, needles)
        first = {k: m for k, m in again.items() if k in first}
    return first

def guarded(m, pid):
    """A small mapping of its own that stays out of core dumps, and out of swap where the limit allows it."""
    limit = re.search(r"Max locked memory +(\S+)", open(f"/proc/{pid}/limits").read())[1]
    locked = limit != "unlimited" and int(limit) < 64 * PAGE or "lo" in m[4]
    return m[3] == "" and m[1] - m[0] <= 4 * PAGE and "dd" in m[4] and locked

def only_guarded(who, pid, found, allowed):
    """found: from scan. allowed: names that lie in guarded memory, once each."""
    for (name, at), m in found.items():
        where = f"{name} at {at:x} in {m[2]} {m[3] or 'anonymous'} of {(m[1] - m[0]) // 1024} KiB"
        check(name in allowed, f"{who} holds {where}")
        check(guarded(m, pid), f"{who} holds {where}: not guarded ({' '.join(sorted(m[4]))})")
        check(m[2] == "r--p", f"{who} holds {where}: can be written")
    for name in allowed:
        count = sum(n == name for n, _ in found)
        check(count == 1, f"{who} holds {name} {count} times, wanted once: the search sees too little or there is a copy")

def no_core(who, pid):
    limit = re.search(r"Max core file size +(\S+) +(\S+)", open(f"/proc/{pid}/limits").read())
    check(limit[1] == limit[2] == "0", f"{who} may dump core: {limit[0]}")

# ---- the processes ----

def full_pipe():
    r, w = os.pipe()
    fcntl.fcntl(w, fcntl.F_SETFL, os.O_NONBLOCK)
    try:
        while True:
            os.write(w, b"x" * 4096)
    except BlockingIOError:
        fcntl.fcntl(w, fcntl.F_SETFL, 0)
    return r, w

def create(directory, network):
    """`create cluster`, searched while it waits to write its last words."""
    r, w = full_pipe()
    p = subprocess.Popen([AEQUA, "create", "cluster", f"--nodes={NODES}", f"--num-validators={VALIDATORS}", f"--cluster-dir={directory}",
                          "--name=secrets", "--insecure-keys", "--fee-recipient-addresses=0x00000000000000000000000000000000000000aa",
                          "--withdrawal-addresses=0x00000000000000000000000000000000000000bb", *network], stdout=w)
    os.close(w)
    try:
        wait_for("the last words of create cluster", 60, lambda: p.poll() is not None or re.match(
            r"(1|64) 0x1 ", open(f"/proc/{p.pid}/syscall").read()))
        check(p.poll() is None, f"create cluster: exit status {p.returncode}")
        identity, share, password, group = secrets = read_secrets(directory)
        needles = {}
        for i in range(NODES):
            needles.update(forms(f"identity {i}", identity[i]))
            for v in range(VALIDATORS):
                needles.update(forms(f"share {i}.{v}", share[i][v], True))
                needles[f"password {i}.{v}"] = password[i][v]
        for v in range(VALIDATORS):
            needles.update(forms(f"group secret {v}", group[v], True))
        found = scan(p.pid, needles)
        check(not found, f"create cluster left {sorted(found)}")
        no_core("create cluster", p.pid)
        print("create cluster: nothing left of", len(needles), "forms")
    finally:
        os.close(r)
        p.kill()
        p.wait()
    return secrets

def children(pid):
    """{first arguments: pid}"""
    out = {}
    for child in open(f"/proc/{pid}/task/{pid}/children").read().split():
        argv = open(f"/proc/{child}/cmdline", "rb").read().decode().split("\0")
        out[" ".join([argv[1]] + [a for a in argv if re.search("node0/", a)][:1])] = int(child)
    return out

def pid_of(kids, command):
    pids = [pid for name, pid in kids.items() if name.startswith(command + " ") and "node0/" in name]
    check(len(pids) == 1, f"{command} of node 0 among {sorted(kids)}")
    return pids[0]

def look_at_all(testnet, secrets):
    """Node 0, its validator client and the harness, each for all that is node 0's."""
    identity, share, password = [x[0] for x in secrets[:3]]
    group = secrets[3]
    needles = forms("identity", identity)
    for v in range(VALIDATORS):
        needles.update(forms(f"share {v}", share[v], True))
        needles.update(forms(f"group secret {v}", group[v], True))
        needles[f"password {v}"] = password[v]
        needles[f"password {v}, bytes"] = bytes.fromhex(password[v].decode())
    kids = children(testnet.pid)
    allowed = {"node": ["identity, raw"], "validator client": [f"share {v}, raw" for v in range(VALIDATORS)], "testnet": []}
    processes = {"node": pid_of(kids, "run"), "validator client": pid_of(kids, "validator"), "testnet": testnet.pid}
    for who, pid in processes.items():
        only_guarded(who, pid, scan(pid, needles), allowed[who])
        no_core(who, pid)
        print(f"{who}: {', '.join(allowed[who]) or 'nothing'}, of {len(needles)} forms")

def may_look():
    caps = re.search(r"CapEff:\s*(\S+)", open("/proc/self/status").read())[1]
    return bool(int(caps, 16) >> 19 & 1)

def main():
    if subprocess.run(["openssl", "version"], capture_output=True).returncode != 0:
        skip("openssl is not installed")
    if not may_look():
        skip("without CAP_SYS_PTRACE the memory of a process that is not dumpable cannot be read")
    with workdir("secrets") as d, Procs(d) as procs:
        network = network_flags("aequa-sim", FORK_VERSION, 1337, CAPELLA_VERSION, int(time.time()))
        secrets = create(os.path.join(d, "net"), network)
        testnet = procs.start("testnet", [AEQUA, "testnet", f"--nodes={NODES}", f"--cluster-dir={d}/net", f"--dir={d}/run", "--slot-time=500ms",
                                          f"--validators={VALIDATORS}"])
        done = re.compile(r'"msg":"duty".*"result":"ok"')
        wait_for("duties", 300, lambda: len(done.findall(open(f"{d}/run/node0.log").read())) >= 3)
        look_at_all(testnet, secrets)
    print("ok")

main()
