"""The worker of a torch trainer: rows resident as float32, gathered by the order of ours."""

import argparse
import functools
import importlib
import pathlib
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch  # type: ignore[import-not-found]

from harness import dense_paper, protocol, torch_peers

ROWS_PER_CALL = 2_048
TRAINERS = torch_peers.PEERS | {"dense_paper": dense_paper.DensePaper}


class TorchTrainer:
    """A peer, its rows, and their order; the gather of a batch is part of a step."""

    def __init__(self, request: dict[str, Any], *, device: str) -> None:
        torch.manual_seed(0)
        folder = pathlib.Path(request["folder"])
        rows = np.load(folder / "rows.npy")
        self.data_bytes = rows.nbytes
        self._rows = torch.from_numpy(rows).to(device)
        self._order = torch.from_numpy(np.load(folder / "order.npy")).to(device)
        self._held_out = torch.from_numpy(np.load(folder / "held_out.npy")).to(device)
        self._mean = torch.from_numpy(np.load(folder / "mean.npy")).float().to(device)
        self._device, self._n_done = device, 0
        cell, trainer = request["cell"], TRAINERS[request["trainer"]]
        for package in trainer.packages:
            importlib.import_module(package)
        self.start_mb = protocol.memory_mb()[1]
        self._peer = trainer(
            d_in=cell["d_in"],
            n_latents=cell["n_latents"],
            k=cell["k"],
            batch_size=cell["batch_size"],
            n_steps=request["n_steps"],
            device=device,
            first_rows=self._rows.index_select(0, self._order[:10].flatten()),
        )
        if request["dead_fraction"]:
            dead = protocol.dead_latents(cell["n_latents"], fraction=request["dead_fraction"])
            self._peer.kill(torch.tensor(list(dead), device=device))
        self.config = self._peer.config

    def run(self, n_steps: int) -> int:
        self._peer.train(self._batches(n_steps))
        if self._device != "cpu":
            torch.cuda.synchronize()
        return n_steps

    def _batches(self, n_steps: int) -> Iterator[Any]:
        for _ in range(n_steps):
            row_ids = self._order[self._n_done % len(self._order)]
            self._n_done += 1
            yield self._rows.index_select(0, row_ids)

    def fvu(self) -> float:
        missed = total = 0.0
        self._peer.evaluating(True)
        with torch.no_grad():
            for row_ids in self._held_out.split(ROWS_PER_CALL):
                x = self._rows.index_select(0, row_ids)
                missed += float((x - self._peer.reconstruct(x)).square().sum())
                total += float((x - self._mean).square().sum())
        self._peer.evaluating(False)
        return missed / total

    def close(self) -> None:
        pass


class TorchWorker:
    def __init__(self, device: str) -> None:
        self._device = device

    def make(self, request: dict[str, Any]) -> TorchTrainer:
        return TorchTrainer(request, device=self._device)

    def matmul_gflops(self, shapes: list[list[int]]) -> float:
        def product(a: Any, b: Any) -> None:
            torch.matmul(a, b)
            if self._device != "cpu":
                torch.cuda.synchronize()

        best = 0.0
        for m, k, n in shapes:
            a, b = (torch.ones(shape, device=self._device) for shape in ((m, k), (k, n)))
            call = functools.partial(product, a, b)
            best = max(best, 2e-9 * m * k * n / protocol.best_seconds(call))
        return best

    def device_peak_mb(self) -> float | None:
        return None if self._device == "cpu" else torch.cuda.max_memory_allocated() / 1e6


def mend_torchvision() -> None:
    """Lets peers import a torchvision that was built for another torch than this one.

    They import it, by way of transformers and timm, and none of its operators is used here.
    pip's torchvision is built for CUDA's torch, and fails beside the CPU's at each operator
    that it describes; here each is declared, without doing anything.
    """
    for _ in range(40):
        try:
            importlib.import_module("torchvision")
        except ImportError:
            return
        except RuntimeError as error:
            missing = re.search(r"operator (torchvision::\w+) does not exist", str(error))
            if not missing:
                return
            torch.library.define(missing[1], "(Tensor x) -> Tensor")
            for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
                del sys.modules[name]
        else:
            return


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    mend_torchvision()
    protocol.serve(TorchWorker(arguments.device))
