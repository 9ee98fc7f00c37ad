"""From rounds to numbers: which rounds count, what a cell says, and how files are merged."""

import json
import pathlib
import statistics
from typing import Any

OURS, PAPER = "ours", "dense_paper"
# What a fair clean median needs at least.
FEWEST_CLEAN = 3


class ResultsError(Exception):
    """The results file is not one that new cells may be merged into."""


def is_clean(measured: dict[str, Any], *, most: float) -> bool:
    """Whether others used less of the machine than the limit; unknown is not clean."""
    return measured["foreign"] is not None and measured["foreign"] <= most


def summarise(
    rounds: list[dict[str, Any]], *, max_foreign_load: float, wanted: int
) -> dict[str, Any]:
    """Median, best and spread of the clean rounds; of all, and marked so, where none is."""
    clean = [each for each in rounds if is_clean(each, most=max_foreign_load)]
    times = [each["ms"] for each in clean or rounds]
    median = statistics.median(times)
    return {
        "ms": round(median, 2),
        "best_ms": round(min(times), 2),
        "spread": round((max(times) - min(times)) / median, 3),
        "clean_rounds": len(clean),
        "rounds": len(rounds),
        "clean": len(clean) >= min(FEWEST_CLEAN, wanted),
    }


def compare(cell: dict[str, Any]) -> dict[str, Any]:
    """The cell with its ratios, from the trainers' times and the matmul peak."""
    trainers = {name: one for name, one in cell["trainers"].items() if "ms" in one}
    cell["clean"] = bool(trainers) and all(one["clean"] for one in trainers.values())
    peers = {name: one["ms"] for name, one in trainers.items() if is_peer(name)}
    peak = max(cell["matmul_gflops"].values(), default=0.0)
    if peak:
        flop = 2 * cell["batch_size"] * cell["d_in"] * cell["n_latents"]
        cell["limit_ms"] = round(flop / peak / 1e6, 2)
    if OURS not in trainers:
        return cell
    ours = trainers[OURS]["ms"]
    if peers:
        cell["fastest_peer"] = min(peers, key=lambda name: peers[name])
        cell["ratio"] = round(min(peers.values()) / ours, 2)
    if PAPER in trainers:
        cell["ratio_paper"] = round(trainers[PAPER]["ms"] / ours, 2)
    if peak:
        cell["share_of_limit"] = round(cell["limit_ms"] / ours, 3)
    return cell


def is_peer(name: str) -> bool:
    return not name.startswith(OURS) and name != PAPER


def read(path: pathlib.Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise ResultsError(
            f"{path}: is not JSON ({error}). Move it away, or choose another --out."
        ) from error
    return found


def merge(
    path: pathlib.Path, *, header: dict[str, Any], group: str, cells: dict[str, Any]
) -> None:
    """Puts these cells into a group of the file; the others stay as they are.

    Raises:
        ResultsError: the file has cells of another machine.
    """
    found = read(path)
    before = found.get("header", {}).get("machine", header["machine"])
    if before != header["machine"]:
        raise ResultsError(
            f"{path}: has results of another machine ({before}); this one is "
            f"{header['machine']}. One file compares one machine: choose another --out."
        )
    found["header"] = header
    found[group] = dict(sorted((found.get(group, {}) | cells).items(), key=cell_order))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    part.rename(path)


def cell_order(item: tuple[str, Any]) -> tuple[Any, ...]:
    """By size, not by name: n 24,576 comes after n 3,072."""
    cell = item[1]
    sizes = tuple(cell.get(name, 0) for name in ("d_in", "n_latents", "k", "batch_size"))
    return (*sizes, item[0])


def table(cells: dict[str, Any]) -> str:
    """The cells as a person reads them."""
    lines = []
    for name, cell in cells.items():
        said = [f"{name}, batch {cell['batch_size']:,}"]
        if "limit_ms" in cell:
            said.append(f"float32 limit {cell['limit_ms']:.1f} ms")
        if not cell["clean"]:
            said.append("NOT CLEAN: other processes were at work, or rounds are missing")
        lines.append("; ".join(said))
        lines.append(
            f"  {'trainer':<20}{'ms':>9}{'best':>9}{'spread':>8}{'clean':>8}"
            f"{'vs ours':>9}{'fvu':>8}{'peak MB':>9}{'above start':>12}"
        )
        ours = cell["trainers"].get(OURS, {}).get("ms")
        order = sorted(cell["trainers"].items(), key=lambda item: item[1].get("ms", 1e9))
        lines += [trainer_line(each, one, ours=ours) for each, one in order]
        if "ratio" in cell:
            said = [f"{cell['ratio']:.2f} times the fastest peer, {cell['fastest_peer']}"]
            if "ratio_paper" in cell:
                said.append(f"{cell['ratio_paper']:.2f} times the dense paper recipe")
            if "share_of_limit" in cell:
                said.append(f"{100 * cell['share_of_limit']:.0f} % of the limit")
            lines.append("  ours: " + ", ".join(said))
        lines.append("")
    return "\n".join(lines)


def trainer_line(name: str, one: dict[str, Any], *, ours: float | None) -> str:
    if "ms" not in one:
        return f"  {name:<20} failed: {one.get('failed', '')[:100]}"
    fvu = f"{one['held_out_fvu']:.4f}" if "held_out_fvu" in one else "–"
    against = f"{one['ms'] / ours:.2f}" if ours else "–"
    return (
        f"  {name:<20}{one['ms']:>9.1f}{one['best_ms']:>9.1f}{100 * one['spread']:>6.0f} %"
        f"{one['clean_rounds']:>5}/{one['rounds']:<2}{against:>9}{fvu:>8}"
        f"{one.get('peak_mb', 0):>9}{one.get('above_start_mb', 0):>12}"
    )
