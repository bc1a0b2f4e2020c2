#!/usr/bin/env bash
# Are all nodes healthy? Gives them WAIT_SECS (60) to become so, then asks each once more, five times at most.
# usage: [WAIT_SECS=60] [HOST=127.0.0.1] health.sh [API_PORT...]    (default 4600 4601 4602 4603)
# exit status: 0 all say ok, 1 one does not, and a line says which
set -euo pipefail
limit=${WAIT_SECS:-60} host=${HOST:-127.0.0.1}
[ $# -gt 0 ] || set -- 4600 4601 4602 4603
ok() { [ "$(curl -fs --max-time 3 "http://$host:$1/health" 2> /dev/null)" = ok ]; }

end=$((SECONDS + limit))
for port in "$@"; do
  until ok "$port" || [ "$SECONDS" -ge "$end" ]; do sleep 0.5; done
done
for port in "$@"; do
  for try in 1 2 3 4 5; do
    if ok "$port"; then echo "$host:$port ok"; continue 2; fi
    [ "$try" = 5 ] || sleep 1
  done
  echo "$host:$port is not healthy" >&2
  exit 1
done
