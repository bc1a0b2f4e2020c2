#!/usr/bin/env bash
# Measures the threshold signature operations and records a baseline: prints a table and writes tss_bench_baseline.txt into the current
# folder. Each line: name and processors, iterations, ns/op, then the 50th and 95th percentile over at least five repeats.
# usage: tss_bench.sh [--quick]    (AEQUA_BENCH=/path/to/aequa-bench to measure that one instead of building)
set -euo pipefail
root=$(cd "$(dirname "$0")/../../.." && pwd)
out=tss_bench_baseline.txt
quick=()
case ${1:-} in
  "") ;;
  --quick) quick=(--quick) ;;
  *) echo "usage: $0 [--quick]" >&2; exit 2 ;;
esac
bench=${AEQUA_BENCH:-$root/build/release/bin/aequa-bench}
if [ -z "${AEQUA_BENCH:-}" ]; then "$root/dev" build release aequa-bench >&2; fi
[ -x "$bench" ] || { echo "$bench is not there" >&2; exit 1; }

cpu=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -1)
{
  echo "# $(date -u +%Y-%m-%dT%H:%M:%SZ) aequa $(cat "$root/VERSION" 2> /dev/null || echo unknown), $(nproc) x ${cpu:-unknown}"
  "$bench" ${quick[@]+"${quick[@]}"} bls | awk -v n="$(nproc)" '
    /^Benchmark/ { printf "%-40s %10d %12d ns/op %12d p50 %12d p95\n", $1 "-" n, $2, $3, $6, $8; rows++ }
    END { exit rows ? 0 : 1 }'
} | tee "$out"
echo "written: $out" >&2
