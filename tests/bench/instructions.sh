#!/usr/bin/env bash
# Guards what a call costs Ficus: instructions per call under callgrind, against instructions.json. CI runs it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../../deploy/lib.sh"

usage() {
  cat <<'USAGE'
usage: tests/bench/instructions.sh [--update] [--case NAME]... [--repeats N] [--programs DIR] [--no-install]

Counts the user-space instructions of one call through Ficus (callgrind, with the bench's policy) while calls come in lock
step: some in one write, then all their answers, and so on, so that the count hangs on nobody's speed and repeats within
about one percent, whatever else the machine does. Passes when each case's median is at most 1.03 times the reference in
tests/bench/instructions.json. Half a minute once it is built. Builds preset release first.

  --update          write what was counted into the reference; commit it with the change that explains it
  --case NAME       32-in-flight, 1-in-flight or 4-in-flight-10k; may be repeated (default: all)
  --repeats N       counts a case, of which the median is judged (default 3)
  --reference FILE  another reference
  --programs DIR    use the programs of this build tree as they are; build nothing. The reference is a release build's
  --no-install      take the packages as they are; exit 77 if valgrind is missing

A compiler, valgrind or libc that is not the reference's is said, and the count is judged all the same.

exit: 0 within the slack, or updated; 1 more instructions than that, or a case without reference; 2 bad usage;
      3 packages are missing; 4 the count failed; 77 --no-install and valgrind is missing
USAGE
}

install=true programs="" arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --no-install) install=false ;;
    --programs) [ $# -ge 2 ] || die 2 "--programs needs a build tree, such as build/release"; programs=$2; shift ;;
    --case | --repeats | --reference)
      [ $# -ge 2 ] || die 2 "$1 needs a value; see --help"
      arguments+=("$1" "$2")
      shift ;;
    --update) arguments+=("$1") ;;
    *) usage >&2; die 2 "unknown argument '$1'" ;;
  esac
  shift
done

measure=(env PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$here/run_instructions.py"
  --programs "${programs:-$FICUS_ROOT/build/release}" "${arguments[@]}")
"${measure[@]}" --parse-only  # a mistake is told before anything is installed or built

exempt_loopback_from_proxies
if $install; then
  # Of the bench's packages only valgrind: CI needs no peers.
  needed=$(mktemp)
  trap 'rm -f "$needed"' EXIT
  grep -E '^valgrind[[:space:]]' "$FICUS_ROOT/deploy/packages-bench.txt" >"$needed"
  install_packages "$FICUS_ROOT/deploy/packages.txt" "$needed"
elif [ -n "$(packages_lacking valgrind)" ]; then
  die 77 "not installed: valgrind (tests/bench/instructions.sh without --no-install installs it)"
fi
if [ -z "$programs" ]; then
  require_disk "$FICUS_ROOT/build" 1500 "a release build"
  build_preset release ficus answer_upstream bench_client
fi
"${measure[@]}"
