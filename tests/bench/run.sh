#!/usr/bin/env bash
# Measures the relay beside nghttpx and others: CPU per call and message, memory. README.md in this folder says how to read it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../../deploy/lib.sh"

usage() {
  cat <<'USAGE'
usage: tests/bench/run.sh [--case NAME]... [--pairs N] [--peers LIST] [--json FILE] [--quick] ...

Runs Ficus with a policy and each peer under the same load, by turns, one core for the proxy and one for the rest, and
prints CPU microseconds per call, calls per second, peak memory, and the ratio of CPU per call with the interval of its
median. Figures go to stdout, progress to stderr. Installs deploy/packages-bench.txt and builds preset release first.

  --case NAME       may be repeated (default: all)
                    8x32        8 connections x 32 calls in flight, 100 byte messages
                    8x1         8 x 1, 100 bytes
                    8x16-10k    8 x 16, 10,000 bytes
                    tls         as 8x32, with TLS between client and proxy
                    streams     8 x 4 long streams both ways, 8 messages of 100 bytes under way on each
                    streams-1k  the same with 1,000 bytes
                    shadow      Ficus with every read shadowed beside itself without
                    workers     Ficus with two workers beside itself with one, at the same rate; nghttpx the same way
                    memory      of 10,000 idle connections, and of 2,000 calls in flight
  --pairs N         rounds, in each of which every proxy is measured once (default 9; --quick 2)
  --seconds S       length of one measurement (default 2; --quick 0.2)
  --peers LIST      of nghttpx, haproxy, nginx, generic (a gRPC C++ proxy built here), with commas between (default: all)
  --idle N          idle connections of the memory case (default 10000; --quick 500)
  --subject NAME    measure this instead of ficus; with the same name in --peers a pair of equals, whose ratio must be 1
  --json FILE       write every sample and all results there too
  --quick           under a minute in all: that it works, not what it costs
  --programs DIR    use the programs of this build tree (such as build/dev) as they are; build nothing
  --no-install      take the packages as they are; exit 77 if one is missing

examples:
  tests/bench/run.sh                                             everything that has a target, in about fifteen minutes
  tests/bench/run.sh --peers nghttpx                             the same beside nghttpx alone, in about six
  tests/bench/run.sh --case 8x32 --pairs 15 --json /tmp/b.json   one case, closer
  tests/bench/run.sh --subject nghttpx --case 8x32               how far from 1 chance leads on this machine

exit: 0 measured, every target met; 1 a target missed; 2 bad usage; 3 packages are missing, see the message;
      4 a measurement failed; 5 no target missed, but one could not be measured (the build at hand lacks what it needs);
      77 --no-install and a package is missing
USAGE
}

install=true programs="" arguments=() subject=ficus
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --no-install) install=false ;;
    --programs) [ $# -ge 2 ] || die 2 "--programs needs a build tree, such as build/dev"; programs=$2; shift ;;
    --subject) [ $# -ge 2 ] || die 2 "--subject needs a name"; subject=$2; arguments+=("$1" "$2"); shift ;;
    --case | --pairs | --seconds | --peers | --idle | --json)
      [ $# -ge 2 ] || die 2 "$1 needs a value; see --help"
      arguments+=("$1" "$2")
      shift ;;
    --quick) arguments+=("$1") ;;
    *) usage >&2; die 2 "unknown argument '$1'" ;;
  esac
  shift
done

measure=(env PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$here/run_bench.py"
  --programs "${programs:-$FICUS_ROOT/build/release}" "${arguments[@]}")
"${measure[@]}" --parse-only  # a mistake is told before anything is installed or built

exempt_loopback_from_proxies
if $install; then
  install_packages "$FICUS_ROOT/deploy/packages.txt" "$FICUS_ROOT/deploy/packages-bench.txt"
else
  lacking=$(packages_lacking $(packages_in "$FICUS_ROOT/deploy/packages-bench.txt") | tr '\n' ' ')
  [ -z "$lacking" ] || die 77 "not installed: $lacking(tests/bench/run.sh without --no-install installs it)"
fi
if [ -z "$programs" ]; then
  targets=(answer_upstream bench_client generic_proxy)
  [ "$subject" != ficus ] || targets+=(ficus)
  require_disk "$FICUS_ROOT/build" 1500 "a release build"
  build_preset release "${targets[@]}"
fi
exec "${measure[@]}"
