"""A report as one HTML page that loads nothing: no script, no font, no picture."""

import html
import math
import re
from collections.abc import Mapping, Sequence

from sae_jax.analysis.scaling import PAPER_ALPHA, PowerLaw
from sae_jax.analysis.tables import Table
from sae_jax.sweep.laws import Corpus
from sae_jax.sweep.results import Finished, Result
from sae_jax.train.metrics import duration

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
       max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { margin-top: 2.2rem; }
h3 { margin: 1.6rem 0 .3rem; } h4 { margin: 1.2rem 0 .3rem; }
.wide { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .82em; }
th, td { padding: .2rem .6rem .2rem 0; text-align: right; white-space: nowrap; }
th { border-bottom: 1px solid #1a1a1a; vertical-align: bottom; }
td { border-bottom: 1px solid #e4e4e4; }
th.text, td.text { text-align: left; }
td.text + td.text { white-space: normal; }
figure { margin: .5rem 0; } svg { max-width: 100%; height: auto; }
.failed { color: #a11; } .note { color: #555; font-size: .9em; max-width: 48rem; }
@media print { body { margin: 0; max-width: none; font-size: 11px; }
               figure, table, h3 { break-inside: avoid; } h2, h3, h4 { break-after: avoid; } }
"""
# The report may load nothing, and shows nothing but itself.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

CAPTIONS = {
    "fvu-and-size": "Held-out fvu and dictionary size",
    "fvu-and-k": "Held-out fvu and k",
    "compute": "Held-out fvu and compute",
    "learning-curves": "Learning curves",
    "density": "Density: on what share of rows each latent is on",
}
NOTES = {
    "compute": "Each line is a run from its start to its end, at its mark. Left: all "
    "multiplications and additions of training (encoder, decode, gradients, Adam; not top-k "
    "nor AuxK). Right: the count of arXiv 2408.00657, one example's forward pass a step.",
    "learning-curves": "Held-out fvu; dotted: of training batches.",
    "density": "Latents that are on for no training row are in no bar; the table counts them "
    "as dead.",
}


def render(
    title: str,
    *,
    results: Sequence[Result],
    corpora: Sequence[tuple[Corpus, Mapping[str, str]]],
    analyses: Sequence[tuple[str, str]],
    made_by: str,
) -> str:
    """The page; each corpus comes with its figures as SVG elements, by name.

    Analyses are titles, and parts of the page.
    """
    sections = [_unfinished(results)]
    for corpus, drawn in corpora:
        sections += [
            f"<h2>{html.escape(corpus.name)}</h2>",
            "<h3>Members</h3>",
            _members(corpus.members),
            _seeds(corpus),
            *(_figure(name, drawn[name], corpus=corpus) for name in CAPTIONS if name in drawn),
        ]
    for name, part in analyses:
        sections += [f"<h2>{html.escape(name)}</h2>", part]
    n_done = sum(result.state == "finished" for result in results)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>\n"
        f'<p class="note">{n_done} of {len(results)} runs finished. '
        f"{html.escape(made_by)}</p>\n" + "\n".join(sections) + "\n</body>\n</html>\n"
    )


def figure(title: str, svg: str, *, note: str = "", level: int = 3) -> str:
    """A picture under a heading of this level; texts are escaped."""
    own = html.escape(title)
    below = small(note) if note else ""
    return (
        f"<h{level}>{own}</h{level}>\n"
        f'<figure role="img" aria-label="{own}">{svg}</figure>\n{below}'
    )


def subtitle(text: str) -> str:
    return f"<h4>{html.escape(text)}</h4>"


def paragraph(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"


def small(text: str) -> str:
    """A note; what stands between backticks is a command or the like."""
    own = re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(text))
    return f'<p class="note">{own}</p>'


def _unfinished(results: Sequence[Result]) -> str:
    lines = [
        f'<p class="{"failed" if result.error else "note"}"><b>{html.escape(result.name)}</b>: '
        f"{html.escape(result.state)}. {html.escape(result.error)}</p>"
        for result in results
        if result.state != "finished" or result.error
    ]
    return "\n".join(["<h2>Without a result, or damaged</h2>", *lines]) if lines else ""


def _members(members: Sequence[Finished]) -> str:
    varied = any(one.variant for one in members)
    seeded = len({one.seed for one in members}) > 1
    head = [
        "n_latents", "k", *["seed"] * seeded, *["variant"] * varied, "fvu held out",
        "fvu train", "cosine", "L0", "dead", "density, median", "dense", "peak rate", "time",
        "examples/s",
    ]  # fmt: skip
    rows = [
        [
            f"{one.n_latents:,}", str(one.k), *[str(one.seed)] * seeded,
            *[one.variant] * varied, f"{one.fvu:.4f}", f"{one.fvu_train:.4f}",
            f"{one.cosine:.4f}", f"{one.l0:.1f}", f"{100 * one.dead_fraction:.2f} %",
            f"{one.density_median:.5f}", _known(one.dense_share, "{:.0%}"),
            _known(one.learning_rate, "{:.2g}"), duration(one.seconds),
            f"{one.examples_per_second:,.0f}",
        ]
        for one in members
    ]  # fmt: skip
    devices = ", ".join(sorted({one.device for one in members}))
    return Table(head, rows).as_html() + (
        f'<p class="note">On {html.escape(devices)}. Of members that trained together, the '
        "time is each one's share. fvu: share of the variance that the reconstruction misses; "
        "held out, cosine and L0 on rows that training never saw. dense: "
        "share of L0 that latents on for over a tenth of the rows make up; where it is large, "
        "the code is no sparse one.</p>"
    )


def _known(value: float, form: str) -> str:
    """Empty where an older run does not say."""
    return form.format(value).replace("%", " %") if math.isfinite(value) else ""


def _seeds(corpus: Corpus) -> str:
    if not corpus.seeds:
        return ""
    head = ["n_latents", "k", "variant", "seeds", "mean fvu held out", "95 % interval"]
    rows = [
        [
            f"{one.n_latents:,}", str(one.k), one.variant, str(one.n_seeds), f"{one.fvu:.4f}",
            f"{one.low:.4f} to {one.high:.4f}",
        ]
        for one in corpus.seeds
    ]  # fmt: skip
    return "<h3>Over seeds</h3>" + Table(head, rows).as_html()


def _figure(name: str, svg: str, *, corpus: Corpus) -> str:
    laws = _laws(corpus) if name == "fvu-and-size" else ""
    return figure(CAPTIONS[name], svg, note=NOTES.get(name, "")) + laws


def _laws(corpus: Corpus) -> str:
    head = [
        "k", "α, held out", "95 % interval", "c", "R²", "α, train", "95 % interval",
        *(f"the paper's, {name}" for name in PAPER_ALPHA),
    ]  # fmt: skip
    rows = []
    for law in corpus.by_k:
        held_out = _law_cells(law.held_out)
        extra = (
            [f"{law.held_out.c:.3f}", f"{law.held_out.r_squared:.3f}"]
            if law.held_out
            else ["", ""]
        )
        paper = [f"{a[law.k]:.3f}" if law.k in a else "" for a in PAPER_ALPHA.values()]
        rows.append([str(law.k), *held_out, *extra, *_law_cells(law.train), *paper])
    return (
        Table(head, rows).as_html()
        + '<p class="note">Laws fvu = c · n_latents^−α at one k; a negative α means that '
        "more latents do worse. The paper's are of training error, on other embeddings (1,536 "
        "wide), over five sizes. The interval is Student's, and wide with few points: three "
        "sizes leave one degree of freedom.</p>" + _joint(corpus)
    )


def _law_cells(law: PowerLaw | None) -> list[str]:
    if law is None:
        return ["", ""]
    known = math.isfinite(law.low)
    return [f"{law.alpha:.3f}", f"{law.low:.3f} to {law.high:.3f}" if known else "two points"]


def _joint(corpus: Corpus) -> str:
    law = corpus.joint
    if law is None:
        return '<p class="note">No joint law: it takes three sizes, two k and seven runs.</p>'
    return (
        f"<p>Joint law after Gao et al.: ln-linear part exp({law.a:.3f} {law.b_k:+.3f} ln k "
        f"{law.b_n:+.3f} ln n {law.g:+.4f} ln k ln n) plus exp({law.z:.3f} {law.e:+.3f} ln k), "
        f"which no size removes; it misses the runs by {100 * law.rms_error:.1f} % (root mean "
        "square).</p>"
    )
