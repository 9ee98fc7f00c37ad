"""What analysis has found in a run as numbers: of report.json, and as CSV."""

from typing import Any

import numpy as np

from sae_jax.analysis import family_tables, label_tables, quality_table, reconstruction
from sae_jax.analysis.codes import StoredCodes
from sae_jax.analysis.quality_figures import DENSE
from sae_jax.data.numbers import without_nan
from sae_jax.sweep.analyses import Analysis


def as_json(found: Analysis) -> dict[str, Any]:
    """Every number of the page's sections; null where a file is absent or left out."""
    return {
        "quality": found.quality,
        "density": density(found.stored) if found.stored else None,
        "labels": _labels(found.labels),
        "llm_labels": _labels(found.llm_labels),
        "families": {
            method: {
                "metrics": made["metrics"],
                "agreement": made["agreement"],
                "largest": made["families"][: family_tables.SHOWN],
            }
            for method, made in found.families.items()
        },
        "matching": found.matching,
        "notes": found.notes,
    }


def found_in(analysis: Analysis) -> list[str]:
    """What is there of it, in a word each."""
    there = as_json(analysis)
    return [name.replace("_", " ") for name in there if there[name] and name != "notes"]


def density(stored: StoredCodes) -> dict[str, Any]:
    """Of the latents over all rows of the corpus."""
    return {
        "quantiles": reconstruction.quantiles(stored.density),
        "n_never_on": int(np.sum(stored.n_on == 0)),
        "n_dense": int(np.sum(stored.density > DENSE)),
    }


def _labels(records: list[label_tables.Record]) -> dict[str, Any] | None:
    if not records:
        return None
    drawn = [record["latent"] for record in label_tables.drawn(records)]
    return without_nan(label_tables.summarise(records)._asdict() | {"drawn": drawn})


def as_csv(found: Analysis) -> dict[str, str]:
    """Texts of files by name; none of what is absent."""
    files = {}
    if found.quality is not None:
        files["quality.csv"] = quality_table.to_csv(found.quality)
    if found.labels or found.llm_labels:
        files["labels.csv"] = label_tables.to_csv([*found.labels, *found.llm_labels])
    if found.families:
        files["families.csv"] = family_tables.to_csv(
            list(found.families.values()), names=found.names
        )
    return files
