#!/usr/bin/env bash
# Does the program depend on nothing but what deploy/testnet/compliance/WHITELIST.md names? usage: scripts/dep-whitelist.sh [IMAGE]
# With an image, its packages as well. exit status: 0 yes, 1 no, and a line for each name.
set -euo pipefail
cd "$(dirname "$0")/.."
list=deploy/testnet/compliance/WHITELIST.md
bad=0
asked=$(sed -n 's/^ *pkg_check_modules([A-Z0-9_]* \(.*\))/\1/p' cmake/deps.cmake | tr ' ' '\n' | sed 's/[<>=].*//' | grep -vx 'REQUIRED\|IMPORTED_TARGET\|QUIET')
pinned=$(sed -n 's/^\([a-z0-9_.-]*\)==.*/\1/p' tools/requirements-deps.txt)
for name in $asked $pinned; do
  grep -q "^| $name |" "$list" || { echo "$name: not in $list" >&2; bad=1; }
done
if [ $# -gt 0 ]; then
  id=$(docker create "$1")
  packages=$(docker cp "$id:/usr/share/doc/aequa/versions" - | tar -xO | cut -d' ' -f1)
  docker rm "$id" > /dev/null
  known=" $(sed -n '/^## In the image/,$p' "$list" | tail -n +2 | tr '\n' ' ') "
  for name in $packages; do
    [[ $known == *" $name "* ]] || { echo "$name: in $1, not in $list" >&2; bad=1; }
  done
fi
[ "$bad" = 0 ] && echo "all dependencies are listed"
exit "$bad"
