"""Two lines open a trained autoencoder; what does not fit is refused with a reason."""

import numpy as np
import pytest
from tiny import config, planted_rows

import sae_jax
from sae_jax.data.shards import open_shards
from sae_jax.errors import CheckpointError, UsageError
from sae_jax.model.sparse import Codes
from sae_jax.train import checkpoint, loop


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "rows").mkdir()
    np.save(folder / "rows" / "a.npy", planted_rows(2_000))
    settings = config(folder / "rows", ema_decay=0.9)
    (folder / "run").mkdir()
    loop.train(settings, reader=open_shards(folder / "rows"), workdir=folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def sae(run):
    return sae_jax.load(run)


def test_codes_and_reconstruction_equal_numpy_on_the_public_parameters(sae):
    x = planted_rows(5_000, seed=3)  # more than one call's rows
    codes = sae.encode(x)
    pre_acts = (x - sae.b_dec) @ sae.W_enc + sae.b_enc
    wanted = np.sort(np.maximum(pre_acts, 0), axis=1)[:, ::-1][:, :3]
    np.testing.assert_allclose(codes.values, wanted, atol=1e-5)
    x_hat = np.einsum("rk,rkd->rd", codes.values, sae.W_dec[codes.indices]) + sae.b_dec
    np.testing.assert_allclose(sae.decode(codes), x_hat, atol=1e-5)
    assert ((x - sae.decode(codes)) ** 2).sum() < ((x - x.mean(axis=0)) ** 2).sum()


def test_a_single_row_and_any_float_type_will_do(sae):
    x = planted_rows(3)
    one = sae.encode(x[1].astype(np.float16))
    assert one.values.shape == one.indices.shape == (3,)
    assert sae.decode(one).shape == (16,)
    assert sae.encode(x.astype(np.float64)).values.shape == (3, 3)
    assert sae.encode(x[:0]).values.shape == (0, 3)


def test_edited_codes_with_another_number_of_latents_decode(sae):
    x_hat = sae.decode(Codes(np.ones((2, 1), np.float32), np.array([[5], [7]])))
    np.testing.assert_allclose(x_hat, sae.W_dec[np.array([5, 7])] + sae.b_dec, atol=1e-6)


def test_the_averaged_parameters_are_loaded_where_there_are_any(run, sae):
    names = ("b_dec", "b_enc", "W_dec")
    wanted = {f"model.{name}": getattr(sae, name) for name in names}
    wanted["model.W_enc_rows"] = sae.W_enc.T
    raw, _ = checkpoint.read_arrays(run / "checkpoints" / "60", wanted)
    assert not np.array_equal(raw["model.W_dec"], sae.W_dec)
    averaged = {name.replace("model.", "ema."): array for name, array in wanted.items()}
    ema, _ = checkpoint.read_arrays(run / "checkpoints" / "60", averaged)
    np.testing.assert_array_equal(ema["ema.W_dec"], sae.W_dec)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 15), np.float32), r"shape \[2, 15\]; expected \[rows, 16\]"),
        (np.zeros((2, 2, 16), np.float32), r"shape \[2, 2, 16\]"),
        (np.zeros((2, 16), np.int64), "type int64; expected floats"),
        (np.full((2, 16), np.nan, np.float32), "NaN or Inf in row 0"),
    ],
)
def test_encode_refuses_what_does_not_fit(sae, x, message):
    with pytest.raises(UsageError, match=message):
        sae.encode(x)


@pytest.mark.parametrize(
    ("values", "indices", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 2), int), "values have shape"),
        (np.ones((1, 1)), np.array([[64]]), "from 64 to 64; expected 0 to 63"),
        (np.ones((1, 1)), np.array([[-1]]), "from -1"),
    ],
)
def test_decode_refuses_what_does_not_fit(sae, values, indices, message):
    with pytest.raises(UsageError, match=message):
        sae.decode(Codes(values, indices))


def test_a_step_can_be_chosen_and_a_missing_one_lists_those_there_are(run):
    assert sae_jax.load(run, step=40).step == 40
    with pytest.raises(CheckpointError, match=r"steps \[40, 60\]; expected 17"):
        sae_jax.load(run, step=17)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        sae_jax.load(tmp_path)


def test_printing_says_what_it_is(sae):
    assert repr(sae) == "Sae(topk, d_in=16, n_latents=64, k=3, step=60)"
