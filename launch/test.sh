#!/usr/bin/env bash
# Sets up .venv and runs the tests; arguments go to pytest, such as: ./launch/test.sh -x tests/model
set -euo pipefail
cd "$(dirname "$0")/.."
. launch/setup.sh
set_up
exec "${VENV:-.venv}/bin/python" -m pytest -n 2 "$@"
