#!/usr/bin/env python3
"""Plots the steps of the longest prefill that `minimax bench --out JSON` measured.

    bench/engine/plot_prefill.py JSON PATH.svg
"""

import json
import sys
from pathlib import Path

import position_plot


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    results = json.loads(Path(sys.argv[1]).read_text())["results"]
    longest = max((row for row in results if row.get("steps")), default=None,
                  key=lambda row: row["tokens"])
    if longest is None:
        sys.exit(f"{sys.argv[1]}: no prefill of several steps in it")
    points = [(0, 0.0)] + [(step["tokens"], step["seconds"]) for step in longest["steps"]]
    whole = points[1][0]  # the last step may be a rest
    line = [(b[0], 1e6 * (b[1] - a[1]) / (b[0] - a[0]))
            for a, b in zip(points, points[1:]) if b[0] - a[0] == whole]
    position_plot.draw([("wall time", "#1f6feb", line)], points[-1][0], max(y for _, y in line),
                       Path(sys.argv[2]))


if __name__ == "__main__":
    main()
