#!/usr/bin/env bash
# Tests the web page. Without npm (or, for the browser tests, Chromium) it skips with exit code 77,
# but never in CI.
#   unit      types, unit tests, and whether web/dist is what the sources build to
#   browser   the page in a browser, served by the program that MINIMAX_PROGRAM names
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
  echo "web tests skipped: $1" >&2
  [ -z "${CI:-}" ] || exit 1
  exit 77
}

# One at a time: both kinds of tests may be started at once.
install_libraries() {
  exec 9>node_modules.lock
  flock 9
  if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
    touch node_modules/.package-lock.json
  fi
  flock -u 9
}

test_units() {
  npm run --silent check
  npm run --silent test
  built=$(mktemp -d)
  trap 'rm -rf "$built"' EXIT
  npm run --silent build -- --logLevel warn --outDir "$built" --emptyOutDir
  if ! diff -rq "$built" dist; then
    echo "web/dist is not what web/src builds to: run npm run build in web/" >&2
    exit 1
  fi
  npm run --silent check:dist
}

command -v npm >/dev/null || skip "npm is not installed"
case ${1:-} in
  unit)
    install_libraries
    test_units
    ;;
  browser)
    [ -x "${CHROMIUM:-/usr/bin/chromium}" ] || skip "${CHROMIUM:-/usr/bin/chromium} is not installed"
    install_libraries
    npm run --silent test:browser
    ;;
  *)
    echo "usage: web/scripts/test.sh unit|browser" >&2
    exit 2
    ;;
esac
