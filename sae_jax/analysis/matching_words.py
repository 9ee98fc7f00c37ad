"""What runs matched with one another show, as a person reads it."""

from collections.abc import Iterator, Mapping
from typing import Any

from sae_jax.analysis.matching import WAYS

MOST_BY_NUMBER = 0.05  # of matches; more do not come about in runs of two seeds
MOST_CHILDREN = 6  # shown below one latent


def describe(made: Mapping[str, Any]) -> str:
    least = made["pairs"][0]["decoder"]["forward"]["mutual"]
    lines = [
        "To the nearest latent; share with a mutual match from there on (by chance)",
        f"{'':28}{'median of the similarity':<34}" + "".join(f"{one:<17}" for one in least),
    ]
    for pair in made["pairs"]:
        lines += _pair(made, pair)
    if len(made["pairs"]) > 1:
        lines += _universality(made)
    if made["splitting"]:
        lines += _splitting(made["splitting"])
    return "\n".join(line.rstrip() for line in lines)


def _pair(made: Mapping[str, Any], pair: Mapping[str, Any]) -> Iterator[str]:
    for direction, source, target in (("forward", made, pair), ("backward", pair, made)):
        one = pair["decoder"][direction]
        dead = f", {one['n_dead']:,} never on" if one["n_dead"] else ""
        yield f"{source['run']} ({one['n_latents']:,} latents{dead}) to {target['run']}"
        for way in WAYS:
            own = pair[way][direction]
            median = own["median"]
            ends = _ends(median, form=".3f")
            shown = f"{median['value']:.3f}{ends} ({median['null']:.3f})"
            shares = (
                f"{_percent(share)} ({100 * share['null']:.1f} %)"
                for share in own["mutual"].values()
            )
            measure = f"  {way}, {pair[way]['measure']}"
            yield f"{measure:<28}{shown:<34}" + "".join(f"{share:<17}" for share in shares)
    same = pair["decoder"]["forward"]["same_number"]
    if same > MOST_BY_NUMBER:
        yield (
            f"  Of these matches {100 * same:.0f} % have one number in both runs: of one seed, "
            "the two began with\n  the same directions. Another --config.seed shows how much "
            "of the likeness comes of that."
        )


def _universality(made: Mapping[str, Any]) -> Iterator[str]:
    universality = made["universality"]
    yield (
        f"Latents of {made['run']} with a mutual match from {universality['least']} on, of "
        f"{len(made['pairs'])} runs"
    )
    for way in WAYS:
        every, one = universality[way]["every"], universality[way]["any"]
        yield f"  {way:<11} in every one {_with_null(every)}; in any {_with_null(one)}"


def _splitting(splitting: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"Splitting: a child's parent is the latent most like it by {splitting['way']}, from "
        f"{splitting['least']} on"
    )
    if splitting["sizes"][0] == splitting["sizes"][-1]:
        yield "  Both are of one size: this is what training anew does without growing"
    for step in splitting["steps"]:
        yield from _step(step)
    consistency = splitting["consistency"]
    if consistency and consistency["value"] is not None:  # some have an ancestor both ways
        yield (
            f"  {_with_null(consistency)} of the largest's latents have the same "
            "ancestor by steps and directly"
        )
    yield "  Some that split, drawn at random:"
    for tree in splitting["trees"]:
        yield from _tree(tree, indent=4)


def _step(step: Mapping[str, Any]) -> Iterator[str]:
    yield f"  {step['smaller']} ({step['n_parents']:,} latents) to {step['larger']}"
    for said, name in (
        ("split into two or more", "split"), ("go on as one", "one"), ("vanish", "vanished"),
    ):  # fmt: skip
        scattered = f"{100 * step['scattered'][name]:.1f} %"
        yield (
            f"    {_with_null(step[name])} {said}; with links scattered at random {scattered}"
        )
    yield f"    {_with_null(step['novel'])} of the larger's are new"
    children, shared = step["children"], step["rows_shared"]
    yield (
        f"    {children['value']:.2f} ({children['null']:.2f}) children on average, "
        f"{step['most_children']} at most"
    )
    if shared["value"] is not None:  # there are children
        yield f"    a child's parent is on for {_with_null(shared)} of its rows"
    truth = step["truth"]
    if truth and truth["n_links"]:
        right = 100 * (truth["same"] + truth["above"])
        yield (
            f"    {right:.1f} % ({100 * truth['null']:.1f} %) of {truth['n_links']:,} links "
            f"between concepts join the same ({100 * truth['same']:.1f} %)\n"
            f"    or one above to one below ({100 * truth['above']:.1f} %; the wrong way round "
            f"{100 * truth['below']:.1f} %)"
        )


def _tree(tree: Mapping[str, Any], *, indent: int, root: bool = True) -> Iterator[str]:
    like = "" if root else f" {tree['similarity']:.2f}"
    label = f": {tree['label']}" if tree["label"] else ""
    yield f"{'':{indent}}{tree['latent']}{like}{label} ({tree['n_on']:,} rows)"
    for child in tree["children"][:MOST_CHILDREN]:
        yield from _tree(child, indent=indent + 2, root=False)
    more = len(tree["children"]) - MOST_CHILDREN
    if more > 0:
        yield f"{'':{indent + 2}}and {more} more"


def _percent(share: Mapping[str, float]) -> str:
    return f"{100 * share['value']:.1f} %"


def _with_null(share: Mapping[str, float]) -> str:
    ends = _ends(share, form=".1f", times=100)
    return f"{_percent(share)}{ends} ({100 * share['null']:.1f} %)"


def _ends(one: Mapping[str, float | None], *, form: str, times: int = 1) -> str:
    """Of its interval; of too few latents there are none."""
    if one["low"] is None or one["high"] is None:
        return ""
    return f", {times * one['low']:{form}} to {times * one['high']:{form}}"
