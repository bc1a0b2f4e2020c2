#!/usr/bin/env bash
# Counts active nodes: those whose /metrics has a line that begins with "dvt_up 1". Prints one line of JSON.
# usage: kpi_active.sh FILE | HOST:PORT...    (FILE: one host:port a line, # starts a comment)
set -euo pipefail
[ $# -gt 0 ] || { echo "usage: $0 FILE | HOST:PORT..." >&2; exit 2; }
endpoints=("$@")
if [ $# -eq 1 ] && [ -f "$1" ]; then
  mapfile -t endpoints < <(sed 's/#.*//; s/[[:space:]]//g; /^$/d' "$1")
fi
active=0
for e in ${endpoints[@]+"${endpoints[@]}"}; do
  text=$(curl -fsS --max-time 3 "http://$e/metrics" 2> /dev/null || true)
  if grep -q '^dvt_up 1' <<< "$text"; then active=$((active + 1)); fi
done
printf '{"timestamp":"%s","total_endpoints":%d,"active_nodes":%d}\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "${#endpoints[@]}" "$active"
