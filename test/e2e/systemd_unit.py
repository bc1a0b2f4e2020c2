"""Goal: the unit file is right, strict, and agrees with the limits that the program sets itself.
Method: systemd-analyze checks it and gives its score; its lists are held against those of src/adapter/sandbox.c. With the argument
`boot` (as root, with systemd-nspawn) a systemd is started over a copy-on-write view of this machine, without network, and runs it."""
import re, shutil, subprocess, sys, time
from common import *

UNIT = os.path.join(ROOT, "deploy", "systemd", "aequa.service")
EXPOSURE_MAX = 1.5  # of 10; 1.1 with systemd 252

def values(unit, key):
    return [l.split("=", 1)[1].strip() for l in unit.splitlines() if l.startswith(key + "=")]

def analyze(*args):
    return subprocess.run(["systemd-analyze", *args], capture_output=True, text=True, timeout=60)

def verify(unit):
    with workdir("unit") as d:
        path = os.path.join(d, "aequa.service")
        open(path, "w").write(unit.replace("/usr/local/bin/aequa", shutil.which("true")))  # it must exist here
        p = analyze("verify", "--man=no", path)
        own = [l for l in p.stderr.splitlines() if "aequa" in l]
        check(p.returncode == 0 and not own, f"systemd-analyze verify: {p.stderr}")
        p = analyze("security", "--offline=true", "--no-pager", path)
    m = re.search(r"Overall exposure level for .*: ([0-9.]+)", p.stdout)
    check(m and float(m.group(1)) <= EXPOSURE_MAX, f"exposure over {EXPOSURE_MAX}: {p.stdout[-300:]} {p.stderr}")
    print("exposure", m.group(1))

def members(word):
    """The calls of a set, sets in it included."""
    if not word.startswith("@"):
        return {word}
    out = set()
    for line in analyze("syscall-filter", "--no-pager", word).stdout.splitlines():
        name = line.strip()
        if line.startswith(" ") and name and not name.startswith("#"):
            out |= members(name)
    check(out, f"{word} has no calls")
    return out

def agree(unit):
    source = open(os.path.join(ROOT, "src", "adapter", "sandbox.c")).read()
    families = set(re.findall(r'SOCKET\("socket", (AF_\w+)', source))
    check(families and set(values(unit, "RestrictAddressFamilies")[0].split()) == families, f"address families: the program has {families}")
    first, *rest = values(unit, "SystemCallFilter")
    may = set().union(*map(members, first.split()))
    for line in rest:
        check(line.startswith("~"), f"SystemCallFilter={line}")
        for word in line[1:].split():
            may -= members(word)
    known = members("@known")
    table = source[source.index("allowed[] = {"):]
    names = set(" ".join(re.findall(r'"([a-z0-9_ ]+)"', table[:table.index("};")])).split())
    names |= set(re.findall(r'(?:ONE|SOCKET)\("(\w+)"', source)) | {"seccomp"}
    # SQLite changes owners as root only, which the unit is not.
    lacking = {n for n in names if n in known and n not in may} - {"fchown"}
    check(len(names) > 100 and not lacking, f"the program needs calls that the unit refuses: {sorted(lacking)}")
    check(values(unit, "SystemCallErrorNumber") == ["EPERM"], "a call that the unit does not list would end the node")
    print(f"{len(names)} calls of the program are among the {len(may)} of the unit")

# ---- a real systemd ----

CHECK = """#!/bin/sh
exec > /aequa-test/result 2>&1
useradd --system aequa
install -m 755 /aequa-test/aequa /usr/local/bin/aequa
mkdir -p /etc/aequa /var/lib/aequa
cp /aequa-test/aequa.env /etc/aequa/
cp -r /aequa-test/node0/. /var/lib/aequa/
chown -R aequa:aequa /var/lib/aequa
ip link set lo up
systemctl start aequa-sim aequa aequa-vc
for i in $(seq 600); do
  grep -q '"duty":"proposer".*"result":"ok"' /aequa-test/log 2>/dev/null && break
  journalctl -u aequa -o cat --no-pager > /aequa-test/log
  sleep 0.1
done
pid=$(systemctl show -p MainPID --value aequa)
echo uid $(stat -c %U /var/lib/aequa/aequa.db)
for t in /proc/$pid/task/*; do echo thread $(grep -h '^Seccomp:' $t/status); done
systemctl stop aequa
systemctl show -p Result -p ExecMainStatus -p NRestarts aequa
journalctl -u aequa -o cat --no-pager > /aequa-test/log
systemctl poweroff --force
"""
SIM = "[Service]\nExecStart=/aequa-test/aequa beacon --lock-file=/aequa-test/node0/cluster-lock.json --slot-time=1s {flags}\n"
VC = ("[Service]\nExecStart=/aequa-test/aequa validator --keys-dir=/aequa-test/node0/validator_keys --data-dir=/aequa-test\n"
      "Restart=on-failure\n")
RUNNER = "[Unit]\nAfter=basic.target\n[Service]\nType=oneshot\nExecStart=/aequa-test/check\n"
TARGET = "[Unit]\nRequires=basic.target\nWants=aequa-test.service\nAllowIsolate=yes\n"

def stage(d, unit):
    genesis = int(time.time()) + 1
    network = network_flags("unit", "0x50000040", 1337, "0x53000040", genesis)
    p = run("create", "cluster", "--nodes=1", "--num-validators=1", f"--cluster-dir={d}", "--name=unit", "--insecure-keys",
            f"--fee-recipient-addresses=0x{1:040x}", f"--withdrawal-addresses=0x{2:040x}", *network)
    check(p.returncode == 0, p.stderr)
    shutil.copy(AEQUA, d + "/aequa")
    env = dict(f[2:].split("=", 1) for f in network) | {"beacon-node-endpoints": "http://localhost:5052", "enable-tss": "true",
                                                        "p2p-peers": "peer.invalid:3610"}
    open(d + "/aequa.env", "w").write("".join(f"AEQUA_{k.upper().replace('-', '_')}={v}\n" for k, v in env.items()))
    open(d + "/check", "w").write(CHECK)
    os.chmod(d + "/check", 0o755)
    os.chmod(d, 0o755)
    flags = " ".join([f"--genesis-time={genesis}", "--slots-per-epoch=8", *network])
    return {"aequa.service": unit, "aequa-sim.service": SIM.format(flags=flags), "aequa-vc.service": VC, "aequa-test.service": RUNNER,
            "aequa-test.target": TARGET}

def boot(unit):
    if os.geteuid() != 0 or not shutil.which("systemd-nspawn"):
        skip("a systemd can be started by root only, with systemd-nspawn")
    with workdir("boot") as d:
        os.makedirs(d + "/stage")
        os.makedirs(d + "/over")
        os.makedirs(d + "/tree")
        units = stage(d + "/stage", unit)
        mounts = []
        try:
            for args in (["-t", "tmpfs", "tmpfs", d + "/over"], ["-t", "overlay", "overlay", "-o",
                         f"lowerdir=/,upperdir={d}/over/up,workdir={d}/over/work", d + "/tree"]):
                if subprocess.run(["mount", *args], capture_output=True).returncode != 0:
                    skip(f"no {args[1]} can be mounted")
                mounts.append(args[-1])
                os.makedirs(d + "/over/up", exist_ok=True)
                os.makedirs(d + "/over/work", exist_ok=True)
            for name, text in units.items():
                open(f"{d}/tree/etc/systemd/system/{name}", "w").write(text)
            shutil.rmtree(d + "/tree/var/lib/aequa", ignore_errors=True)
            p = subprocess.run(["systemd-nspawn", "-q", "--register=no", "--keep-unit", "-D", d + "/tree", "--console=pipe",
                                "--private-network", f"--bind={d}/stage:/aequa-test", "-b", "systemd.unit=aequa-test.target"],
                               stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180)
        finally:
            for m in reversed(mounts):
                subprocess.run(["umount", m])
        if not os.path.exists(d + "/stage/result"):
            skip(f"systemd does not start here: {(p.stdout + p.stderr)[-300:]}")
        result, log = (open(f"{d}/stage/{f}").read() for f in ("result", "log"))
    seccomp = [l.split()[-1] for l in result.splitlines() if l.startswith("thread ")]
    check(len(seccomp) >= 3 and set(seccomp) == {"2"}, f"threads: {result}")
    for want in ("uid aequa", "Result=success", "ExecMainStatus=0", "NRestarts=0"):
        check(want in result, f"no {want}: {result} {log[-1000:]}")
    check('"msg":"sandbox","result":"ok"' in log, f"the program's own limits: {log[-1000:]}")
    check('"duty":"proposer"' in log and '"result":"ok","slot"' in log, f"no duty was done: {log[-2000:]}")
    print("a real systemd ran it: duties done, stopped well")

if not shutil.which("systemd-analyze"):
    skip("systemd-analyze is not installed")
text = open(UNIT).read()
if "--offline" not in analyze("--help").stdout:
    skip("this systemd-analyze cannot judge a file")
verify(text)
agree(text)
if sys.argv[1:] == ["boot"]:
    boot(text)
