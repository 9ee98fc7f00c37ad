"""Codes made by hand: a folder's worth of them without an autoencoder."""

import pathlib

import numpy as np

from sae_jax.analysis import codes


def stored_of(values: np.ndarray, *, near: np.ndarray | None = None) -> codes.StoredCodes:
    """Codes in which these are the latents' values, [n_rows, n_latents]; 0 is off."""
    n_rows, n_latents = values.shape
    n_on = (values > 0).sum(axis=0)
    rows = [np.flatnonzero(column > 0) for column in values.T]
    rows = [own[np.argsort(-values[own, i], kind="stable")] for i, own in enumerate(rows)]
    manifest = codes.Manifest(
        run_fingerprint="", step=0, data_fingerprint="", shards="", n_rows=n_rows,
        n_latents=n_latents, k=1, n_on=int(n_on.sum()),
    )  # fmt: skip
    if near is None:
        near = np.full((n_latents, 1), -1)
    return codes.StoredCodes(
        folder=pathlib.Path(),
        manifest=manifest,
        values=np.zeros((n_rows, 1), np.float32),
        indices=np.zeros((n_rows, 1), np.int32),
        latent_starts=np.concatenate([[0], np.cumsum(n_on)]),
        latent_rows=np.concatenate(rows).astype(np.int32),
        latent_values=np.concatenate([values[own, i] for i, own in enumerate(rows)]).astype(
            np.float32
        ),
        near_rows=near.astype(np.int32),
        near_pre_acts=np.zeros(near.shape, np.float32),
    )
