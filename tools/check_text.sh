#!/usr/bin/env bash
# Fails on trailing space in our text files, on a tracked file over 1 MB outside models/ and tests/,
# and when all tracked files together pass 40 MB.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly max_file=$((1024 * 1024))
readonly max_total=$((40 * 1000 * 1000))
git=(git -c safe.directory='*')
status=0
if "${git[@]}" grep -nIE '[[:blank:]]+$' -- . ':!LICENSE' ':!models' ':!tests/golden' ':!tests/data'; then
  echo "check_text: trailing space in the lines above" >&2
  status=1
fi
total=0
while IFS= read -r -d '' file; do
  if [ ! -f "$file" ]; then
    continue
  fi
  size=$(stat -c %s "$file")
  total=$((total + size))
  case $file in
    models/* | tests/*) ;;
    *)
      if [ "$size" -gt "$max_file" ]; then
        echo "check_text: $file has $size bytes, at most $max_file" >&2
        status=1
      fi
      ;;
  esac
done < <("${git[@]}" ls-files -z)
if [ "$total" -gt "$max_total" ]; then
  echo "check_text: tracked files have $total bytes together, at most $max_total" >&2
  status=1
fi
if [ "$status" -eq 0 ]; then
  echo "text: $total bytes tracked, no finding"
fi
exit "$status"
