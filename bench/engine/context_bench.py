#!/usr/bin/env python3
"""What a stored context saves and costs: creating it against a plain prefill, asking it again.

    bench/engine/context_bench.py TEXT… --tokens 100000 --work DIR [--model DIR] [--pairs 3]

The texts are repeated until there is enough. In each pair the same text is prefilled plainly
(`minimax run`), and made a context (`minimax context create`), which is then asked; which of the two
comes first alternates. DIR should be on a real disk. Writes DIR/context_bench.json after each pair:
all pairs so far, and the medians of the ratios.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from long_context import PROGRAM, device, write_text

NAME = "bench"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default="")
    parser.add_argument("--question", default="Who is the story about?")
    return parser.parse_args()


def minimax(options, *arguments):
    model = ["-m", options.model] if options.model else []
    result = subprocess.run([str(PROGRAM), *map(str, arguments), *model, "--json"],
                            stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout)


def measure(options, text, plain_first):
    folder = ["--context-dir", options.work / "contexts"]
    pair = {}

    def plain():
        result = minimax(options, "run", "-f", text, "-n", 1, "--temp", 0)
        pair["prompt_tokens"] = result["prompt_tokens"]
        pair["plain_seconds"] = result["timings"]["prefill_seconds"]

    def create():
        made = minimax(options, "context", "create", NAME, "-f", text, *folder)
        pair["create_seconds"] = made["seconds"]
        pair["write_seconds"] = made["write_seconds"]
        pair["context_tokens"] = made["tokens"]
        pair["context_bytes"] = made["bytes"]

    for step in (plain, create) if plain_first else (create, plain):
        step()
    asked = minimax(options, "context", "ask", NAME, options.question, "-n", 8, "--temp", 0, *folder)
    for key in ("cached_tokens", "replayed_tokens"):
        pair[key] = asked[key]
    pair["first_token_seconds"] = asked["timings"]["first_token_seconds"]
    subprocess.run([str(PROGRAM), "context", "rm", NAME, *map(str, folder)], check=True)
    pair["create_to_plain"] = pair["create_seconds"] / pair["plain_seconds"]
    pair["first_token_to_plain"] = pair["first_token_seconds"] / pair["plain_seconds"]
    print(json.dumps(pair), file=sys.stderr)
    return pair


def main():
    options = parse_arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    os.environ.pop("MINIMAX_CONTEXT_DIR", None)
    text = write_text(options)
    report = device(options)
    report["command"] = (f"bench/engine/context_bench.py {' '.join(map(str, options.texts))} "
                         f"--tokens {options.tokens} --pairs {options.pairs}")
    pairs = []
    for i in range(options.pairs):
        pairs.append(measure(options, text, plain_first=i % 2 == 0))
        for key in ("create_to_plain", "first_token_to_plain"):
            report[key] = statistics.median(pair[key] for pair in pairs)
        report["pairs"] = pairs
        (options.work / "context_bench.json").write_text(json.dumps(report, indent=1) + "\n")
    print(f"creating takes {100 * report['create_to_plain']:.1f} % of a plain prefill, the first "
          f"token of an answer {100 * report['first_token_to_plain']:.2f} %")


if __name__ == "__main__":
    main()
