# shellcheck shell=bash
# For tests that take packages from npm; sourced, not run.

# skip REASON: what ctest counts as skipped. In CI nothing is.
skip() {
  echo "$0 skipped: $1" >&2
  [ -z "${CI:-}" ] || exit 1
  exit 77
}

# install_packages FOLDER: the packages of FOLDER/package-lock.json, if they are not there. One at a
# time: several tests that need them may be started at once.
install_packages() {
  local folder=$1
  exec 9>"$folder/node_modules.lock"
  flock 9
  if [ ! "$folder/node_modules/.package-lock.json" -nt "$folder/package-lock.json" ]; then
    (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    touch "$folder/node_modules/.package-lock.json"
  fi
  flock -u 9
}
