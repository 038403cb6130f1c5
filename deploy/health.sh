#!/usr/bin/env bash
# Succeeds when a server on this machine is ready: GET /health answers 200. Needs bash alone.
# usage: health.sh [PORT]   (default: MINIMAX_PORT, else 8080; plain HTTP on loopback)
set -euo pipefail
port=${1:-${MINIMAX_PORT:-8080}}

exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
IFS= read -r -t 5 status <&3
[[ $status == 'HTTP/1.1 200 '* ]] || {
  echo "not ready: ${status%$'\r'}" >&2
  exit 1
}
