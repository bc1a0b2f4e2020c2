"""Goal: no text of a command names a flag that the command does not have.
Method: every string of the sources that holds a flag, against the usage texts of all commands that can print it. A file of src/cmd belongs to
the commands that it defines; what lower layers name stands in REACH with the commands that get there: a new one must be entered."""
import re
from common import *

STORE_MOVES = ["store export", "store import"]
STORE = ["store check", "store dump", *STORE_MOVES]
REACH = {
    "src/adapter/sqlite_open.c --accept-empty-store": ["run", "validator", "store import"],
    "src/adapter/sqlite_open.c --data-dir": STORE,
    "src/adapter/sqlite_open.c --store": STORE,
    "src/adapter/sqlite_chain.c --genesis-validators-root": ["store import"],  # where the text sends to
    "src/adapter/sqlite_chain.c --beacon-node-endpoints": ["store import"],
    "src/adapter/interchange.c --genesis-validators-root": ["store import"],
    "src/adapter/interchange.c --beacon-node-endpoints": ["store import"],
    "src/adapter/interchange.c --force": ["store import"],
    "src/adapter/interchange.c --keys": ["store import"],
    "src/adapter/sandbox.c --no-sandbox": ["run", "validator", "beacon"],
    "src/cluster/lock_verify.c --no-verify": ["run"],  # whose start it is about
    "src/cluster/lock_verify.c --execution-client-rpc-endpoint": ["run", "create cluster"],
    "src/http/http_fault.c --beacon-node-ca": ["run", "validator", *STORE_MOVES],
    "src/adapter/ca.c --beacon-node-ca": ["run", "validator", *STORE_MOVES],
    "src/cluster/lock_verify.c --testnet-*": ["run", "cluster check", "create cluster", "beacon"],
    "src/cluster/create.c --cluster-dir": ["create cluster"],
    "src/flow/judge.c --builder-api": ["run"],
    "src/node/ready.c --beacon-node-endpoints": ["run"],
    "src/cmd/endpoints.c --p2p-external-ip": ["run"],
    "src/cmd/endpoints.c --p2p-external-hostname": ["run"],
    "src/cmd/endpoints.c --p2p-tcp-address": ["run"],
    "src/node/node.c --p2p-tcp-address": ["run"],
    "src/node/node.c --monitoring": ["run"],
    "src/node/node.c --validator-api": ["run"],
    "src/lab/throwaway.c --data-dir": ["run"],
    "src/lab/testnet.c --dir": ["testnet"],
    "src/lab/testnet_ready.c --start-timeout": ["testnet"],
}
SHARED = {"src/cmd/store_scope.c": STORE_MOVES, "src/cmd/network.c": ["run", "cluster check", "create cluster", "beacon", *STORE_MOVES]}
CHILDREN = {"src/lab/testnet.c": r"--\S+"}  # command lines of the processes that it starts: the text is one word

def flags_of(command):
    p = run(*command.split(), "--help")
    check(p.returncode == 0, f"{command} --help")
    return set(re.findall(r"^  (--[a-z0-9.-]+)", p.stdout, re.M))

def literals(path):
    """Adjacent strings of a source as one text each."""
    text = re.sub(r"/\*.*?\*/", "", open(path).read(), flags=re.S)
    for m in re.finditer(r'"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*', text):
        yield "".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', m[0]))

commands = re.findall(r"^  (\S+(?: \S+)?)  +\S", run("help").stdout, re.M)
flags = {c: flags_of(c) for c in commands}
check(len(flags["validator"]) >= 5 and "--accept-empty-store" in flags["validator"], f"{flags['validator']}")
seen, wrong = set(), []
for base, _, names in os.walk(os.path.join(ROOT, "src")):
    for name in sorted(names):
        if not name.endswith(".c") or name.endswith(("_test.c", "_fuzz.c")):
            continue
        path = os.path.join(base, name)
        rel = os.path.relpath(path, ROOT)
        source = open(path).read()
        own = [c for c in re.findall(r'\.name = "([a-z ]+)",\s*\.summary', source) if c in flags] or SHARED.get(rel, [])
        for text in literals(path):
            if rel in CHILDREN and re.fullmatch(CHILDREN[rel], text):
                continue
            for flag in re.findall(r"--[a-z][a-z0-9.-]*[a-z0-9](?:-\*)?", text):
                key = f"{rel} {flag}"
                reach = REACH.get(key, own)
                if flag in ("--help", "--version"):
                    continue
                if not reach:
                    wrong.append(f"{key}: which commands can print \"{text[:60]}\"? Enter it in REACH")
                seen.add(key)
                # A file of several commands: the text is of one of them, which has it.
                have = [c for c in reach if flag in flags[c] or flag.endswith("*") and any(f.startswith(flag[:-1]) for f in flags[c])]
                if not have or (key in REACH or rel in SHARED) and len(have) < len(reach):
                    wrong.append(f"{key}: not a flag of {sorted(set(reach) - set(have))}: \"{text[:60]}\"")
wrong += [f"REACH has {k}, which no text names" for k in sorted(set(REACH) - seen)]
check(not wrong, "\n  " + "\n  ".join(wrong))
print(f"{len(seen)} flags in texts, each of a command that has it")
