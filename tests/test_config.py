"""Settings: each mistake is refused by name; a config survives its file."""

import dataclasses
import json

import pytest
from tiny import config

from sae_jax.config import Config
from sae_jax.errors import UsageError


def n_settings(kind):
    fields = dataclasses.fields(kind)
    return sum(
        n_settings(f.type) if dataclasses.is_dataclass(f.type) else 1 for f in fields
    )  # fmt: skip


def test_there_are_at_most_forty_settings():
    assert n_settings(Config) <= 40


def test_a_config_comes_back_from_its_file(tmp_path):
    settings = config(tmp_path, ema_decay=0.5, seed=3)
    assert Config.from_json(settings.to_json()) == settings


def test_a_run_from_before_a_setting_goes_on_as_it_began(tmp_path):
    fields = json.loads(config(tmp_path, seed=3).to_json())
    del fields["sae"]["auxk_every"], fields["data_seed"]
    before = Config.from_json(json.dumps(fields))
    assert before.sae.auxk_every == 1
    assert before.data_seed == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 65}, r"sae\.k=65 is more than sae\.n_latents=64"),
        ({"k": 0}, r"sae\.k=0; expected at least 1"),
        ({"k_aux": 65}, r"sae\.k_aux=65 is more"),
        ({"k": 20, "multi_topk_coefficient": 0.1}, r"4 × sae\.k=80 is more than"),
        ({"architecture": "gated"}, r"'gated' is not known; expected one of topk"),
        ({"init": "zeros"}, r"expected one of default, paper"),
        ({"loss_normaliser": "none"}, r"expected one of dataset, batch"),
        ({"products": "csr"}, r"expected one of auto, sparse, dense"),
        ({"dead_after_examples": 2**31}, r"more than the counter holds"),
        ({"auxk_coefficient": -1.0}, r"at least 0"),
        ({"auxk_every": 0}, r"sae\.auxk_every=0; expected at least 1"),
        ({"auxk_every": 3}, r"batch_size=64 is not a multiple of sae\.auxk_every=3.* 66, or"),
        ({"learning_rate": -1.0}, r"at least 0"),
        ({"warmup_steps": -1}, r"at least 0"),
        ({"decay_fraction": 1.5}, r"a share from 0 to 1\."),
        ({"ema_decay": 1.0}, r"from 0 to 1, and less than 1"),
        ({"clip_norm": 0.0}, r"expected more than 0"),
        ({"n_steps": 0}, r"n_steps=0; expected at least 1"),
        ({"batch_size": 0}, r"at least 1"),
        ({"window_rows": -1}, r"at least 0"),
        ({"log_every_steps": 6}, r"not a multiple of block_steps=4.*Set log_every_steps to 8"),
        ({"checkpoint_every_steps": 2}, r"Set checkpoint_every_steps to 4"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_is_refused_by_name(tmp_path, change, message):
    with pytest.raises(UsageError, match=message):
        config(tmp_path, **change).validate()


def test_shards_must_be_named():
    with pytest.raises(UsageError, match="shards is empty"):
        config("").validate()
