#!/usr/bin/env bash
# Tests the program that MINIMAX_PROGRAM names with clients from npm. Without npm it skips with exit
# code 77, but never in CI. Arguments are vitest's, such as the name of a file.
set -euo pipefail
cd "$(dirname "$0")"
source ../../scripts/npm.sh

command -v npm >/dev/null || skip "npm is not installed"
install_packages .
# The clients want Node 22 or later. Debian 12 has 18, which npm can do with.
is_new() { [ "$(node --print 'parseInt(process.versions.node)')" -ge 22 ]; }
if ! is_new; then
  install_packages node
  for folder in "$PWD"/node/node_modules/node-linux-*/bin; do
    PATH=$folder:$PATH
  done
  if ! is_new; then
    echo "the clients want Node 22 or later, and this machine is none that npm has it for" >&2
    exit 1
  fi
fi
node node_modules/typescript/bin/tsc
node node_modules/vitest/vitest.mjs run "$@"
