"""The numbers of a steering file, small: two ways at two cosines."""


def interval(value):
    return {"value": value, "low": value - 0.04, "high": value + 0.06}


def side(change):
    return {
        name: interval(value)
        for name, value in (
            ("precision", change + 0.5), ("change", change), ("active", change / 2),
            ("identified", 0.6),
        )
    }  # fmt: skip


def point(edit, way, at, *, change):
    sides = ("up", "down") if edit == "both" else (edit,)
    return {
        "edit": edit, "way": way, "at": at, "overlap": interval(0.3),
        "cosine": interval(float(at.split()[1]) if at.startswith("cosine") else 0.93),
        "sides": {own: side(change) for own in sides}, "llm": None,
    }  # fmt: skip


def numbers():
    return {
        "n_queries": 7, "n_concepts": 9, "n_hits": 10, "latent_f1": interval(0.6),
        "llm_judge": None, "neutral": {"up": interval(0.01), "down": interval(0.54)},
        "points": [
            point(edit, way, f"cosine {cosine:g}", change=change - cosine)
            for edit in ("up", "down", "both")
            for way, change in (("sae", 1.1), ("rewriting", 0.9))
            for cosine in (0.9, 0.7)
        ] + [point("up", "rewriting", "as written", change=0.02)],
        "marks": [
            {"edit": "up", "at": "cosine 0.9", "median": 108.3, "reached": 1.0},
            {"edit": "up", "at": "cosine 0.7", "median": 227.1, "reached": 0.86},
            {"edit": "down", "at": "cosine 0.7", "median": None, "reached": 0.0},
        ],
        "ahead": [
            {"edit": own, "side": own, "than": "rewriting", "at": "cosine 0.7",
             "precision": interval(value)}
            for own, value in (("up", 0.2), ("down", 0.01))
        ],
    }  # fmt: skip


def add_judge(made, *, model="org/gpt-x", states=None):
    """A language model has judged 50 of the queries, and names .7 where counting does .62."""
    states = states or {"ok": 48, "failed": 2, "refused": 0, "unparsable": 0}
    both = [one for one in made["points"] if one["edit"] == "both"]
    for one in both:
        sides = {
            own: {"identified": interval(0.7), "counted": interval(0.62)}
            for own in ("up", "down")
        }
        one["llm"] = {"n": 50, "states": states, "sides": sides}
    made["llm_judge"] = {
        "model": model, "base_url": "http://here/v1", "parameters": {}, "prompt_version": 1,
        "n_queries": 50, "states": {state: n * len(both) for state, n in states.items()},
    }  # fmt: skip
    return made
