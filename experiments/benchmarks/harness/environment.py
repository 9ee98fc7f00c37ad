"""The peers' own environment, and what the results say of the machine and the versions."""

import contextlib
import datetime
import os
import pathlib
import platform
import subprocess
import sys
import venv
from importlib import metadata
from typing import Any

PINNED = (
    "torch==2.13.0",
    "sae-lens==6.54.12",
    "dictionary-learning==0.1.0",
    "eai-sparsify==1.3.3",
    "overcomplete==0.3.0",
    "matplotlib==3.8.4",  # overcomplete 0.3.0 fails with 3.9, whose cm has no get_cmap
)
OURS = ("jax", "jaxlib", "flax", "optax", "numpy")
READY = "installed.txt"  # in the environment: what `pip freeze` said when it was made


class SetUpError(Exception):
    """The peers' environment cannot be made or used."""


def peers_python(folder: pathlib.Path, *, pip_arguments: list[str]) -> str:
    """The Python of the peers' environment, which is made where it is not there.

    Where not all can be installed together, each is tried alone: a trainer whose package is
    missing then says so itself, and the others are compared.

    Raises:
        SetUpError: there is no environment to install into.
    """
    python = folder / "bin" / "python"
    ready = folder / READY
    if ready.exists() and has_pinned(ready.read_text()):
        return str(python)
    if not python.exists():
        print(f"Making the peers' environment in {folder}: some minutes, 4 GB.", flush=True)
        venv.create(folder, with_pip=True)
    try:
        pip(python, "install", *PINNED, *pip_arguments)
    except SetUpError as error:
        print(f"{error}\nTrying each package alone.", flush=True)
        for pin in PINNED:
            with contextlib.suppress(SetUpError):
                pip(python, "install", pin, *pip_arguments)
    ready.write_text(pip(python, "freeze"))
    return str(python)


def has_pinned(frozen: str) -> bool:
    """Whether a list of installed versions has every pinned one, local builds included."""
    installed = {line.split("+")[0].lower() for line in frozen.splitlines()}
    return all(pin in installed for pin in PINNED)


def pip(python: pathlib.Path, *words: str) -> str:
    done = subprocess.run(
        [str(python), "-m", "pip", "--disable-pip-version-check", *words],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SetUpError(
            f"pip {words[0]} failed in the peers' environment: "
            + without_places(" | ".join(done.stderr.strip().splitlines()[-3:]))[:800]
        )
    return done.stdout


def peer_versions(folder: pathlib.Path) -> dict[str, str]:
    """The pinned packages as they were installed."""
    wanted = {pin.split("==")[0] for pin in PINNED} | {"numpy", "transformers"}
    pairs = (line.split("==") for line in (folder / READY).read_text().splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and pair[0].lower() in wanted}


def device_kind() -> str:
    """Says cpu, or cuda where JAX sees a GPU; asked in a process that ends, and frees it."""
    done = subprocess.run(
        [sys.executable, "-c", "import jax; print(jax.default_backend())"],
        capture_output=True,
        text=True,
    )
    return "cuda" if done.stdout.strip() == "gpu" else "cpu"


def header(*, device: str, settings: dict[str, Any]) -> dict[str, Any]:
    import sae_jax

    return {
        "command": command_line(sys.argv),
        "date": datetime.date.today().isoformat(),
        "machine": machine(device),
        "versions": {name: metadata.version(name) for name in OURS}
        | {"sae_jax": sae_jax.__version__, "python": platform.python_version()},
        "settings": settings,
    }


def command_line(words: list[str]) -> str:
    """The command, its folders by their last name alone."""
    said = []
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if "/" in value:
            value = f"DATA/{pathlib.Path(value).name}"
        said.append(name + equals + value)
    return " ".join(["python", f"experiments/benchmarks/{pathlib.Path(words[0]).name}", *said])


def machine(device: str) -> dict[str, Any]:
    """Processor, cores, memory, and the GPU where there is one."""
    found: dict[str, Any] = {"cpu": cpu_model(), "cores": os.cpu_count()}
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    found["memory_gib"] = round(pages * size / 2**30)
    if device == "cuda":
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        names = subprocess.run(query, capture_output=True, text=True).stdout
        found["gpu"] = ", ".join(names.split("\n")[:-1])
    return found


def cpu_model() -> str:
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def without_places(text: str) -> str:
    """A message with this machine's folders left out: results are shared."""
    here = (sys.prefix, str(pathlib.Path(__file__).parents[3]), str(pathlib.Path.home()))
    for place in (*here, os.getcwd()):
        if len(place) > 1:
            text = text.replace(place, "…")
    return text
