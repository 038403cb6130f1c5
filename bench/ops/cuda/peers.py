#!/usr/bin/env python3
"""Times what else runs on the device beside our kernels: cuDNN's attention and cuBLAS's products.

    bench/ops/cuda/peers.py [--json FILE]

Random data, medians, the shapes of the softmax rows of mm_cuda_bench, through PyTorch. FLOPs count
the causal half. Exits with 3 where there is no PyTorch with CUDA.
"""

import argparse
import json
import statistics
import sys

HEADS, KV_HEADS, SIZE = 64, 8, 128


def seconds(torch, work, repeats):
    """Median time of `work` on the device."""
    for _ in range(3):
        work()
    times = []
    for _ in range(repeats):
        begin = torch.cuda.Event(enable_timing=True)
        end = torch.cuda.Event(enable_timing=True)
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / 1e3)
    return statistics.median(times)


def time_attention(torch, length, repeats):
    """TFLOP/s of cuDNN's causal attention over `length` tokens."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    def make(heads):
        return torch.randn(1, heads, length, SIZE, device="cuda", dtype=torch.bfloat16)

    q, k, v = make(HEADS), make(KV_HEADS), make(KV_HEADS)
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        time = seconds(
            torch,
            lambda: torch.nn.functional.scaled_dot_product_attention(
                q, k, v, is_causal=True, enable_gqa=True
            ),
            repeats,
        )
    return 2 * 2 * HEADS * SIZE * length * (length + 1) / 2 / time / 1e12


def time_product(torch, rows, depth, outputs, repeats):
    """TFLOP/s of x [rows, depth] times w [outputs, depth]ᵀ in bf16."""
    x = torch.randn(rows, depth, device="cuda", dtype=torch.bfloat16)
    w = torch.randn(outputs, depth, device="cuda", dtype=torch.bfloat16)
    return 2 * rows * depth * outputs / seconds(torch, lambda: x @ w.T, repeats) / 1e12


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", help="write the rows there too")
    args = parser.parse_args()
    try:
        import torch
    except ImportError:
        sys.exit(3)
    if not torch.cuda.is_available():
        sys.exit(3)
    rows = []
    for length, repeats in ((8192, 20), (32768, 9), (131072, 3)):
        rate = time_attention(torch, length, repeats)
        shape = f"64/8x128 n={length}"
        rows.append({"name": "cuDNN causal attention", "shape": shape, "tflops": rate})
    for shape in ((16384, 6144, 24576), (512, 6144, 18432), (512, 9216, 6144)):
        rate = time_product(torch, *shape, 40)
        text = f"{shape[0]}x{shape[1]} times {shape[1]}x{shape[2]}"
        rows.append({"name": "cuBLAS product", "shape": text, "tflops": rate})
    for row in rows:
        print(f"{row['name']:24} {row['shape']:32} {row['tflops']:6.0f} TFLOP/s")
    if args.json:
        versions = {
            "torch": torch.__version__,
            "cudnn": torch.backends.cudnn.version(),
            "device": torch.cuda.get_device_name(),
        }
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({**versions, "rows": rows}, file, indent=2)
            file.write("\n")


if __name__ == "__main__":
    main()
