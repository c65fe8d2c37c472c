#!/usr/bin/env bash
# The demo: an insurer leaves its legacy policy system, and Ficus tells how far it got and what its new one gets wrong.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'USAGE'
usage: deploy/demo.sh [--keep] [--stop-new] [--policies N] [--json FILE] [--no-install]

Installs what is missing (deploy/packages.txt), builds preset release, starts two policy services, a replicator and
Ficus on free ports of 127.0.0.1, plays a fixed set of calls of four tenants, and prints Ficus's account of them.

  --keep        leave everything running and say what to try next
  --stop-new    kill -STOP the new side for three seconds while the traffic runs: who notices?
  --policies N  size of the book, a multiple of 1000 (default 10000)
  --json FILE   also write the report as JSON
  --no-install  take the packages as they are

exit: 0 the report is printed and nothing failed; 1 something failed, see its message; 2 usage;
3 packages are missing and cannot be installed from here, see the message.
USAGE
}

install=true pass=()
while [ $# -gt 0 ]; do
  case $1 in
    --keep | --stop-new) pass+=("$1") ;;
    --policies | --json)
      [ $# -ge 2 ] || die 2 "$1 needs a value"
      pass+=("$1" "$2")
      shift
      ;;
    --no-install) install=false ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die 2 "unknown argument '$1'" ;;
  esac
  shift
done

exempt_loopback_from_proxies
require_disk "$FICUS_ROOT/build" 1500 "a release build and the demo's run"
if $install; then install_packages "$FICUS_ROOT/deploy/packages.txt"; fi
build_preset release ficus demo

# exec: signals reach the script that owns the processes.
exec /usr/bin/python3 -B "$FICUS_ROOT/deploy/demo/run_demo.py" --build-dir "$FICUS_ROOT/build/release" "${pass[@]}"
