"""What the end-to-end tests share: the program under test, temporary directories, checks that name what failed."""
import contextlib, json, os, shutil, subprocess, sys, tempfile, time, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AEQUA = os.environ.get("AEQUA", os.path.join(ROOT, "build", "release", "bin", "aequa"))
SKIP = 77

def skip(why):
    print("skipped:", why)
    sys.exit(SKIP)

def check(ok, what):
    if not ok:
        print("FAILED:", what)
        sys.exit(1)

@contextlib.contextmanager
def workdir(name):
    path = tempfile.mkdtemp(prefix=f"aequa-{name}-")
    try:
        yield path
    except BaseException:
        print("left for a look:", path)
        raise
    else:
        shutil.rmtree(path, ignore_errors=True)

def run(*args, timeout=120, **kw):
    return subprocess.run([AEQUA, *args], capture_output=True, text=True, timeout=timeout, **kw)

def get_json(url, timeout=2):
    with urllib.request.urlopen(url, timeout=timeout) as r:
        return json.load(r)

def wait_for(what, seconds, fn):
    """Asks fn until it gives something true; fails the test at the deadline."""
    end = time.monotonic() + seconds
    last = None
    while time.monotonic() < end:
        try:
            value = fn()
            if value:
                return value
        except Exception as e:  # not there yet
            last = e
        time.sleep(0.1)
    check(False, f"waited {seconds} s for {what} ({last})")

def free_ports(count):
    import socket
    socks = [socket.socket() for _ in range(count)]
    for s in socks:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports

class Procs:
    """Children that end with the test; their output goes to files."""
    def __init__(self, directory):
        self.dir, self.all = directory, {}
    def start(self, name, argv, cwd=None, env=None):
        log = open(os.path.join(self.dir, name + ".log"), "ab")
        self.all[name] = subprocess.Popen(argv, stdout=log, stderr=log, cwd=cwd, env=env)
        return self.all[name]
    def log(self, name):
        return open(os.path.join(self.dir, name + ".log"), errors="replace").read()
    def stop(self):
        for sig in ("terminate", "terminate", "kill"):  # one real peer wants two
            alive = [p for p in self.all.values() if p.poll() is None]
            for p in alive:
                getattr(p, sig)()
            end = time.monotonic() + 3
            while any(p.poll() is None for p in alive) and time.monotonic() < end:
                time.sleep(0.05)
    def __enter__(self):
        return self
    def __exit__(self, *exc):
        self.stop()
