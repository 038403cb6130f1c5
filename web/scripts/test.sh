#!/usr/bin/env bash
# Tests the web page. Without npm (or, for the browser tests, Chromium) it skips with exit code 77,
# but never in CI.
#   unit      types, unit tests, and whether web/dist is what the sources build to
#   browser   the page in a browser, served by the program that MINIMAX_PROGRAM names
set -euo pipefail
cd "$(dirname "$0")/.."

source ../scripts/npm.sh

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
    install_packages .
    test_units
    ;;
  browser)
    [ -x "${CHROMIUM:-/usr/bin/chromium}" ] || skip "${CHROMIUM:-/usr/bin/chromium} is not installed"
    install_packages .
    npm run --silent test:browser
    ;;
  *)
    echo "usage: web/scripts/test.sh unit|browser" >&2
    exit 2
    ;;
esac
