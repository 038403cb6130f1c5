#!/usr/bin/env bash
# Installs what the build needs, configures and builds. Safe to run again: installs and compiles
# only what is missing.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

usage() {
  cat <<'TEXT'
usage: scripts/setup.sh [--test] [--fuzz] [--packages-only] [--target NAME]

  --test            also what the tests and checks need, and build the tests
  --fuzz            also what the fuzz targets need
  --packages-only   stop before configuring
  --target NAME     build only this target

For Debian 12 and Ubuntu 24.04, as root or with sudo.
TEXT
}

packages=(
  cmake g++ git ninja-build pkg-config
  libcli11-dev libdnnl-dev libedit-dev libfmt-dev libhwy-dev libpcre2-dev libsimdjson-dev
  libspdlog-dev libssl-dev libutf8proc-dev libxxhash-dev nlohmann-json3-dev
)
# Boost 1.81 or later: Debian 12 has it under its number, beside an older default.
if grep -qsx 'VERSION_CODENAME=bookworm' /etc/os-release; then
  packages+=(libboost1.81-dev)
else
  packages+=(libboost-dev)
fi
test_packages=(
  libgmock-dev libgtest-dev librapidcheck-dev libvalijson-dev
  clang-format-14 clang-tidy-14
  nginx openssl python3 python3-jinja2 xz-utils
)
# Other packagings of Node bring npm along, and Debian's would clash with them.
command -v npm >/dev/null || test_packages+=(npm)
# The browser tests run where Chromium is a package of its own.
if grep -qsx 'ID=debian' /etc/os-release; then
  test_packages+=(chromium)
fi
fuzz_packages=(clang-14 libclang-rt-14-dev)

tests=false
packages_only=false
target=()
while [ $# -gt 0 ]; do
  case $1 in
    --test)
      tests=true
      packages+=("${test_packages[@]}")
      ;;
    --fuzz) packages+=("${fuzz_packages[@]}") ;;
    --packages-only) packages_only=true ;;
    --target)
      [ $# -ge 2 ] || die "--target needs a name"
      target=(--target "$2")
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
  shift
done

installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

install_packages() {
  local as_root=()
  local missing=() package
  command -v dpkg-query >/dev/null ||
    die "this script installs Debian packages and finds no dpkg here. Install the equivalents of:" \
      "${packages[*]}; then run cmake --preset cpu && cmake --build --preset cpu"
  for package in "${packages[@]}"; do
    installed "$package" || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    return
  fi
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      die "these packages are missing and neither root nor sudo is at hand: ${missing[*]}." \
        "Ask an administrator to run: apt-get install ${missing[*]}"
    as_root=(sudo)
    sudo -v  # asks for the password here, before output goes to a log
  fi
  local options=(-y --no-install-recommends -o DPkg::Lock::Timeout=300)
  # A list that cannot be refreshed (a third-party archive that is down) is no reason to stop: the
  # installation tells whether something is really missing.
  quietly build/log/apt-update.log "package lists" \
    sh -c '"$@" || echo "some lists could not be refreshed"' sh \
    "${as_root[@]}" apt-get update
  quietly build/log/apt-install.log "installing ${#missing[@]} packages" \
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install "${options[@]}" "${missing[@]}"
  # The tests start an nginx of their own; the package's service would take port 80 of this machine.
  if [[ " ${missing[*]} " == *" nginx "* && -d /run/systemd/system ]]; then
    quietly build/log/nginx.log "switching nginx's service off" \
      "${as_root[@]}" systemctl disable --now nginx
  fi
}

warn_about_system() {
  local ID="" VERSION_ID=""
  if [ -r /etc/os-release ]; then
    source /etc/os-release
  fi
  case $ID-$VERSION_ID in
    debian-12 | ubuntu-24.04) ;;
    *) say "note: made for Debian 12 and Ubuntu 24.04; this is ${ID:-unknown} ${VERSION_ID:-}" ;;
  esac
}

warn_about_system
install_packages
if $packages_only; then
  exit 0
fi

# A tree that already builds the tests goes on doing so.
configure=(cmake --preset cpu)
if $tests; then
  configure+=(-DMM_TESTS=ON)
elif [ ! -f build/cpu/CMakeCache.txt ]; then
  configure+=(-DMM_TESTS=OFF)
fi
quietly build/log/configure.log "configuring" "${configure[@]}"
quietly build/log/build.log "compiling" cmake --build --preset cpu -j "$(job_count)" "${target[@]}"
