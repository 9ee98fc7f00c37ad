"""What analysis has written into a run is in its report: every section, and what is missing."""

import csv
import html
import json
import os
import re
import shutil

import numpy as np
import pytest
import tiny
from tiny import planted_rows

from sae_jax.analysis import codes, intervals
from sae_jax.cli import main
from sae_jax.sweep import analyses, analysis_numbers, report, sections

GROUPS, KINDS = ["animal", "money", "water"], ["horse", "saddle", "debt", "loan"]
FIGURES = {
    "progressive", "coverage", "robustness", "density-of-codes", "labels", "llm-labels",
    "overlap-ours", "trees-ours", "overlap-paper", "trees-paper",
}  # fmt: skip
OTHER = "big<i>"  # a run's name is text, whatever it holds


def write_rows(folder):
    """Each the sum of a general direction and of a specific one below it; with texts."""
    folder.mkdir()
    rng, n = np.random.default_rng(0), 1_500
    directions = np.linalg.qr(np.random.default_rng(9).normal(size=(16, 16)))[0]
    group, kind = rng.integers(3, size=n), rng.integers(4, size=n)
    rows = directions[group] + 0.02 * rng.normal(size=(n, 16))
    rows += rng.uniform(0.5, 1, size=(n, 1)) * directions[3 + 4 * group + kind]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.save(folder / "a.npy", rows.astype(np.float32))
    above = [[str(g), str(3 + 4 * g + s)] for g, s in zip(group, kind, strict=True)]
    above[:3], above[3:15] = [[]] * 3, [[str(i // 4)] for i in range(12)]
    lines = [
        {"id": str(i), "text": f"{GROUPS[group[i]]} {KINDS[kind[i]]}{group[i]} here",
         "parents": above[i], "kind": GROUPS[group[i]]}
        for i in range(n)
    ]  # fmt: skip
    (folder / "texts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def train(folder, name, *, n_latents):
    run = tiny.train(folder / "rows", folder / name, n_latents=n_latents, n_steps=100)
    main.dispatch(["encode", str(run)])


def llm_records(folder):
    """As a language model's labels are written, of the same weights and rows."""
    manifest = codes.read_manifest(folder)
    of = manifest.fingerprints
    for latent in range(6):
        f1 = {"value": 0.5 + latent / 20, "low": 0.4, "high": 0.9}
        pearson = None if latent == 3 else f1
        scores = {"n": 40, "n_on": 20, "f1": f1, "pearson": pearson, "auroc": f1}
        yield {
            "latent": latent, "state": "failed" if latent == 5 else "ok",
            "text": "" if latent == 5 else f"model's name {latent}",
            "scores": None if latent == 5 else scores, "method": "llm",
        } | of  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with all that the commands write, and of it what a language model would."""
    folder = tmp_path_factory.mktemp("analysed")
    write_rows(folder / "rows")
    for name, n_latents in (("run", 32), (OTHER, 64)):
        train(folder, name, n_latents=n_latents)
    run = str(folder / "run")
    main.dispatch(["label", run])
    (features,) = (folder / "run" / "features").iterdir()
    lines = llm_records(folder / "run" / "codes" / features.name)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (features / "llm-labels.jsonl").write_text(text)
    for method in ("ours", "paper"):
        main.dispatch(["families", run, f"--method={method}"])
    main.dispatch(["evaluate", run, "--classes=kind"])
    main.dispatch(["match", run, str(folder / OTHER)])
    return folder


@pytest.fixture
def run(made, tmp_path):
    """A copy to change."""
    shutil.copytree(made / "run", tmp_path / "run")
    return tmp_path / "run"


def corpus_of(run):
    (folder,) = (run / "codes").iterdir()
    return folder.name


def written(run):
    """The page, the analysis in report.json, and the folder of files by corpus."""
    out = run / "report"
    found = report.read(run)
    files = report.write(found, title="Run", out=out)
    assert files[0] == out / "index.html"
    (member,) = json.loads((out / "report.json").read_text())["members"]
    return (out / "index.html").read_text(), member["analysis"], out


def sections_of(run):
    """The sections without their figures, which take a while; and the numbers by corpus."""
    found = sections.read(run)
    page = "".join(sections.as_html(one, [], svgs={}) for one in found)
    return page, {one.corpus: analysis_numbers.as_json(one) for one in found}


def text_of(page):
    """What stands in the page beside figures, without its tags."""
    return html.unescape(re.sub(r"<svg.*?</svg>|<[^>]*>", " ", page, flags=re.DOTALL))


@pytest.fixture(scope="module")
def whole(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    shutil.copytree(made / "run", folder / "run")
    return folder / "run", written(folder / "run")


def cell(page, row, column=1):
    """Of the first table with such a row."""
    found = re.search(rf"<tr><td[^>]*>{re.escape(html.escape(row))}</td>(.*?)</tr>", page)
    return html.unescape(re.findall(r"<td[^>]*>(.*?)</td>", found.group(1))[column - 1])


def test_every_section_and_figure_is_there(whole):
    run, (page, _, out) = whole
    corpus = corpus_of(run)
    assert f"<h2>Analysis on {corpus}</h2>" in page
    for section in analyses.SECTIONS:
        assert page.count(f"<h3>{section}</h3>") == 1
    own = {path.name for path in (out / corpus).iterdir()}
    assert own >= {f"{name}.{ending}" for name in FIGURES for ending in ("svg", "png")}
    assert own >= {"quality.csv", "labels.csv", "families.csv"}
    others = [name for name in own if name.startswith(("similarities", "splitting"))]
    assert len(others) == 4
    assert (out / corpus / "robustness.png").read_bytes().startswith(b"\x89PNG")
    assert "is absent" not in text_of(page)
    assert "is left out" not in text_of(page)


def test_numbers_of_quality_are_those_of_the_file(whole):
    run, (page, found, out) = whole
    corpus = corpus_of(run)
    text = (run / "quality" / f"{corpus}.json").read_text()
    quality = json.loads(text)
    assert found[corpus]["quality"] == quality

    def shown(one):
        return f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"

    assert cell(page, "reconstruction") == shown(
        quality["reconstruction"]["autoencoder"]["fvu"]
    )
    assert cell(page, "PCA, 3") == shown(quality["reconstruction"]["pca_3"]["fvu"])
    assert cell(page, "codes", 3) == shown(quality["retrieval"]["codes"]["recall"])
    assert cell(page, "codes", 4) == shown(quality["retrieval"]["codes"]["ndcg"])
    assert cell(page, "embeddings", 5) == shown(quality["probes"]["accuracy"]["embeddings"])
    assert cell(page, "latents", 2) == shown(quality["concepts"]["latents"]["4"]["f1"])
    assert cell(page, "supervised", 4) == shown(quality["concepts"]["supervised"]["all"]["f1"])
    assert f"Held-out F1 of {quality['classes']['latents']['1']['n_concepts']} classes" in page
    as_csv = (out / corpus / "quality.csv").read_text()
    assert as_csv == (run / "quality" / f"{corpus}.csv").read_text()


def test_density_is_that_of_the_stored_codes(whole):
    run, (page, found, _) = whole
    stored = codes.open_codes(run / "codes" / corpus_of(run))
    density = np.bincount(stored.indices[stored.values > 0], minlength=32) / 1_500
    own = found[corpus_of(run)]["density"]
    assert own["quantiles"]["0.5"] == pytest.approx(np.median(density))
    assert own["n_never_on"] == np.sum(density == 0)
    assert own["n_dense"] == np.sum(density > 0.1)
    assert cell(page, "quantile 0.5") == f"{np.median(density):.5f}"


def test_labels_are_counted_scored_and_shown(whole):
    run, (page, found, out) = whole
    corpus = corpus_of(run)
    folder = run / "features" / corpus
    labels = list(map(json.loads, (folder / "labels.jsonl").read_text().splitlines()))
    hard = [label["hard"]["f1"] for label in labels if label["hard"]]
    mean = intervals.mean_with_interval(np.array(hard), seed=0)
    own = found[corpus]
    assert own["labels"]["scores"]["F1, hard"] == {"n": len(hard)} | mean._asdict()
    assert cell(page, "F1, hard") == str(mean)
    assert own["llm_labels"]["states"] == {"ok": 5, "failed": 1}
    assert "6 latents: 5 ok, 1 failed." in text_of(page)
    assert cell(page, "F1") == "0.600"  # five are too few for an interval
    assert cell(page, "Pearson", 2) == "4"  # of one it is not known
    lines = list(csv.DictReader((out / corpus / "labels.csv").read_text().splitlines()))
    assert len(lines) == 32 + 6
    assert [line["label"] for line in lines[:32]] == [label["text"] for label in labels]
    assert float(lines[33]["F1"]) == pytest.approx(0.55)
    drawn = own["labels"]["drawn"]
    assert len(drawn) == min(10, sum(label["state"] == "ok" for label in labels))
    for latent in drawn:
        assert cell(page, str(latent)) == labels[latent]["text"]


def test_families_stand_beside_their_null_with_the_best_labels(whole):
    run, (page, found, out) = whole
    corpus = corpus_of(run)
    families = json.loads((run / "families" / f"{corpus}-ours.json").read_text())
    one = families["metrics"]["parent_ratio"]
    assert cell(page, "R: parent–child overlap over child–child") == f"{one['value']:.2f}"
    assert cell(page, "R: parent–child overlap over child–child", 2) == f"{one['null']:.2f}"
    agreement = families["agreement"]["k-means"]
    assert cell(page, "k-means", 2) == f"{100 * agreement['precision']:.1f} %"
    assert found[corpus]["families"]["ours"]["metrics"] == families["metrics"]
    lines = list(csv.DictReader((out / corpus / "families.csv").read_text().splitlines()))
    ours = [line for line in lines if line["method"] == "ours"]
    assert len(ours) == sum(len(family["children"]) + 1 for family in families["families"])
    assert [int(line["latent"]) for line in ours if line["role"] == "parent"] == [
        family["parent"] for family in families["families"]
    ]
    by_model = [line for line in lines if int(line["latent"]) < 5]
    assert by_model
    assert all(line["label"] == f"model's name {line['latent']}" for line in by_model)


def test_matching_and_splitting_are_told(whole):
    run, (page, found, _) = whole
    (path,) = (run / "matching" / corpus_of(run)).glob("*.json")
    made = json.loads(path.read_text())
    assert found[corpus_of(run)]["matching"] == {path.stem: made}
    split = made["splitting"]["steps"][0]["split"]
    assert cell(page, "split into two or more, %").startswith(f"{100 * split['value']:.1f}, ")
    one = made["pairs"][0]["activation"]["forward"]
    row = f"run to {OTHER}"
    median = one["median"]
    assert cell(page, row, 3).startswith(f"{median['value']:.3f} ({median['low']:.3f} to")
    assert cell(page, row, 5).startswith(f"{100 * one['mutual']['0.7']['value']:.1f} % (")


def test_a_match_of_one_size_is_said_to_be_a_control(run):
    (path,) = (run / "matching" / corpus_of(run)).glob("*.json")
    made = json.loads(path.read_text())
    page, _ = sections_of(run)
    assert "Both are of one size" not in page
    made["splitting"]["sizes"] = [32, 32]
    step = made["splitting"]["steps"][0]
    # As where no latent of the one has a child in the other.
    step["rows_shared"] |= dict.fromkeys(("value", "low", "high", "null"))
    path.write_text(json.dumps(made))
    page, _ = sections_of(run)
    assert "Both are of one size" in page
    assert cell(page, "rows of a child that its parent is on for, %") == ""


def test_the_page_loads_nothing_and_labels_are_text(run):
    corpus = corpus_of(run)
    path = run / "features" / corpus / "labels.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    # No formula, no tag, and a script that the font of figures has not.
    evil = r"<script>alert('$\x')</script> 日本"
    lines = [line | {"text": evil} for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run / "features" / corpus / "llm-labels.jsonl").unlink()
    page, _, out = written(run)
    assert "<script" not in page
    assert html.escape(evil) in page
    assert "<i>" not in page
    assert html.escape(OTHER) in page
    assert "default-src 'none'" in page
    loaded = re.findall(r"(?:src|href)=\"(?!#|data:)([^\"]*)\"", page)
    assert loaded == []
    for figure in (out / corpus).glob("*.svg"):
        assert "<script" not in figure.read_text()


def test_what_is_absent_is_said_with_its_command(run):
    corpus = corpus_of(run)
    shutil.rmtree(run / "quality")
    shutil.rmtree(run / "matching")
    (run / "features" / corpus / "labels.jsonl").unlink()
    (run / "families" / f"{corpus}-paper.json").unlink()
    page, found = sections_of(run)
    text = text_of(page)
    for line in (
        f"quality/{corpus}.json is absent;  sae-jax evaluate {run}  makes it.",
        f"features/{corpus}/labels.jsonl is absent;  sae-jax label {run}  makes it.",
        f"families/{corpus}-paper.json is absent;  sae-jax families {run} --method=paper",
        f"matching/{corpus}/*.json is absent;  sae-jax match {run} OTHER_RUN  makes it.",
    ):
        assert line in text
    assert found[corpus]["quality"] is None
    assert found[corpus]["labels"] is None
    (one,) = sections.read(run)
    assert set(analysis_numbers.as_csv(one)) == {"labels.csv", "families.csv"}


def test_a_file_of_other_weights_is_left_out(run):
    corpus = corpus_of(run)
    path = run / "quality" / f"{corpus}.json"
    quality = json.loads(path.read_text())
    path.write_text(json.dumps(quality | {"run_fingerprint": "of another step"}))
    path = run / "families" / f"{corpus}-ours.json"
    families = json.loads(path.read_text())
    path.write_text(json.dumps(families | {"data_fingerprint": "of other rows"}))
    page, found = sections_of(run)
    text = text_of(page)
    for name, command in ((f"quality/{corpus}.json", "evaluate"), (path.name, "families")):
        expected = (
            f"{name} is left out: it is of other weights or rows than the codes.  sae-jax"
        )
        assert f"{expected} {command} {run}  makes it anew." in text
    assert found[corpus]["quality"] is None
    assert list(found[corpus]["families"]) == ["paper"]


def test_without_codes_files_are_held_against_most_of_the_others(run):
    corpus = corpus_of(run)
    shutil.rmtree(run / "codes")
    path = run / "quality" / f"{corpus}.json"
    quality = json.loads(path.read_text())
    path.write_text(json.dumps(quality | {"run_fingerprint": "of another step"}))
    page, found = sections_of(run)
    text = text_of(page)
    assert (
        f"quality/{corpus}.json is left out: it is of other weights or rows than most" in text
    )
    assert f"No codes, or not all of them:  sae-jax encode {run}  makes them." in text
    assert f"No matrix of which latents are on together:  sae-jax encode {run}" in text
    assert found[corpus]["density"] is None
    assert found[corpus]["families"]["ours"]["largest"]
    (one,) = sections.read(run)
    names = {shown.name for shown in sections.figures(one)}
    assert "trees-ours" in names
    assert "overlap-ours" not in names


@pytest.mark.parametrize(
    ("content", "why"),
    [('{"format": 2, "n', "cannot be read"), ('{"format": 1}', "has format 1; expected 2")],
)
def test_a_file_that_cannot_be_read_is_said(run, content, why):
    corpus = corpus_of(run)
    (run / "quality" / f"{corpus}.json").write_text(content)
    page, found = sections_of(run)
    assert f"quality/{corpus}.json is left out: it {why}" in text_of(page)
    assert found[corpus]["quality"] is None
    assert found[corpus]["families"]


def test_another_corpus_has_sections_of_its_own(run, tmp_path):
    other = tmp_path / "other[1]"  # no pattern, though it looks like one
    other.mkdir()
    np.save(other / "b.npy", planted_rows(300, seed=1))
    main.dispatch(["encode", str(run), f"--shards={other}"])
    page, found = sections_of(run)
    (name,) = (name for name in found if name.startswith("other"))
    assert len(found) == 2
    assert f"sae-jax evaluate {run} --shards={other}  makes it." in text_of(page)
    assert found[name]["density"]["quantiles"]["1"] > 0
    (run / "codes" / name / "manifest.json").write_text("{")  # so where it lay is not known
    page, found = sections_of(run)
    assert f"That is:  sae-jax encode {run} --shards=…/other[1] ." in text_of(page)
    assert found[name]["density"] is None


def test_without_any_analysis_it_is_said_how_to_begin(run):
    for of in ("quality", "features", "families", "matching", "codes"):
        shutil.rmtree(run / of)
    page, found, _ = written(run)
    assert found == {}
    assert f"None yet:  sae-jax encode {run}  comes first" in text_of(page)


def test_members_of_a_sweep_have_their_sections(made, tmp_path):
    folder = tmp_path / "sweep"
    for name in ("run", OTHER):
        shutil.copytree(made / name, folder / name)
    members = [{"name": name, "overrides": {"sae.k": name}} for name in ("run", OTHER)]
    (folder / "sweep.json").write_text(json.dumps({"format": 1, "members": members}))
    found = report.read(folder)
    out = folder / "report"
    report.write(found, title="Sweep", out=out)
    page = (out / "index.html").read_text()
    corpus = corpus_of(folder / "run")
    for name in ("run", OTHER):
        assert f"<h2>{html.escape(name)} on {corpus}</h2>" in page
    assert (out / "run" / corpus / "quality.csv").exists()
    assert (out / OTHER / corpus / "density-of-codes.png").exists()
    assert f"run on {corpus}: quality, density, labels, llm labels, families, matching" in (
        report.describe(found)
    )
    assert report.is_current(folder, out=out)
    path = folder / "run" / "families" / f"{corpus}-ours.json"
    os.utime(path, ns=(2 * 10**18, 2 * 10**18))
    assert not report.is_current(folder, out=out)
