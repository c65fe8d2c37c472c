#!/usr/bin/env bash
# Installs the Debian packages that building, testing or measuring Ficus needs and this machine lacks.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'USAGE'
usage: deploy/install.sh [--test] [--bench]

Installs what deploy/packages.txt names and dpkg-query does not know as installed; with --test also packages-test.txt,
with --bench also packages-bench.txt. One apt-get update, one apt-get install, nothing removed, nothing asked.

exit: 0 everything is there; 1 apt-get failed; 3 neither root nor a working `sudo -n`: the line to run is printed.
USAGE
}

lists=("$FICUS_ROOT/deploy/packages.txt")
while [ $# -gt 0 ]; do
  case $1 in
    --test) lists+=("$FICUS_ROOT/deploy/packages-test.txt") ;;
    --bench) lists+=("$FICUS_ROOT/deploy/packages-bench.txt") ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die 2 "unknown argument '$1'" ;;
  esac
  shift
done

install_packages "${lists[@]}"
