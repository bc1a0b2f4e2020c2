#!/usr/bin/env bash
# Stops every service of a compose file, then starts them all again, with the image that the tag names now.
# usage: COMPOSE="docker compose" rollback_all.sh FILE
set -euo pipefail
[ $# -eq 1 ] && [ -f "$1" ] || { echo "usage: $0 docker-compose.yml" >&2; exit 2; }
compose=${COMPOSE:-docker compose}
echo ">> stopping all"
$compose -f "$1" stop
echo ">> starting all"
$compose -f "$1" up -d
echo ">> done"
