# shellcheck shell=bash
# Shared by the scripts of this folder; sourced, not run. Progress goes to stderr, so a script's
# stdout stays clean for results.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

say() { echo "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}

# One compiler per core, but no more than memory has room for (a big file needs about 1 GB).
job_count() {
  local cores memory_gb
  cores=$(nproc)
  memory_gb=$(awk '/MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
  if [ "$memory_gb" -lt "$cores" ]; then
    cores=$((memory_gb > 0 ? memory_gb : 1))
  fi
  echo "$cores"
}

find_nvcc() {
  command -v nvcc || { [ -x /usr/local/cuda/bin/nvcc ] && echo /usr/local/cuda/bin/nvcc; }
}

# quietly LOG TITLE COMMAND…: runs with all output in LOG; shows its last line on a terminal, one
# line with the time otherwise, and the end of LOG when the command fails.
quietly() {
  local log=$1 title=$2 begin=$SECONDS pid status=0
  shift 2
  mkdir -p "$(dirname "$log")"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  # Commands in the background ignore Ctrl-C, so it is passed on.
  trap 'kill "$pid" 2>/dev/null; exit 130' INT TERM
  while [ -t 2 ] && kill -0 "$pid" 2>/dev/null; do
    printf '\r\033[K%s: %s' "$title" "$(tail -n 1 "$log" | cut -c 1-60)" >&2
    sleep 0.5
  done
  wait "$pid" || status=$?
  trap - INT TERM
  if [ -t 2 ]; then
    printf '\r\033[K' >&2
  fi
  if [ "$status" -ne 0 ]; then
    tail -n 40 "$log" >&2
    die "$title failed (all of its output: $log)"
  fi
  say "$title: done in $((SECONDS - begin)) s"
}

# Totals of ctest's JUnit files in build/results/, as one line.
totals() {
  awk '
    /<testsuite / { suite = 1 }
    suite && match($0, /tests="[0-9]+"/) { tests += substr($0, RSTART + 7, RLENGTH - 8) }
    suite && match($0, /failures="[0-9]+"/) { failed += substr($0, RSTART + 10, RLENGTH - 11) }
    suite && match($0, /skipped="[0-9]+"/) { skipped += substr($0, RSTART + 9, RLENGTH - 10) }
    suite && match($0, /disabled="[0-9]+"/) { skipped += substr($0, RSTART + 10, RLENGTH - 11) }
    suite && />/ { suite = 0 }
    END { printf "%d passed, %d failed, %d skipped\n", tests - failed - skipped, failed, skipped }
  ' build/results/*.xml
}
