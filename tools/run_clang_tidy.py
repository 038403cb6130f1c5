#!/usr/bin/env python3
"""Runs clang-tidy 14 over what a build folder compiles, skipping files already found clean.

A file is skipped when its compile command, its text, the text of every project header it includes,
the configuration and clang-tidy's version are those of an earlier clean run (stamps in
BUILD/tidy/). Needs a finished build: ninja's dependency log names the headers.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("src", "apps", "tests", "bench")

# g++ options clang does not know are no finding. Highway compiles a file once per instruction set;
# one is enough to read it. The analyzer gives up on a function after this many states: the default
# (225,000) spends four fifths of the time inside fmt's templates.
EXTRA = [
    "-Wno-unknown-warning-option",
    "-DHWY_COMPILE_ONLY_STATIC",
    "-Xclang", "-analyzer-config", "-Xclang", "max-nodes=20000",
]


def find_clang_tidy():
    """clang-tidy of the version whose checks .clang-tidy was written for."""
    for name in ("clang-tidy-14", "clang-tidy"):
        path = shutil.which(name)
        if path:
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
            if "version 14." in version.stdout:
                return path, version.stdout
    sys.exit("run_clang_tidy: clang-tidy 14 not found: run scripts/setup.sh --test")


def read_dependencies(build):
    """object path -> project files it was made from, from ninja's log."""
    text = subprocess.run(
        ["ninja", "-C", str(build), "-t", "deps"], capture_output=True, text=True, check=True
    ).stdout
    dependencies, current = {}, None
    for line in text.splitlines():
        if line.startswith("    "):
            path = os.path.normpath(build / line.strip())
            if path.startswith(f"{ROOT}{os.sep}"):
                current.append(path)
        elif ":" in line:
            current = dependencies.setdefault(line.split(":")[0], [])
    return dependencies


def fingerprint(entry, headers, version):
    """Changes when the outcome for this file may change."""
    digest = hashlib.sha256()
    configs = [ROOT / ".clang-tidy", ROOT / "tests" / ".clang-tidy", Path(__file__)]
    for text in (version, entry["command"]):
        digest.update(text.encode())
    for path in [*configs, Path(entry["file"]), *map(Path, sorted(set(headers)))]:
        digest.update(path.read_bytes() if path.is_file() else b"absent")
    return digest.hexdigest()


def select(build, filters):
    """Compile commands of our own C++ files, CUDA left out: clang 14 cannot parse CUDA 13."""
    commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    entries = {}
    for entry in commands:
        path = Path(entry["file"])
        if path.suffix != ".cc" or ROOT not in path.parents:
            continue
        relative = str(path.relative_to(ROOT))
        if relative.split(os.sep)[0] in FOLDERS and "/cuda/" not in relative:
            if not filters or any(text in relative for text in filters):
                entries[relative] = entry
    return entries


def run_one(tidy, build, entry):
    """clang-tidy's findings for one file; empty when there is none."""
    extra = [f"--extra-arg={argument}" for argument in EXTRA]
    result = subprocess.run(
        [tidy, "--quiet", "-p", str(build), *extra, entry["file"]],
        capture_output=True, text=True, check=False,
    )
    if result.returncode == 0:
        return ""
    return result.stdout + "".join(
        line + "\n" for line in result.stderr.splitlines() if "warnings generated" not in line
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("filters", nargs="*", help="only files whose path contains one of these")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "cpu")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    if not (build / "compile_commands.json").is_file():
        sys.exit(f"run_clang_tidy: {build} is not configured: run cmake --preset cpu")
    tidy, version = find_clang_tidy()
    entries = select(build, arguments.filters)
    dependencies = read_dependencies(build)
    stamps = build / "tidy"
    stamps.mkdir(exist_ok=True)

    todo = {}
    for relative, entry in entries.items():
        stamp = stamps / fingerprint(entry, dependencies.get(entry.get("output"), []), version)
        if not stamp.exists():
            todo[relative] = (entry, stamp)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        futures = {
            pool.submit(run_one, tidy, build, entry): stamp for entry, stamp in todo.values()
        }
        for future in concurrent.futures.as_completed(futures):
            findings = future.result()
            if findings:
                failed += 1
                print(findings, flush=True)
            else:
                futures[future].touch()
    print(f"clang-tidy: {len(entries)} files, {len(todo)} checked now, {failed} with findings")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
