#!/usr/bin/env bash
# Ends the MiniStack that localstack/deploy.sh has started, and with it whatever
# is deployed there: what `make stop-local` runs.
set -euo pipefail
cd "$(dirname "$0")/.."

state=.build/endpoint-${GATEWAY_PORT:-4566}
if [ ! -s "$state/pid" ]; then
  echo "No endpoint was started here."
  exit 0
fi
pid=$(cat "$state/pid")
# A number can have gone to another process since.
if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q ministack/serve.py || ps -p "$pid" -o command= 2>/dev/null | grep -q ministack/serve.py; then
  kill "$pid"
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
  echo "Stopped the endpoint (process $pid)."
fi
rm -rf "$state"
