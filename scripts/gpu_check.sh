#!/usr/bin/env bash
# Checks and times the CUDA backend on a Hopper GPU: parity with the reference, golden models, the
# engine, an answer of the bundled model, compute-sanitizer on small shapes, benchmarks of kernels
# and of models. One short table comes last.
#   scripts/gpu_check.sh [--binaries DIR] [--results DIR] [--no-sanitizer] [--only CHECK,CHECK…]
#                        [--config FILE] [--long-config FILE] [BENCH GROUP…]
# Builds the cuda preset, or takes the programs from DIR (mm_ops_cuda_test, mm_model_cuda_test,
# mm_engine_cuda_test, minimax, mm_cuda_bench, and beside them lib/ with the shared libraries they
# were built with, minimax's libssl.so.3 and libcrypto.so.3 among them): then this machine needs
# nothing but a driver, the CUDA toolkit and the checkout.
# Checks: ops, models, engine, run, sanitizer, kernels, bench, long. --config names a config.json for
# random weights that `minimax bench` times too, --long-config one that prefills a million tokens
# (../shared/bench/gpu-slice2.json and gpu-slice4.json where they exist).
# Writes DIR/gpu-<device>-<commit>.json and gpu-model-… (bench/results by default).
set -euo pipefail
source "$(dirname "$0")/lib.sh"

binaries="" results=bench/results groups=()
only=ops,models,engine,run,sanitizer,kernels,bench,long
config=../shared/bench/gpu-slice2.json long_config=../shared/bench/gpu-slice4.json
while [ $# -gt 0 ]; do
  case $1 in
    --binaries | --results | --only | --config | --long-config)
      [ $# -ge 2 ] || die "$1 needs a value"
      name=${1#--}
      declare "${name//-/_}=$2"
      shift 2
      ;;
    --no-sanitizer) only=${only/sanitizer,/} && shift ;;
    lightning | experts | softmax | sampling | upload) groups+=("$1") && shift ;;
    *) die "unknown argument $1: --binaries DIR, --results DIR, --no-sanitizer, --only CHECKS, --config FILE, --long-config FILE, lightning, experts, softmax, sampling, upload" ;;
  esac
done

wanted() { [[ ",$only," == *",$1,"* ]]; }
programs=()
if wanted ops || wanted sanitizer; then programs+=(mm_ops_cuda_test); fi
if wanted models; then programs+=(mm_model_cuda_test); fi
if wanted engine || wanted sanitizer; then programs+=(mm_engine_cuda_test); fi
if wanted run || wanted bench || wanted long; then programs+=(minimax); fi
if wanted kernels; then programs+=(mm_cuda_bench); fi

command -v nvidia-smi >/dev/null || die "nvidia-smi not found: this needs a GPU and its driver"
device=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1)

if [ -z "$binaries" ]; then
  binaries=build/gpu_check
  quietly build/log/gpu_check.log "cuda build" bash -c "cmake --preset cuda &&
    cmake --build --preset cuda -j $(job_count) --target ${programs[*]}"
  mkdir -p "$binaries"
  for program in "${programs[@]}"; do
    find build/cuda -type f -name "$program" -exec cp {} "$binaries/" \;
  done
fi
for program in "${programs[@]}"; do
  [ -x "$binaries/$program" ] || die "$binaries/$program is missing or not executable"
done
export MINIMAX_SOURCE_DIR=${MINIMAX_SOURCE_DIR:-$PWD}
# The RUNPATH of a program does not reach the libraries of its libraries.
libraries=$(cd "$binaries" && pwd)/lib
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}:/usr/local/cuda/lib64:$libraries
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
small+=':*Linear*fp8:*Linear*int4_32:*Fused*:*Gated*:*Residual*:*TokenDraw*Small*'

# in_parts PROGRAM ARGUMENTS…: a test program's cases in as many processes as help.
in_parts() {
  local parts=$(($(nproc) < 8 ? $(nproc) : 8)) failed=0 pids=() part
  for ((part = 0; part < parts; ++part)); do
    GTEST_TOTAL_SHARDS=$parts GTEST_SHARD_INDEX=$part "$@" &
    pids+=($!)
  done
  for part in "${pids[@]}"; do wait "$part" || failed=1; done
  return "$failed"
}

# An answer on the device: not empty, computed there, and in f32 the one of the host (the text is
# greedy, and short enough that no two ids come within the bounds of docs/numerics.md).
answer() {
  local prompt="Tell me a story about a dog." flags=(-m models/mini --compute f32 --temp 0 -n 48)
  "$binaries/minimax" run "${flags[@]}" -p "$prompt" --device cuda -v 2>build/log/gpu_run.err |
    tee build/log/gpu_run.cuda
  cat build/log/gpu_run.err
  grep -q "cuda:0" build/log/gpu_run.err || return 1
  "$binaries/minimax" run "${flags[@]}" -p "$prompt" --device cpu --quiet >build/log/gpu_run.cpu
  [ -s build/log/gpu_run.cuda ] && diff build/log/gpu_run.cpu build/log/gpu_run.cuda
}

# bench_model NAME FLAGS…: minimax bench on the device, its JSON beside the others.
bench_model() {
  local name=$1
  shift
  "$binaries/minimax" bench --device cuda "$@" --quiet --out "build/log/gpu_model_$name.json"
}

# keep JSON PREFIX: the results of a bench, named after device and commit.
keep() {
  local json=$1 prefix=$2 commit name
  [ -f "$json" ] || return 0
  commit=$(sed -n 's/.*"commit": "\(.*\)".*/\1/p' "$json" | head -n 1)
  name=$prefix-$(tr 'A-Z ' 'a-z-' <<<"$device" | sed 's/^nvidia-//')-$commit.json
  mv "$json" "$results/$name"
  summary+=("results: $results/$name")
}

if wanted ops; then
  check "op parity" build/log/gpu_ops.log in_parts "$binaries/mm_ops_cuda_test" --gtest_brief=1
fi
if wanted models; then
  check "golden models" build/log/gpu_models.log "$binaries/mm_model_cuda_test" --gtest_brief=1
fi
if wanted engine; then
  check "engine" build/log/gpu_engine.log "$binaries/mm_engine_cuda_test" --gtest_brief=1
fi
if wanted run; then
  check "answer of models/mini" build/log/gpu_run.log answer
fi
if wanted sanitizer; then
  tool=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
  [ -x "$tool" ] || die "compute-sanitizer not found: install the CUDA toolkit or use --no-sanitizer"
  for kind in memcheck racecheck; do
    check "compute-sanitizer $kind" "build/log/gpu_$kind.log" in_parts "$tool" --tool "$kind" \
      --error-exitcode 1 "$binaries/mm_ops_cuda_test" --gtest_brief=1 --gtest_filter="$small"
  done
  check "compute-sanitizer engine" build/log/gpu_memcheck_engine.log "$tool" --tool memcheck \
    --error-exitcode 1 "$binaries/mm_engine_cuda_test" --gtest_brief=1 \
    --gtest_filter="*HostCache*:*EngineDrawsTheGoldenTokens/tiny*:*DrawsAreThoseOfTheHost/tiny"
fi
tables=()
# bench_peers COMMIT: cuDNN and cuBLAS through PyTorch, where there is one; what they reach on
# another card says little.
bench_peers() {
  local commit=$1 log=build/log/gpu_peers.log json=build/log/gpu_peers.json
  if ! python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    summary+=("peers: no PyTorch with CUDA here, not timed")
    return
  fi
  check "peers" "$log" python3 bench/ops/cuda/peers.py --json "$json"
  tables+=("$log")
  [ ! -f "$json" ] || sed -i "s/^{/{\n  \"commit\": \"$commit\",/" "$json"
  keep "$json" gpu-peers
}
# bench_mini GRAPHS [in-order]: the bundled model.
bench_mini() {
  local graphs=$1 name=graphs-$1${2:+-$2} mode=()
  local log=build/log/gpu_bench_mini_$name.log
  [ -z "${2:-}" ] || mode=(--cuda-overlap off)
  check "models/mini, graphs $graphs ${2:-}" "$log" bench_model mini --cuda-graphs "$graphs" \
    -m models/mini -p 512,2048 -n 64 --prefill-chunk 2048 "${mode[@]}"
  tables+=("$log")
  keep build/log/gpu_model_mini.json "gpu-mini-$name"
}
# bench_config FORMAT PROMPTS DEPTHS [deterministic|in-order]: random weights of the shape of $config.
bench_config() {
  local format=$1 prompts=$2 depths=$3 name mode=()
  [ -f "$config" ] || return 0
  name=$(basename "$config" .json)
  name=${name#gpu-}-$format${4:+-$4}
  case ${4:-} in
    deterministic) mode=(--deterministic) ;;
    in-order) mode=(--cuda-overlap off) ;;
  esac
  local log=build/log/gpu_bench_$name.log
  check "$name" "$log" bench_model config --config "$config" --format "$format" \
    -p "$prompts" -n 64 --depth "$depths" --prefill-chunk 16384 -r 3 "${mode[@]}"
  tables+=("$log")
  keep build/log/gpu_model_config.json "gpu-$name"
}
# bench_long: a million tokens through the shape of $long_config, in chunks.
bench_long() {
  local log=build/log/gpu_bench_long.log
  [ -f "$long_config" ] || return 0
  check "a million tokens" "$log" bench_model long --config "$long_config" -p 1000000 -n 32 \
    --depth 0 --prefill-chunk 16384 -r 1
  tables+=("$log")
  keep build/log/gpu_model_long.json gpu-million
}
if wanted kernels; then
  json=build/log/gpu_bench.json
  check "kernels" build/log/gpu_bench.log "$binaries/mm_cuda_bench" --json "$json" "${groups[@]}"
  tables+=(build/log/gpu_bench.log)
  commit=$(sed -n 's/.*"commit": "\(.*\)".*/\1/p' "$json" | head -n 1)
  keep "$json" gpu
  bench_peers "$commit"
fi
if wanted bench; then
  for graphs in off on; do bench_mini "$graphs"; done
  bench_mini on in-order # what overlap is worth is the distance to the row without
  for format in bf16 fp8; do bench_config "$format" 4096,16384,131072 1024,32768; done
  bench_config bf16 0 1024,32768 in-order
  bench_config int8 16384 1024
  bench_config bf16 16384 1024 deterministic # its cost is the distance to the row without
fi
if wanted long; then bench_long; fi
echo "$device"
[ ${#tables[@]} -eq 0 ] || cat "${tables[@]}"
printf '%s\n' "${summary[@]}"
exit "$failed"
