#!/usr/bin/env bash
# Installs what tests need, builds everything, and runs every check and every test.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

scripts/setup.sh --test
mkdir -p build/results
tools/check_layers.py
tools/check_format.sh
tools/check_text.sh
tools/run_clang_tidy.py -j "$(job_count)"
ctest --preset cpu -j "$(job_count)" --output-junit "$PWD/build/results/cpu.xml"
