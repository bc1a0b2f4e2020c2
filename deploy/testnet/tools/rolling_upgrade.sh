#!/usr/bin/env bash
# Restarts services of a compose file one after the other: stop, up -d (which takes the new image or configuration), wait, check.
# The roll ends at the first node that is not well afterwards: not healthy, no metrics, or with fewer peers than before.
#
# usage: COMPOSE="docker compose" rolling_upgrade.sh -f FILE [options] SERVICE...
#   -f, --file FILE       compose file (needed)
#   -w, --wait S          seconds to wait after each start (5)
#   -t, --timeout S       seconds a node has to become well after that (30)
#   -a, --add-arg ARG     append ARG to the services' commands, e.g. --enable-tss; may be repeated. It lasts until the service is
#                         brought up without it
#   -h, --help            this text
# exit status: 0 all done, 1 a service did not come back well (those after it are untouched), 2 wrong usage
set -euo pipefail

compose=${COMPOSE:-docker compose} file= wait_s=${WAIT_SECS:-5} limit_s=30
args=() services=()

usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; }
wrong() { echo "$0: $1" >&2; usage >&2; exit 2; }

while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    -f | --file | -w | --wait | -t | --timeout | -a | --add-arg)
      [ $# -ge 2 ] || wrong "$1 needs a value"
      case $1 in
        -f | --file) file=$2 ;;
        -w | --wait) wait_s=$2 ;;
        -t | --timeout) limit_s=$2 ;;
        *) args+=("$2") ;;
      esac
      shift 2 ;;
    -*) wrong "unknown option $1" ;;
    *) services+=("$1"); shift ;;
  esac
done
[ -n "$file" ] || wrong "-f FILE is missing"
[ -f "$file" ] || wrong "no such file: $file"
[ ${#services[@]} -gt 0 ] || wrong "no services given"
[[ $wait_s =~ ^[0-9]+$ && $limit_s =~ ^[0-9]+$ ]] || wrong "--wait and --timeout take whole seconds"

files=(-f "$file")
c() { $compose "${files[@]}" "$@"; }

# A second compose file with the commands as they are, and the new arguments behind them.
override() {
  local out=$1 service words
  echo "services:" > "$out"
  for service in "${services[@]}"; do
    words=$(c config | awk -v s="  $service:" '
      /^  [^ ]/ { mine = ($0 == s); list = 0 }
      /^    [^ ]/ { list = (mine && $0 == "    command:"); next }
      list && /^      - / { print }')
    [ -n "$words" ] || { echo "$service has no command in $file: cannot add to it" >&2; exit 2; }
    printf '  %s:\n    command:\n%s\n' "$service" "$words" >> "$out"
    for a in "${args[@]}"; do
      grep -qxF -- "      - $a" <<< "$words" || printf '      - "%s"\n' "$a" >> "$out"
    done
  done
}
if [ ${#args[@]} -gt 0 ]; then
  extra=$(mktemp -d)
  trap 'rm -rf "$extra"' EXIT
  override "$extra/override.yml"
  files+=(-f "$extra/override.yml")
fi

# host:port of a published port, as this machine reaches it; nothing when it is not published
address() { c port "$1" "$2" 2> /dev/null | sed 's/^0\.0\.0\.0:/127.0.0.1:/; s/^\[::\]:/127.0.0.1:/' || true; }
metric() { # of host:port $1, the sample $2; nothing when there is none
  curl -fs --max-time 3 "http://$1/metrics" 2> /dev/null |
    awk -v m="$2" '{ sub(/\{.*\}/, "", $1) } $1 == m && !seen++ { print int($2) }' || true
}
# How many peers a node has: two connections to one peer, which happen when both sides dial, count as one.
peers_of() {
  local conns operators
  conns=$(metric "$1" p2p_conns_open) operators=$(metric "$1" cluster_operators)
  conns=${conns:-0} operators=${operators:-1}
  echo $((conns < operators ? conns : operators - 1))
}

# Says what is wrong with the service; succeeds when nothing is.
well() {
  local service=$1 peers=$2 api mon now
  [ -n "$(c ps -q "$service")" ] || { echo "it is not running; its log: $compose -f $file logs $service"; return 1; }
  api=$(address "$service" 4600) mon=$(address "$service" 4620)
  if [ -n "$api" ] && [ "$(curl -fs --max-time 3 "http://$api/health" 2> /dev/null)" != ok ]; then
    echo "http://$api/health does not say ok"; return 1
  fi
  [ -n "$mon" ] || return 0
  [ "$(metric "$mon" dvt_up)" = 1 ] || { echo "http://$mon/metrics has no dvt_up 1"; return 1; }
  now=$(peers_of "$mon")
  [ "$now" -ge "$peers" ] || { echo "p2p_conns_open says $now peers, there were $peers before"; return 1; }
}

for s in "${services[@]}"; do
  echo ">> rolling: $s"
  mon=$(address "$s" 4620)
  peers=0
  [ -z "$mon" ] || peers=$(peers_of "$mon")
  c stop "$s" > /dev/null 2>&1 || true # it may be down already
  c up -d "$s" || { echo "!! $s did not start: the roll stops here" >&2; exit 1; }
  echo "   waiting ${wait_s}s for $s"
  sleep "$wait_s"
  end=$((SECONDS + limit_s))
  until why=$(well "$s" "$peers"); do
    if [ "$SECONDS" -ge "$end" ]; then
      echo "!! $s: $why" >&2
      echo "!! the roll stops here; services after $s are as they were" >&2
      exit 1
    fi
    sleep 1
  done
  echo "   $s is well"
done
echo ">> done"
