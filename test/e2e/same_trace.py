"""Goal: a seed is the whole of a simulated run: the same trace to the byte, whatever the compiler, its options and the run.
Method: the trace hashes of some seeds, from this build (sanitizers) and from the release build, twice."""
import json, os, subprocess
from common import check

BUILD = os.environ["AQ_BUILD"]
RELEASE = os.environ.get("AEQUA_SIM", os.path.join(BUILD, "bin", "aequa-sim"))

def hash_of(binary, *args):
    p = subprocess.run([binary, "cluster", "--json", "--seeds", "3", *args], capture_output=True, text=True, timeout=300)
    check(p.returncode == 0, f"{binary} {args}: status {p.returncode}: {p.stderr[-500:]}")
    return json.loads(p.stdout)["hash"]

for args in (["--start", "7"], ["--start", "11", "--wire"]):
    here, there, again = hash_of(os.path.join(BUILD, "bin", "aequa-sim"), *args), hash_of(RELEASE, *args), hash_of(RELEASE, *args)
    check(here == there == again, f"{args}: three runs, traces {here}, {there}, {again}")
print("same traces")
