#!/usr/bin/env bash
# Builds preset `dev` and runs the tests; what a person runs before a change and what .ci/run begins with.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../deploy/lib.sh"

usage() {
  cat <<'USAGE'
usage: tests/run.sh [--all] [--no-install] [-R REGEX] [-j N]

Installs what is missing (deploy/packages.txt, packages-test.txt), builds preset dev and runs the labels unit,
property, e2e and fuzz (the replay of the fuzz targets' seed corpus), ending with ctest's summary.

  --all         then also: fault and bench tests, asan, tsan (unit, e2e), a minute of each fuzz target, and the demo at
                its full size
  --no-install  take the packages as they are
  -R REGEX      only tests whose name matches
  -j N          tests at a time (default: processors)

CI=true makes warnings errors. exit: 0 all passed; 1 a build or a test failed; 3 packages are missing, see the message.
USAGE
}

all=false install=true only=() jobs=$(nproc)
while [ $# -gt 0 ]; do
  case $1 in
    --all) all=true ;;
    --no-install) install=false ;;
    -R) [ $# -ge 2 ] || die 2 "-R needs a regular expression"; only=(-R "$2"); shift ;;
    -j) [ $# -ge 2 ] || die 2 "-j needs a number"; jobs=$2; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die 2 "unknown argument '$1'" ;;
  esac
  shift
done

exempt_loopback_from_proxies
cd "$FICUS_ROOT"
require_disk "$FICUS_ROOT/build" 3000 "a debug build with its tests"
if $install; then install_packages deploy/packages.txt deploy/packages-test.txt; fi

# ctest's own presets name one filter each; here the labels add up, so the flags stand here.
run_ctest() {  # run_ctest PRESET LABELS
  ctest --test-dir "build/$1" --label-regex "^($2)\$" "${only[@]}" --parallel "$jobs" --output-on-failure \
    --no-tests=error --timeout 60 --progress
}

# Sanitizers bring their options with the preset.
run_preset() {  # run_preset PRESET
  build_preset "$1"
  ctest --preset "$1" "${only[@]}" --parallel "$jobs" --progress
}

build_preset dev
run_ctest dev 'unit|property|e2e|fuzz'

if $all; then
  say "--- fault and bench tests"
  run_ctest dev 'fault|bench' || failed=1
  for preset in asan tsan; do
    say "--- $preset"
    run_preset "$preset" || failed=1
  done
  say "--- fuzz targets, a minute each"
  tests/fuzz/run.sh 60 || failed=1
  say "--- the README's commands, with the demo as users run it"
  /usr/bin/python3 -B tests/e2e/readme_test.py --build-dir build/dev --whole-demo || failed=1
  [ -z "${failed:-}" ] || die 1 "something above failed"
fi
