#!/usr/bin/env bash
# Runs a command again as long as it asks for it: exit code 75, or 134, JAX's own abort when
# it loses the process that all meet at. Any other code is final, and handed on.
#
#   ./launch/again.sh sae-jax train --config=experiments/wordnet.py --workdir=runs/wordnet
#
# AGAIN_MOST=20 bounds the repetitions, AGAIN_WAIT=10 is the pause before each, in seconds.
# SIGTERM and Ctrl-C reach the command, which saves; it is then not run again.
set -uo pipefail

stopped=
trap 'stopped=1; kill -TERM "$child" 2>/dev/null' TERM INT
for ((n = 0; ; n++)); do
  "$@" &
  child=$!
  wait "$child"
  code=$?
  while kill -0 "$child" 2>/dev/null; do # a signal ends `wait` before the command
    wait "$child"
    code=$?
  done
  case $code in
    75 | 134) ;;
    *) exit "$code" ;;
  esac
  if [ -n "$stopped" ] || ((n >= ${AGAIN_MOST:-20})); then exit "$code"; fi
  echo "again.sh: exit code $code; running the command again" >&2
  sleep "${AGAIN_WAIT:-10}"
done
