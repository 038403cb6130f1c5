#!/usr/bin/env python3
"""Compiles the hot CUDA kernels and fails on what makes them slow in silence.

ptxas only notes that it serialised wgmma (C7510 to C7520), ignored setmaxnreg (C7508), or moved
registers to memory (spills); warnings-as-errors do not see these notes. Reads the compile commands
of a build of the cuda preset, compiles each kernel of HOT again with -Xptxas -v, and prints one line
per finding.

    tools/check_ptxas.py [build/cuda]
"""

import json
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HOT = (
    "lightning_prefill_sm90.cu",
    "lightning_decode.cu",
    "grouped_gemm_sm90.cu",
    "grouped_gemm_fp8_sm90.cu",
    "narrow_linear.cu",
    "skinny_linear.cu",
    "softmax_decode.cu",
    "softmax_prefill_sm90.cu",
)
NOTE = re.compile(r"\(C75\d\d\)|setmaxnreg.*ignored", re.IGNORECASE)
SPILL = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
FUNCTION = re.compile(r"Compiling entry function '(\S+)'")


def findings(output):
    """What a compiler's output says of slow code, one text each."""
    found = []
    function = "?"
    for line in output.splitlines():
        named = FUNCTION.search(line)
        if named:
            function = named.group(1)
        spill = SPILL.search(line)
        if spill and (int(spill.group(1)) or int(spill.group(2))):
            found.append(f"{function}: {spill.group(0)}")
        if NOTE.search(line):
            found.append(line.strip())
    return found


def compile_again(entry):
    """Findings of one file."""
    command = shlex.split(entry["command"])
    command[command.index("-o") + 1] = "/dev/null"
    done = subprocess.run(
        command + ["-Xptxas", "-v"],
        cwd=entry["directory"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    name = Path(entry["file"]).name
    if done.returncode != 0:
        return [f"{name}: does not compile:\n{done.stdout}"]
    return [f"{name}: {text}" for text in findings(done.stdout)]


def main():
    build = Path(sys.argv[1] if len(sys.argv) > 1 else "build/cuda")
    commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    hot = {Path(c["file"]).name: c for c in commands if Path(c["file"]).name in HOT}
    missing = [name for name in HOT if name not in hot]
    if missing:
        sys.exit(f"check_ptxas: {build} does not compile {', '.join(missing)}")
    with ThreadPoolExecutor(2) as pool:
        found = [text for texts in pool.map(compile_again, hot.values()) for text in texts]
    for text in found:
        print(text)
    if not found:
        print(f"ptxas: {len(hot)} kernels, no finding")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
