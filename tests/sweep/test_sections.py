"""The sections of a report say of whom their numbers are."""

import pathlib

from sae_jax.sweep import sections
from sae_jax.sweep.analyses import Analysis


def test_labels_by_a_language_model_name_it():
    record = {
        "latent": 0, "state": "failed", "text": "", "scores": None, "method": "llm",
        "model": "org/<m>", "judge_model": "j",
    }  # fmt: skip
    found = Analysis(run=pathlib.Path("run"), corpus="c", shards="", llm_labels=[record])
    assert "Named by org/&lt;m&gt;, judged by j." in sections.as_html(found, [], svgs={})
