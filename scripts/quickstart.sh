#!/usr/bin/env bash
# From a fresh clone to a talking model: installs, builds, and answers the prompt given as
# arguments, or opens the chat when there is none and this is a terminal.
#   scripts/quickstart.sh
#   scripts/quickstart.sh Tell me a story about a dog.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

scripts/setup.sh --target minimax
minimax=build/cpu/bin/minimax
if [ $# -gt 0 ]; then
  exec "$minimax" run -p "$*"
elif [ -t 0 ] && [ -t 1 ]; then
  exec "$minimax" chat
else
  prompt="Tell me a story about a dog."
  say "no prompt and no terminal; asking: $prompt"
  exec "$minimax" run -p "$prompt"
fi
