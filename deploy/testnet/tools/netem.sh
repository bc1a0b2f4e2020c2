#!/usr/bin/env bash
# Makes the network of the nodes bad. Needs real Docker and the testnet running. usage: netem.sh COMMAND
#   init             side containers with traffic control beside each node; again after nodes were recreated
#   apply delay      100 ms +- 20 ms          apply loss       2 %, correlation 25 %
#   apply reorder    25 %, correlation 50 %, delay 20 ms
#   apply partition  100 % loss: every node is cut off, from the host as well
#   apply split A|B  nodes of A and B do not hear each other, e.g. 'apply split 0,1|2,3'; the host still reaches all
#   clear            as it was
#   random_tick      one of delay, loss, reorder, partition, clear at random
#   down             remove the side containers
# environment: COMPOSE (docker compose), FILE (docker-compose.yml of this testnet), NODES (0 1 2 3): those that apply and clear touch
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
compose=${COMPOSE:-docker compose}
nodes=${NODES:-0 1 2 3}
sides=(netem-0 netem-1 netem-2 netem-3)
c() { $compose -f "${FILE:-$here/docker-compose.yml}" -f "$here/docker-compose.netem.yml" "$@"; }
help() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; }
usage() { help >&2; exit 2; }

in_node() { c exec -T "netem-$1" "${@:2}"; }
clear_one() {
  in_node "$1" tc qdisc del dev eth0 root 2> /dev/null || true
  in_node "$1" iptables -F INPUT 2> /dev/null || true
}
netem() { # for each node: netem with these parameters
  for i in $nodes; do
    clear_one "$i"
    in_node "$i" tc qdisc replace dev eth0 root netem "$@" || {
      echo "no traffic control on node $i: is the kernel's sch_netem there, and was 'init' run after the node's last start?" >&2
      exit 1
    }
  done
}
split() {
  local a=${1%%|*} b=${1##*|} x y ip
  [[ $1 =~ ^[0-9,]+\|[0-9,]+$ ]] || usage
  for i in $nodes; do clear_one "$i"; done
  for x in ${a//,/ }; do
    for y in ${b//,/ }; do
      ip=$(in_node "$x" getent hosts "node-$y" | awk '{ print $1 }')
      in_node "$x" iptables -A INPUT -s "$ip" -j DROP
      ip=$(in_node "$y" getent hosts "node-$x" | awk '{ print $1 }')
      in_node "$y" iptables -A INPUT -s "$ip" -j DROP
    done
  done
}
apply() {
  case ${1:-} in
    delay) netem delay 100ms 20ms ;;
    loss) netem loss 2% 25% ;;
    reorder) netem delay 20ms reorder 25% 50% ;;
    partition) netem loss 100% ;;
    split) split "${2:-}" ;;
    *) usage ;;
  esac
  echo "network: ${*}"
}
clear_all() {
  for i in $nodes; do clear_one "$i"; done
  echo "network: clear"
}

case ${1:-} in
  init) c up -d --no-deps --force-recreate "${sides[@]}" ;;
  apply) apply "${@:2}" ;;
  clear) clear_all ;;
  random_tick)
    kinds=(delay loss reorder partition clear)
    kind=${kinds[RANDOM % 5]}
    if [ "$kind" = clear ]; then clear_all; else apply "$kind"; fi
    ;;
  -h | --help) help ;;
  down) c rm -sf "${sides[@]}" ;;
  *) usage ;;
esac
