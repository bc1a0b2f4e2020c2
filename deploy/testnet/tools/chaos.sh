#!/usr/bin/env bash
# A long run with faults: a random node is restarted every STEP_S seconds while, where there is traffic control, the network changes at
# random. At the end everything is made well again, and the cluster must be healthy and doing duties, and nothing slashable was seen. The
# last line says how many duties were lost on the way.
# usage: chaos.sh [COMPOSE_FILE]    (default docker-compose.tss.yml of this testnet; it must be up)
# environment: RUNTIME_MIN (120), or RUNTIME_S, STEP_S (10), NETEM=off (restarts only), COMPOSE (docker compose)
# exit status: 0 well, 1 not well, and a line says why
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
file=${1:-$here/../docker-compose.tss.yml}
compose=${COMPOSE:-docker compose}
step_s=${STEP_S:-10}
[ -f "$file" ] || { echo "usage: $0 [docker-compose.yml]" >&2; exit 2; }
end=$((SECONDS + ${RUNTIME_S:-$((${RUNTIME_MIN:-120} * 60))}))
net() { if [ "${NETEM:-on}" != off ]; then FILE=$file "$here/netem.sh" "$@"; fi; }
chain() { curl -fs --max-time 3 http://127.0.0.1:4600/sim/stats; } # through node 0
number() { sed "s/.*\"$1\":\([0-9]*\).*/\1/" <<< "$2"; }
missed() { sed "s/.*\"$1\":{[^}]*\"missed\":\([0-9]*\).*/\1/" <<< "$2"; }
taken() { sed 's/.*"attestations":{"ok":\([0-9]*\).*/\1/' <<< "$1"; }

trap 'net clear > /dev/null 2>&1 || true' EXIT
if ! { net init && net apply delay; } > /dev/null 2>&1; then
  echo "no traffic control here: restarts only"
  NETEM=off
fi
rounds=0 start=$(chain)
while [ "$SECONDS" -lt "$end" ]; do
  node=node-$((RANDOM % 4))
  net random_tick
  echo "$(date -u +%H:%M:%S) restart $node"
  $compose -f "$file" restart "$node" > /dev/null 2>&1
  # The side container is in the network that went away with the node.
  net init > /dev/null 2>&1 || true
  rounds=$((rounds + 1))
  sleep "$step_s"
done
net clear
WAIT_SECS=60 "$here/health.sh"
before=$(chain)
for ((i = 0; i < 60; i++)); do
  now=$(chain || true)
  # A lost duty is counted two slots after its own.
  if [ -n "$now" ] && [ "$(taken "$now")" -gt "$(taken "$before")" ] &&
    [ "$(number slot "$now")" -gt $(($(number slot "$before") + 2)) ]; then break; fi
  sleep 2
done
[ "$(number slashable "$now")" = 0 ] || { echo "slashable messages: $now" >&2; exit 1; }
[ "$(taken "$now")" -gt "$(taken "$before")" ] || { echo "no attestation in two minutes after the end: $now" >&2; exit 1; }
lost() { echo $(($(missed "$1" "$now") - $(missed "$1" "$start"))); }
echo "well after $rounds restarts; lost attestations $(lost attestations), lost blocks $(lost blocks), slashable 0"
