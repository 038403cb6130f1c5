#!/usr/bin/env bash
# The checks that need other compilers or other builds: CUDA, sanitizers, fuzzing.
#   scripts/ci_extra.sh [cuda|asan|tsan|fuzz]…     all of them by default
# FUZZ_SECONDS sets how long each fuzz target runs (60).
set -euo pipefail
source "$(dirname "$0")/lib.sh"

# The sanitizers of g++ 12 cannot place their shadow memory under the address randomisation of
# newer kernels.
fixed_addresses=()
if setarch "$(uname -m)" -R true 2>/dev/null; then
  fixed_addresses=(setarch "$(uname -m)" -R)
fi

# build PRESET [ARGUMENTS…]: configures and builds.
build() {
  local preset=$1
  shift
  cmake --preset "$preset"
  "${fixed_addresses[@]}" cmake --build --preset "$preset" -j "$(job_count)" "$@"
}

check_cuda() {
  local nvcc
  if ! nvcc=$(find_nvcc); then
    say "cuda: no nvcc in PATH or /usr/local/cuda/bin; not compiled"
    return
  fi
  quietly build/log/cuda.log "cuda build ($nvcc)" \
    build cuda --target mm_ops_cuda_test mm_model_cuda_test mm_engine_cuda_test minimax mm_cuda_bench
  tools/check_ptxas.py build/cuda
  ctest --preset cuda -L cuda --output-junit "$PWD/build/results/cuda.xml"
}

# check_sanitizer PRESET TESTS [TARGETS…]: builds and runs the tests whose names match.
check_sanitizer() {
  local preset=$1 tests=$2 targets=()
  shift 2
  if [ $# -gt 0 ]; then
    targets=(--target "$@")
  fi
  quietly "build/log/$preset.log" "$preset build" build "$preset" "${targets[@]}"
  # LeakSanitizer itself faults in programs that have used oneDNN, unless it leaves out the
  # thread-local blocks of libraries.
  LSAN_OPTIONS=suppressions=$PWD/tests/leaks.supp:print_suppressions=0:intercept_tls_get_addr=0 \
    UBSAN_OPTIONS=print_stacktrace=1 "${fixed_addresses[@]}" ctest --preset "$preset" \
    -j "$(job_count)" -R "$tests" -LE slow --output-junit "$PWD/build/results/$preset.xml"
}

check_asan() { check_sanitizer asan .; }

# Only the modules that run threads: the rest is the same code on one of them.
check_tsan() {
  check_sanitizer tsan '^(base|ops|engine|serve)\.' \
    mm_base_test mm_ops_test mm_engine_test mm_serve_test
}

# fuzz_one PROGRAM: runs it on its seeds and what earlier runs found worth keeping.
fuzz_one() {
  local program=$1 name seconds=${FUZZ_SECONDS:-60}
  name=$(basename "$program" _fuzz)
  local work=build/fuzz/run/$name
  local corpora=("$work/corpus")
  mkdir -p "$work/corpus"
  if [ -d "tests/fuzz/seeds/$name" ]; then
    corpora+=("tests/fuzz/seeds/$name")
  fi
  if ! "$program" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3072 \
    -artifact_prefix="$work/" "${corpora[@]}" >"$work/log" 2>&1; then
    tail -n 40 "$work/log" >&2
    say "fuzz: $name has a finding; the input is in $work/"
    return 1
  fi
  say "fuzz: $name: $(grep '^Done' "$work/log")"
}

check_fuzz() {
  scripts/setup.sh --fuzz --packages-only
  quietly build/log/fuzz.log "fuzz build" build fuzz --target fuzzers
  export -f fuzz_one say
  printf '%s\0' build/fuzz/tests/fuzz/*_fuzz |
    xargs -0 -n 1 -P "$(nproc)" bash -c 'set -euo pipefail; fuzz_one "$1"' bash ||
    die "fuzzing found something"
}

mkdir -p build/results
if [ $# -eq 0 ]; then
  set -- cuda asan tsan fuzz
fi
for check in "$@"; do
  case $check in
    cuda | asan | tsan | fuzz) "check_$check" ;;
    *) die "unknown check $check: cuda, asan, tsan or fuzz" ;;
  esac
done
