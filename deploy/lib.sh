# Shell functions shared by deploy/demo.sh, deploy/install.sh, tests/run.sh and the bench. Sourced, never run.
# Expects `set -eu`. Prints to stderr what a person should see, to stdout nothing.

FICUS_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }

die() {  # die CODE MESSAGE...
  local code=$1
  shift
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit "$code"
}

# A proxy variable in the environment would capture gRPC and HTTP to loopback: those addresses are exempt, whatever
# else is set. The proxy itself stays, apt may need it.
exempt_loopback_from_proxies() {
  local key
  for key in no_proxy NO_PROXY; do
    export "$key=127.0.0.1,localhost,::1${!key:+,${!key}}"
  done
}

# The packages a list file names: one a line, '#' begins a comment.
packages_in() { sed -e 's/#.*//' "$@" | awk 'NF { print $1 }'; }

# Of the packages named, those that are not installed. A removed package whose configuration stayed is not installed.
packages_lacking() {
  local installed
  # dpkg-query exits 1 as soon as it does not know one of the names; what it prints is right all the same.
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null | awk '$2 == "installed" { print $1 }') || true
  local package
  for package in "$@"; do
    grep -qxF -- "$package" <<<"$installed" || printf '%s\n' "$package"
  done
}

# Installs what the list files name and the machine lacks: one update, one install, nothing removed, nothing asked.
# Neither root nor a working `sudo -n`: prints the line to run and exits 3.
install_packages() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "No dpkg-query and apt-get here; going on with what is installed. Debian 12's names of what is needed:" $(packages_in "$@")
    return 0
  fi
  local lacking
  lacking=$(packages_lacking $(packages_in "$@") | tr '\n' ' ')
  lacking=${lacking% }
  [ -n "$lacking" ] || return 0

  local sudo=""
  if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null && sudo -n true </dev/null 2>/dev/null; then
      sudo="sudo -n "
    else
      say "These packages are missing, and neither root nor a working 'sudo -n' is at hand to install them. As root, run:"
      say "  apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends --no-remove $lacking </dev/null"
      exit 3
    fi
  fi
  say "Installing: $lacking"
  # A mirror that fails now and then must not stop an install that the lists at hand allow.
  ${sudo}apt-get update </dev/null >&2 || say "apt-get update failed; trying with the package lists at hand"
  # The words are package names from our own list files: split on purpose. `env`, since sudo drops the environment.
  ${sudo}env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends --no-remove $lacking </dev/null >&2 ||
    die 1 "apt-get could not install: $lacking. Its message stands above; the build needs each of them"
}

# As many compilers as there are processors and room: one takes about 1.2 GB with gRPC's headers.
build_jobs() {
  local processors memory
  processors=$(nproc)
  memory=$(awk '/^MemAvailable:/ { print int($2 / 1200000) }' /proc/meminfo)
  [ "$memory" -ge 1 ] || memory=1
  echo $((processors < memory ? processors : memory))
}

# require_disk DIR MIB WHY: exits 1 with less than MIB free where DIR lies (or will lie).
require_disk() {
  local dir=$1 mib=$2 why=$3 free
  while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
  free=$(df -Pm "$dir" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$mib" ] || die 1 "$why needs $mib MiB under $dir, $free MiB are free: make room or put the clone elsewhere"
}

# build_preset PRESET [TARGET...]: configures and builds, everything if no target is named. Ninja shows the progress.
build_preset() {
  local preset=$1
  shift
  mkdir -p "$FICUS_ROOT/build"
  say "Building preset '$preset'${*:+: $*}"
  (cd "$FICUS_ROOT" && cmake --preset "$preset" >"$FICUS_ROOT/build/$preset.configure.log" 2>&1) || {
    cat "$FICUS_ROOT/build/$preset.configure.log" >&2
    die 1 "CMake could not configure preset '$preset'; its message stands above"
  }
  local targets=()
  [ $# = 0 ] || targets=(--target "$@")
  cmake --build "$FICUS_ROOT/build/$preset" -j "$(build_jobs)" "${targets[@]}" >&2 ||
    die 1 "the build of preset '$preset' failed; the compiler's message stands above"
}
