#!/usr/bin/env bash
# Checks and times the CUDA backend on a Hopper GPU: parity with the reference, golden models,
# compute-sanitizer on small shapes, benchmarks. One short table comes last.
#   scripts/gpu_check.sh [--binaries DIR] [--results DIR] [--no-sanitizer] [BENCH GROUP…]
# Builds the cuda preset, or takes the programs from DIR (mm_ops_cuda_test, mm_model_cuda_test,
# mm_cuda_bench, and beside them lib/ with the shared libraries they were built with): then this
# machine needs nothing but a driver, the CUDA toolkit and the checkout.
# Writes DIR/gpu-<device>-<commit>.json (bench/results by default).
set -euo pipefail
source "$(dirname "$0")/lib.sh"

binaries="" results=bench/results sanitizer=yes groups=()
while [ $# -gt 0 ]; do
  case $1 in
    --binaries | --results)
      [ $# -ge 2 ] || die "$1 needs a folder"
      if [ "$1" = --binaries ]; then binaries=$2; else results=$2; fi
      shift 2
      ;;
    --no-sanitizer) sanitizer=no && shift ;;
    lightning | experts | softmax) groups+=("$1") && shift ;;
    *) die "unknown argument $1: --binaries DIR, --results DIR, --no-sanitizer, lightning, experts, softmax" ;;
  esac
done

command -v nvidia-smi >/dev/null || die "nvidia-smi not found: this needs a GPU and its driver"
device=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1)

if [ -z "$binaries" ]; then
  binaries=build/gpu_check
  quietly build/log/gpu_check.log "cuda build" bash -c "cmake --preset cuda &&
    cmake --build --preset cuda -j $(job_count) --target mm_ops_cuda_test mm_model_cuda_test mm_cuda_bench"
  mkdir -p "$binaries"
  cp build/cuda/tests/mm_ops_cuda_test build/cuda/tests/mm_model_cuda_test \
    build/cuda/bench/ops/cuda/mm_cuda_bench "$binaries/"
fi
for program in mm_ops_cuda_test mm_model_cuda_test mm_cuda_bench; do
  [ -x "$binaries/$program" ] || die "$binaries/$program is missing or not executable"
done
export MINIMAX_SOURCE_DIR=${MINIMAX_SOURCE_DIR:-$PWD}
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}:/usr/local/cuda/lib64
mkdir -p "$results" build/log

failed=0
summary=()
# check NAME LOG COMMAND…: one line of the table, from the exit status.
check() {
  local name=$1 log=$2 begin=$SECONDS verdict=ok
  shift 2
  if ! "$@" >"$log" 2>&1; then
    verdict=FAILED
    failed=1
    tail -n 30 "$log" >&2
  fi
  summary+=("$(printf '%-28s %-6s %4d s  %s' "$name" "$verdict" $((SECONDS - begin)) "$log")")
}

# Small shapes of every hand-written kernel; the whole list would take an hour under the tools.
small='*Fast*lightning_128*:*Fast*softmax_*128*:*Decoding*:*Uneven*:*Fast*group*:*Linear*bf16'

check "op parity" build/log/gpu_ops.log "$binaries/mm_ops_cuda_test" --gtest_brief=1
check "golden models" build/log/gpu_models.log "$binaries/mm_model_cuda_test" --gtest_brief=1
if [ "$sanitizer" = yes ]; then
  tool=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
  [ -x "$tool" ] || die "compute-sanitizer not found: install the CUDA toolkit or use --no-sanitizer"
  for kind in memcheck racecheck; do
    check "compute-sanitizer $kind" "build/log/gpu_$kind.log" "$tool" --tool "$kind" \
      --error-exitcode 1 "$binaries/mm_ops_cuda_test" --gtest_brief=1 --gtest_filter="$small"
  done
fi
json=build/log/gpu_bench.json
check "benchmarks" build/log/gpu_bench.log "$binaries/mm_cuda_bench" --json "$json" "${groups[@]}"
if [ -f "$json" ]; then
  commit=$(sed -n 's/.*"commit": "\(.*\)".*/\1/p' "$json")
  name=gpu-$(tr 'A-Z ' 'a-z-' <<<"$device" | sed 's/^nvidia-//')-$commit.json
  mv "$json" "$results/$name"
  summary+=("results: $results/$name")
fi
echo "$device"
cat build/log/gpu_bench.log
printf '%s\n' "${summary[@]}"
exit "$failed"
