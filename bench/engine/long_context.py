#!/usr/bin/env python3
"""Creates a long context of real text, asks it, and plots times per token over its length.

    bench/engine/long_context.py TEXT… --tokens 1000000 --work DIR [--model DIR] [--memory 1G]

The texts are repeated until there is enough. Stopped at any moment, the same command goes on where
it was: the context by itself, the timings in DIR/timings.json. Beside wall time it records processor
time, user and system of all threads: on a machine shared with other work only that is comparable.
A run that was stopped leaves out what it had computed past its last recorded progress. Writes DIR/long_context.json, .svg
and, where rsvg-convert is installed, .png.
"""

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import position_plot

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build/cpu/bin/minimax"
NAME = "long"
# "prefill  18 %  10752/60027 tokens  2026/s  0:24 left"
PROGRESS = re.compile(r"prefill +\d+ % +(\d+)/(\d+) tokens")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default="")
    parser.add_argument("--memory", default="", help="bound of all but the weights, e.g. 1G")
    parser.add_argument("--question", default="Who is the story about?")
    return parser.parse_args()


def minimax(arguments, options):
    command = [str(PROGRAM), *arguments, "--context-dir", str(options.work / "contexts")]
    command += ["-m", options.model] if options.model else []
    return command + (["--memory", options.memory] if options.memory else [])


def device(options):
    """Version, commit and device as `minimax bench` reports them."""
    result = subprocess.run(
        [str(PROGRAM), "bench", "-p", "64", "-n", "4", "-r", "1", "--json",
         *(["-m", options.model] if options.model else [])],
        stdout=subprocess.PIPE, text=True, check=True)
    report = json.loads(result.stdout)
    return {key: report[key] for key in ("version", "commit", "device")}


def count_tokens(options, text):
    """By the model's own tokenizer."""
    result = subprocess.run(
        [str(PROGRAM), "tokenize", "--json", *(["-m", options.model] if options.model else [])],
        input=text, capture_output=True, text=True, check=True)
    return len(json.loads(result.stdout)["ids"])


def write_text(options):
    """A beginning of the repeated texts that has at least `tokens` tokens, and few more."""
    path = options.work / "text.txt"
    if path.exists():
        return path
    source = "".join(p.read_text(errors="ignore") for p in options.texts)
    length = 4 * options.tokens
    while True:
        text = (source * (length // len(source) + 1))[:length]
        tokens = count_tokens(options, text)
        if options.tokens <= tokens <= 1.01 * options.tokens + 64:
            break
        # Half of what is allowed too much: tokens are not equally long everywhere.
        length = int(length * 1.005 * options.tokens / tokens)
    path.write_text(text)
    return path


def processor_seconds(pid):
    """User and system time of a process, all of its threads."""
    # The name of the program, in brackets, may hold anything; utime and stime are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def write_whole(path, text):
    """Replaces a file at once: a stop in the middle leaves the old one."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)


def create(options, text):
    """Runs the ingest; returns its result and points over all runs: [tokens, wall seconds,
    processor seconds]."""
    log = options.work / "timings.json"
    points = json.loads(log.read_text()) if log.exists() else []
    begin, begin_busy = points[-1][1:] if points else (0.0, 0.0)
    start = time.time()
    process = subprocess.Popen(
        minimax(["context", "create", NAME, "-f", str(text), "--json"], options),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        match = PROGRESS.search(line)
        if match and int(match[1]) > (points[-1][0] if points else 0):
            # Also once it has ended: it has not been waited for.
            busy = begin_busy + processor_seconds(process.pid)
            points.append([int(match[1]), begin + time.time() - start, busy])
            write_whole(log, json.dumps(points))
            print(line.rstrip(), file=sys.stderr)
        elif not match:
            print(line.rstrip(), file=sys.stderr)
    out = process.stdout.read()
    if process.wait() != 0:
        sys.exit("long_context: stopped; the same command goes on from here")
    return json.loads(out), points


def ask(options):
    result = subprocess.run(
        minimax(["context", "ask", NAME, options.question, "--json", "--temp", "0", "-n", "32"],
                options), capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


def plot(points, path):
    """Microseconds per token between progress lines, over the position."""
    # A progress line may come right after another, as the last does: too few tokens to divide by.
    usual = statistics.median(b[0] - a[0] for a, b in zip(points, points[1:]))
    steps = [(a, b) for a, b in zip(points, points[1:]) if 2 * (b[0] - a[0]) >= usual]
    lines = [(label, color, [(b[0], 1e6 * (b[part] - a[part]) / (b[0] - a[0])) for a, b in steps])
             for part, label, color in ((1, "wall time (other work shares the machine)", "#bbbbbb"),
                                        (2, "processor time, all threads", "#1f6feb"))]
    # Waits for other work stand out of the picture: its top is for the processor time.
    position_plot.draw(lines, points[-1][0], max(y for _, y in lines[1][2]), path)


def main():
    options = parse_arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    os.environ.pop("MINIMAX_CONTEXT_DIR", None)
    made, points = create(options, write_text(options))
    answer = ask(options)
    report = {**device(options),
              "command": f"bench/engine/long_context.py {' '.join(map(str, options.texts))} "
                         f"--tokens {options.tokens} --memory {options.memory}",
              "created": made,
              "seconds": points[-1][1] if points else made["seconds"],
              "processor_seconds": points[-1][2] if points else None,
              "answer": {key: answer[key] for key in
                         ("text", "prompt_tokens", "cached_tokens", "replayed_tokens", "timings")},
              "memory_bound": options.memory,
              "most_memory_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
              "points": points}  # [tokens, wall seconds, processor seconds]
    (options.work / "long_context.json").write_text(json.dumps(report, indent=1) + "\n")
    if len(points) > 2:
        plot(points, options.work / "long_context.svg")
    share = answer["timings"]["first_token_seconds"] / report["seconds"]
    print(f'{made["tokens"]} tokens in {report["seconds"]:.0f} s, '
          f'{report["processor_seconds"] or 0:.0f} s of processor time; first token of an answer after '
          f'{answer["timings"]["first_token_seconds"]:.2f} s ({100 * share:.2f} % of that); '
          f'{report["most_memory_mb"]:.0f} MB')


if __name__ == "__main__":
    main()
