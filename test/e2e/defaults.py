"""Goal: on a new machine the commands start with what is there, and a health check finds its node.
Method: a node of no cluster with words as people write them; the built-in client in empty folders, with keys in each place where they may
lie; a node as the first process of a process namespace, asked from inside it."""
import os, shutil, signal, subprocess
from common import *

KEYS = os.path.join(ROOT, "test", "vectors", "cluster", "golden", "hoodi-4x2", "node0", "validator_keys")

def words(d):
    """Booleans with a word behind them, and a word too many: the node starts and says what it makes of them."""
    api, monitor = free_ports(2)
    with open(f"{d}/words.log", "w+") as log:
        p = subprocess.Popen([AEQUA, "run", "--builder-api", "true", "--private-key-file-lock", "false", "extra\n", "--validator-api",
                              f"127.0.0.1:{api}", f"--monitoring=127.0.0.1:{monitor}"], cwd=d, stdout=subprocess.DEVNULL, stderr=log)
        ask = lambda *args, **kw: run("health", *args, cwd=d, **kw).returncode
        wait_for("health", 30, lambda: ask(f"--validator-api=127.0.0.1:{api}") == 0)
        env = dict(os.environ, CHARON_VALIDATOR_API_ADDRESS=f"127.0.0.1:{api}")
        check(ask(env=env) == 0, "health by a variable")
        open(f"{d}/charon.toml", "w").write(f'validator-api-address = "0.0.0.0:{api}"\n')
        check(ask() == 0, "health by a configuration file")
        os.remove(f"{d}/charon.toml")
        check(ask(f"--validator-api=127.0.0.1:{monitor + 1}", env=env) == 1, "a flag goes before a variable")
        p.send_signal(signal.SIGTERM)
        check(p.wait(10) == 0, f"exit {p.returncode}")
        log.seek(0)
        said = log.read()
    check('aequa: "--private-key-file-lock false" is taken as --private-key-file-lock=false\n' in said, said)
    check('aequa: the word "extra?" is not used\n' in said and "--builder-api" not in said, said)

def client(d):
    p = run("validator", cwd=d)
    check(p.returncode == 1 and p.stderr.count("\n") == 1, f"one line: {p.stderr}")
    check(".charon/validator_keys" in p.stderr and "--keys-dir" in p.stderr, p.stderr)
    for place in (".charon", ".aequa"):
        home = f"{d}/client{place}"
        os.makedirs(f"{home}/{place}")
        own_files(KEYS, f"{home}/{place}/validator_keys")
        with open(f"{home}.log", "w+") as log:
            p = subprocess.Popen([AEQUA, "validator"], cwd=home, stdout=log, stderr=log)
            wait_for("the client", 30, lambda: '"msg":"beacon_node_wait"' in open(f"{home}.log").read())
            p.send_signal(signal.SIGTERM)
            check(p.wait(10) == 0, f"exit {p.returncode}")
        check(os.path.exists(f"{home}/.aequa/validator.db") or os.access("/data", os.W_OK), "its database")

def first_process(d):
    """As in a container: the node is process 1, the check has its environment and none of its flags."""
    new = ["unshare", "--pid", "--fork", "--mount-proc", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    if subprocess.run([*new, "true"], capture_output=True).returncode != 0:
        print("no process namespaces here: that health check is left out")
        return
    api, monitor = free_ports(2)
    link = f"{d}/dvt-node"  # the name of the program there
    os.symlink(os.path.abspath(AEQUA), link)
    p = subprocess.Popen([*new, "--kill-child", link, f"--validator-api=127.0.0.1:{api}", "--monitoring", f"127.0.0.1:{monitor}"], cwd=d,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        child = lambda: open(f"/proc/{p.pid}/task/{p.pid}/children").read().split()[0]
        pid = wait_for("the node", 10, child)
        enter = ["nsenter", f"--target={pid}", "--pid", "--mount", *([] if os.geteuid() == 0 else ["--user", "--preserve-credentials"])]
        ask = lambda *args: subprocess.run([*enter, os.path.abspath(AEQUA), "health", *args], capture_output=True, text=True)
        wait_for("health from inside", 30, lambda: ask().returncode == 0)
        check(ask(f"--validator-api=127.0.0.1:{monitor + 1}").returncode == 1, "the own flag goes first")
        check(run("health", cwd=d, env=dict(os.environ, CHARON_VALIDATOR_API_ADDRESS=f"127.0.0.1:{monitor + 1}")).returncode == 1, "outside")
    finally:
        p.kill()
        p.wait(10)

with workdir("defaults") as d:
    words(d)
    client(d)
    first_process(d)
print("ok")
