"""A sweep of which one member can be explored, and the others are in every state."""

import json
import pathlib
import shutil
from typing import Any

FVU = {32: 0.5, 64: 0.4, 128: 0.3}  # held out, of the members that are finished


def write_member(
    folder: pathlib.Path,
    *,
    config: dict[str, Any],
    summary: dict[str, Any] | None = None,
    failure: str = "",
) -> None:
    """With two lines of training and one of timing."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    lines = [{"step": 4 * i, "split": "train", "fvu": 1 / i, "l0": 3.0} for i in range(1, 3)]
    lines.append({"step": 8, "split": "timing", "examples_per_second": 640.0})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    if summary:
        (folder / "summary.json").write_text(json.dumps(summary))
    if failure:
        (folder / "failed.json").write_text(json.dumps({"error": failure, "refused": False}))


def make_sweep(folder: pathlib.Path, *, run: pathlib.Path) -> pathlib.Path:
    """The run of 64 latents that is open, two other sizes, and members that came to no end."""
    own = folder / "n_latents=64"
    shutil.copytree(run, own)
    config = json.loads((own / "config.json").read_text())
    summary = json.loads((own / "summary.json").read_text())
    for n_latents, fvu in FVU.items():
        changed = summary | {"held_out": summary["held_out"] | {"fvu": fvu}}
        if n_latents == 64:
            (own / "summary.json").write_text(json.dumps(changed))
            continue
        sized = config | {"sae": config["sae"] | {"n_latents": n_latents}}
        write_member(folder / f"n_latents={n_latents}", config=sized, summary=changed)
    write_member(folder / "unfinished", config=config | {"seed": 1})
    write_member(folder / "failed", config=config, failure="the loss was not finite at step 8.")
    write_member(folder / "damaged", config=config)
    with (folder / "damaged" / "metrics.jsonl").open("a") as file:
        file.write("[]\n{\n")
    (folder / "damaged" / "summary.json").write_text('{"held_out": 3}')
    names = [*(f"n_latents={n}" for n in FVU), "unfinished", "failed", "damaged", "later"]
    members = [{"name": name, "overrides": {}} for name in [*names, "../out", "/etc", ".."]]
    (folder / "sweep.json").write_text(json.dumps({"format": 1, "members": members}))
    (folder.parent / "out").mkdir()
    (folder.parent / "out" / "metrics.jsonl").write_text('{"step": 1, "split": "train"}\n')
    return folder
