#!/usr/bin/env bash
# Fails when a tracked C++ or CUDA file is not formatted as .clang-format says (version 14: others
# format differently). With --fix, formats them instead.
set -euo pipefail
cd "$(dirname "$0")/.."

tool=""
for name in clang-format-14 clang-format; do
  if command -v "$name" >/dev/null && "$name" --version | grep -q 'version 14\.'; then
    tool=$name
    break
  fi
done
if [ -z "$tool" ]; then
  echo "check_format: clang-format 14 not found: run scripts/setup.sh --test" >&2
  exit 1
fi

# safe.directory: a checkout that belongs to another user (a container's) is fine to read.
mapfile -t files < <(git -c safe.directory='*' ls-files '*.cc' '*.h' '*.cu' '*.cuh')
if [ ${#files[@]} -eq 0 ]; then
  echo "check_format: no tracked source file found; is this a git checkout?" >&2
  exit 1
fi
if [ "${1:-}" = --fix ]; then
  "$tool" -i "${files[@]}"
else
  "$tool" --dry-run -Werror "${files[@]}"
  echo "format: ${#files[@]} files, no finding"
fi
