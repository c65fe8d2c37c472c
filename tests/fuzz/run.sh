#!/usr/bin/env bash
# Builds preset `fuzz` (clang, libFuzzer, address and undefined behaviour sanitizers) and runs each target for a while,
# beginning with its seeds. New inputs are kept under build/fuzz/corpus, so that the next run goes on from there.
# Needs Debian's clang and libclang-rt-14-dev.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: tests/fuzz/run.sh [SECONDS] [TARGET...]

Runs each fuzz target (default: all) for SECONDS (default: 60) after its seeds.

exit: 0 nothing found; 1 a target crashed, hung, leaked or used too much memory: its input is named; 2 wrong usage
USAGE
}

seconds=60
case ${1-} in
  -h | --help) usage; exit 0 ;;
  '' ) ;;
  *[!0-9]* ) usage >&2; exit 2 ;;
  *) seconds=$1; shift ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if ! command -v clang++ >/dev/null; then
  echo "fuzz: clang++ is missing: apt-get install clang libclang-rt-14-dev" >&2
  exit 1
fi
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz -- --quiet

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for seeds in build/fuzz/tests/fuzz/*.seeds; do targets+=("$(basename "$seeds" .seeds)"); done
fi

failed=0
for target in "${targets[@]}"; do
  if [ ! -f "build/fuzz/tests/fuzz/$target.seeds" ]; then
    echo "fuzz: no target $target" >&2
    exit 2
  fi
  mkdir -p "build/fuzz/corpus/$target" build/fuzz/found
  mapfile -t seeds <"build/fuzz/tests/fuzz/$target.seeds"
  flags=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="build/fuzz/found/$target-"
         -print_final_stats=1 -verbosity=0)
  if [ -f "tests/fuzz/$target.flags" ]; then mapfile -t -O ${#flags[@]} flags <"tests/fuzz/$target.flags"; fi
  if [ -f "tests/fuzz/$target.dict" ]; then flags+=(-dict="tests/fuzz/$target.dict"); fi
  log=build/fuzz/$target.log
  status=0
  "build/fuzz/tests/fuzz/$target" "${flags[@]}" "build/fuzz/corpus/$target" "${seeds[@]}" >"$log" 2>&1 || status=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  new=$(find "build/fuzz/corpus/$target" -type f | wc -l)
  if [ "$status" -eq 0 ]; then
    echo "fuzz: $target: ${runs:-?} runs in $seconds s, $new inputs kept, nothing found"
  else
    failed=1
    echo "fuzz: $target: FAILED (status $status); the end of $log:"
    tail -n 40 "$log"
    echo "fuzz: run it again: build/fuzz/tests/fuzz/$target $(sed -n 's/.*Test unit written to //p' "$log" | tail -1)"
  fi
done
exit $failed
