#!/usr/bin/env bash
# Where a call's CPU time goes in the proxy: instructions per call (callgrind) or samples (perf).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../../deploy/lib.sh"

usage() {
  cat <<'USAGE'
usage: tests/bench/profile.sh [--perf] [--case NAME] [--top N] [--out DIR] ...

Runs Ficus (or a peer) under the bench's load and says what one call costs it, and where. By default under callgrind
(Debian's valgrind): user-space instructions per call, the same from run to run within about a percent, whatever else
the machine does. With --perf by samples of the running program, kernel included (Debian's linux-perf).

  --case NAME      8x32, 8x1 or 8x16-10k (default 8x32)
  --calls N        calls a measurement (default 20000; --perf 1000000)
  --repeats N      measurements under callgrind, to see how far they differ (default 3)
  --top N          functions shown (default 40)
  --inclusive      callgrind: functions with all they call, instead of themselves
  --callers        --perf: record call chains as well (slower, large files)
  --subject NAME   ficus, nghttpx, haproxy, nginx or generic (default ficus)
  --out DIR        keep the raw profile there, for kcachegrind, callgrind_annotate or perf report
  --at-most N      exit 1 if a call costs more than N instructions (callgrind)
  --programs DIR   use the programs of this build tree as they are; build nothing
  --no-install     take the packages as they are

examples:
  tests/bench/profile.sh                                   instructions per call and the 40 dearest functions
  tests/bench/profile.sh --case 8x1 --inclusive --top 80   the same with callees, one call in flight a connection
  tests/bench/profile.sh --perf --callers --out /tmp/p     then: perf report -i /tmp/p/perf.data
  tests/bench/profile.sh --subject nghttpx                 what the peer spends

exit: 0 measured; 1 more than --at-most; 2 bad usage; 3 packages are missing; 4 the measurement failed
USAGE
}

install=true programs="" arguments=() subject=ficus
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --no-install) install=false ;;
    --programs) [ $# -ge 2 ] || die 2 "--programs needs a build tree, such as build/release"; programs=$2; shift ;;
    --subject) [ $# -ge 2 ] || die 2 "--subject needs a name"; subject=$2; arguments+=("$1" "$2"); shift ;;
    --case | --calls | --repeats | --top | --out | --at-most)
      [ $# -ge 2 ] || die 2 "$1 needs a value; see --help"
      arguments+=("$1" "$2")
      shift ;;
    --perf | --inclusive | --callers) arguments+=("$1") ;;
    *) usage >&2; die 2 "unknown argument '$1'" ;;
  esac
  shift
done

measure=(env PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$here/run_profile.py"
  --programs "${programs:-$FICUS_ROOT/build/release}" "${arguments[@]}")
"${measure[@]}" --parse-only  # a mistake is told before anything is installed or built

exempt_loopback_from_proxies
if $install; then install_packages "$FICUS_ROOT/deploy/packages.txt" "$FICUS_ROOT/deploy/packages-bench.txt"; fi
if [ -z "$programs" ]; then
  targets=(answer_upstream)
  [ "$subject" != generic ] || targets+=(generic_proxy)
  [ "$subject" != ficus ] || targets+=(ficus)
  require_disk "$FICUS_ROOT/build" 1500 "a release build"
  build_preset release "${targets[@]}"
fi
exec "${measure[@]}"
