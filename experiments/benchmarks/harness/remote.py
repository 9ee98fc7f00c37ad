"""The driver's end of a worker: one process, asked a JSON line at a time, asleep otherwise."""

import json
import os
import pathlib
import select
import subprocess
import sys
from typing import Any

from harness.environment import without_places

BENCHMARKS = pathlib.Path(__file__).parents[1]
ANSWER_SECONDS = 1_800.0  # longer than any request takes


class WorkerError(Exception):
    """A trainer could not do what it was asked; it is recorded, and others go on."""


class Remote:
    """A worker process of either environment."""

    def __init__(
        self,
        name: str,
        *,
        python: str,
        device: str,
        threads: int,
        logs: pathlib.Path,
        n_devices: int = 1,
    ) -> None:
        self.name = name
        logs.mkdir(parents=True, exist_ok=True)
        self._log = logs / f"{name}.log"
        ours = name.startswith("ours")
        command = [python, "-m", "harness.jax_worker" if ours else "harness.torch_worker"]
        if not ours:
            command += [f"--device={device}", f"--threads={threads}"]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                env=surroundings(device, threads=threads, n_devices=n_devices),
            )
        if hasattr(os, "sched_setaffinity"):
            cores = sorted(os.sched_getaffinity(0))[:threads]
            os.sched_setaffinity(self._process.pid, cores)

    def ask(self, **request: Any) -> dict[str, Any]:
        """Raises WorkerError where the worker answers with an error, dies, or is silent."""
        pipe = self._process
        assert pipe.stdin
        assert pipe.stdout
        try:
            pipe.stdin.write((json.dumps(request) + "\n").encode())
        except BrokenPipeError as error:
            raise WorkerError(self._last_words()) from error
        if not select.select([pipe.stdout], [], [], ANSWER_SECONDS)[0]:
            self.close()
            raise WorkerError(f"gave no answer to {request['do']} in {ANSWER_SECONDS:.0f} s")
        line = pipe.stdout.readline()
        if not line:
            raise WorkerError(self._last_words())
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise WorkerError(without_places(reply["error"]))
        return reply

    def _last_words(self) -> str:
        code = self._process.wait(10)
        lines = self._log.read_text(errors="replace").strip().splitlines() or ["(no output)"]
        return without_places(f"ended with code {code}: {' | '.join(lines[-3:])[:500]}")

    def close(self) -> None:
        """Ends the process: at the end of its stdin, or else by force."""
        with self._process as pipe:
            assert pipe.stdin
            pipe.stdin.close()
            try:
                pipe.wait(20)
            except subprocess.TimeoutExpired:
                pipe.kill()


def surroundings(device: str, *, threads: int, n_devices: int) -> dict[str, str]:
    """The environment of a worker."""
    changed = {
        "PYTHONPATH": os.pathsep.join([str(BENCHMARKS), str(BENCHMARKS.parents[1])]),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # several workers share a GPU
        "WANDB_MODE": "disabled",
        "HF_HUB_OFFLINE": "1",
    }
    if device == "cpu":
        changed |= {"JAX_PLATFORMS": "cpu", "SPARSIFY_DISABLE_TRITON": "1"}
    if n_devices > 1:
        changed["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={n_devices}"
    return os.environ | changed


def ours(name: str, *, device: str, threads: int, logs: pathlib.Path, **more: Any) -> Remote:
    """A worker of our own trainer, in the environment that this script runs in."""
    return Remote(
        name, python=sys.executable, device=device, threads=threads, logs=logs, **more
    )
