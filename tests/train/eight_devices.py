"""Run by test_sharding.py in a process with eight devices: every mesh gives what one gives."""

import functools
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from tiny import assert_same, config, metrics, planted_rows

from sae_jax.data.shards import open_shards
from sae_jax.data.stream import RowStream
from sae_jax.errors import UsageError
from sae_jax.train import evaluate, loop, plan, setup, sharding
from sae_jax.train.checkpoint import Checkpoints, named_leaves, read_meta
from sae_jax.train.statistics import measure

MESHES = {"8x1": 1, "4x2": 2, "2x4": 4, "1x8": 8}
N_STEPS = 24


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    np.save(folder / "a.npy", planted_rows(2_000))
    return open_shards(folder)


@pytest.fixture(scope="module")
def data(reader):
    return measure(reader)


def settings(reader, **changes):
    """AuxK begins after two steps; averaged weights, so that they are seen to follow."""
    shape = {"n_steps": N_STEPS, "batch_size": 32, "block_steps": 8, "ema_decay": 0.5}
    return config(reader.folder, **shape | {"dead_after_examples": 64, "k_aux": 4} | changes)


def mesh_of(name):
    if name == "1x1":
        return sharding.one_device()
    return sharding.make_mesh(latent_shards=MESHES[name])


def run(reader, data, *, mesh, **changes):
    """(state, metrics) after N_STEPS."""
    chosen = settings(reader, **changes)
    stream = RowStream(reader=reader, seed=0, batch_size=chosen.batch_size)
    state = setup.initial_state(chosen, reader=reader, data=data, mesh=mesh)
    train_block = setup.compile_block(chosen, mesh=mesh, state=state)
    parts = []
    with jax.set_mesh(mesh):
        for start in range(0, N_STEPS, chosen.block_steps):
            block = setup.draw(stream, start=start, config=chosen, mesh=mesh)
            state, measured = train_block(state, block.rows)
            parts.append(jax.device_get(measured))
    return state, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@pytest.fixture(scope="module")
def on_one_device(reader, data):
    return functools.cache(
        lambda products: run(reader, data, mesh=mesh_of("1x1"), products=products)
    )


@pytest.mark.parametrize(
    ("name", "products"), [*((name, "sparse") for name in MESHES), ("2x4", "dense")]
)
def test_the_mesh_does_not_change_the_result(reader, data, on_one_device, name, products):
    state, metrics = run(reader, data, mesh=mesh_of(name), products=products)
    expected, expected_metrics = on_one_device(products)
    assert expected_metrics["auxk_loss"].any(), "no latent was dead: AuxK was not tested"
    assert expected_metrics["dead_fraction"].max() > 0.05
    for metric, values in expected_metrics.items():
        np.testing.assert_allclose(metrics[metric], values, rtol=1e-5, err_msg=metric)
    found, wanted = named_leaves(state), named_leaves(expected)
    assert found.keys() == wanted.keys()
    for array, values in wanted.items():
        # Measured: 6e-8 on all four meshes, from sums in another order.
        np.testing.assert_allclose(
            np.asarray(found[array]), np.asarray(values), rtol=1e-5, atol=1e-6, err_msg=array
        )
    np.testing.assert_array_equal(
        np.asarray(state.examples_since_fired), np.asarray(expected.examples_since_fired)
    )


@pytest.mark.parametrize(("name", "rows"), [("8x1", 64), ("4x2", 32), ("2x4", 16), ("1x8", 8)])
def test_no_device_ever_holds_more_than_its_part(reader, data, name, rows):
    state = setup.initial_state(settings(reader), reader=reader, data=data, mesh=mesh_of(name))
    split = [array for array, spec in sharding.STATE_SPECS.items() if "latent" in tuple(spec)]
    seen = 0
    for array, value in named_leaves(state).items():
        shapes = {shard.data.shape for shard in value.addressable_shards}
        assert len(value.addressable_shards) == 8
        if array.rsplit(".", 1)[-1] in split:
            assert shapes == {(rows, *value.shape[1:])}, array
            seen += 1
        else:
            assert shapes == {value.shape}, array
    assert seen == 4 * 3 + 1  # model, average and two moments of three; the counter


def test_the_initial_state_is_the_same_to_the_bit_on_every_mesh(reader, data):
    create = functools.partial(setup.initial_state, settings(reader), reader=reader, data=data)
    expected = create(mesh=mesh_of("1x1"))
    for name in MESHES:
        assert_same(create(mesh=mesh_of(name)), expected)


def collectives(text):
    """(operation, elements of its largest result) of each collective of a compiled program."""
    found = []
    for line in text.splitlines():
        kind = re.search(
            r" = (.*?) (all-gather|all-reduce|all-to-all|reduce-scatter|collective-permute)"
            r"(?:-start)?\(",
            line,
        )
        if kind:
            shapes = re.findall(r"\w+\[([\d,]*)\]", kind[1])
            sizes = [np.prod([int(n) for n in shape.split(",") if n]) for shape in shapes]
            found.append((kind[2], int(max(sizes))))
    return found


def compiled_step(reader, data, *, mesh, products):
    """The text of a step of 32 × 512: its pre-activations are larger than its gradients."""
    chosen = settings(reader, n_latents=512, products=products, block_steps=2, k_aux=8)
    state = setup.initial_state(chosen, reader=reader, data=data, mesh=mesh)
    rows = jax.ShapeDtypeStruct((2, 32, 16), jnp.float32)
    train_block = setup.compile_block(chosen, mesh=mesh, state=state)
    with jax.set_mesh(mesh):
        return train_block.lower(state, rows).compile().as_text()


def too_large(text, *, mesh):
    """Collectives that move more than candidates, gradients or reconstructions."""
    n_latent, n_data = mesh.shape["latent"], mesh.shape["data"]
    batch = 32 // n_data
    candidates = batch * 8 * n_latent  # k_aux of each device
    gradients = 512 // n_latent * 16
    most = {"all-gather": candidates, "all-reduce": max(gradients, batch * 16)}
    return [
        (kind, size) for kind, size in collectives(text) if size > most.get(kind, candidates)
    ]


@pytest.mark.parametrize(
    ("name", "products"), [("8x1", "dense"), ("2x4", "dense"), ("2x4", "sparse")]
)
def test_no_collective_moves_the_pre_activations(reader, data, name, products):
    mesh = mesh_of(name)
    text = compiled_step(reader, data, mesh=mesh, products=products)
    assert collectives(text), "nothing was found: is the text of another form?"
    assert not too_large(text, mesh=mesh)


@pytest.mark.parametrize("wrong", [jnp.sort, lambda a: jax.lax.top_k(a, 8)])
def test_a_selection_that_xla_partitions_by_itself_is_found_out(wrong):
    """Outside shard_map it gathers its whole input, so the test above can fail."""
    mesh = mesh_of("2x4")
    shapes = {
        "W": jax.ShapeDtypeStruct((512, 16), float),
        "x": jax.ShapeDtypeStruct((32, 16), float),
    }
    of = {
        "W": NamedSharding(mesh, P("latent", None)),
        "x": NamedSharding(mesh, P("data", None)),
    }
    program = jax.jit(
        lambda a: wrong(a["x"] @ a["W"].T),
        in_shardings=(of,),
        out_shardings=NamedSharding(mesh, P()),
    )
    text = program.lower(shapes).compile().as_text()
    found = too_large(text, mesh=mesh)
    assert max(size for _, size in found) >= 16 * 512


def test_shapes_that_do_not_divide_are_refused_with_what_to_do(reader):
    check = sharding.check_layout
    with pytest.raises(UsageError, match=r"latent_shards=3: found 8 devices.*1, 2, 4, 8"):
        sharding.make_mesh(latent_shards=3)
    with pytest.raises(UsageError, match=r"batch_size=40.*8 devices.*of 2.*batch_size=48"):
        check(settings(reader, batch_size=40), mesh_of("8x1"))
    check(settings(reader, batch_size=40, auxk_every=1), mesh_of("8x1"))
    check(settings(reader, batch_size=40, auxk_coefficient=0.0), mesh_of("8x1"))
    with pytest.raises(UsageError, match=r"n_latents=66.*latent_shards=4.*n_latents=68"):
        check(settings(reader, n_latents=66), mesh_of("2x4"))
    with pytest.raises(UsageError, match=r"sae\.k=9.*leaves 8 of"):
        check(settings(reader, k=9), mesh_of("1x8"))
    check(settings(reader), mesh_of("4x2"))
    with pytest.raises(UsageError, match="batch_size=36"):
        loop.train(
            settings(reader, batch_size=36), reader=reader, workdir=reader.folder / "never"
        )
    assert not (reader.folder / "never").exists()


def test_evaluation_is_the_same_on_every_mesh(reader, data, on_one_device):
    """Also of a number of rows that no mesh divides."""
    row_ids = np.arange(203)
    model = on_one_device("sparse")[0].model
    chosen = settings(reader).sae
    expected = evaluate.make_evaluator(reader, mean=data.mean, config=chosen)(model, row_ids)
    for name in ("8x1", "2x4"):
        mesh = mesh_of(name)
        measure = evaluate.make_evaluator(reader, mean=data.mean, config=chosen, mesh=mesh)
        placed = jax.device_put(model, sharding.state_shardings(mesh, model))
        found = measure(placed, row_ids)
        assert found.fvu == pytest.approx(expected.fvu, rel=1e-5)
        assert found.cosine == pytest.approx(expected.cosine, rel=1e-5)
        np.testing.assert_array_equal(found.density, expected.density)
        assert found.n_rows == 203


def test_a_checkpoint_is_restored_on_any_mesh_with_the_same_checksums(
    reader, data, on_one_device, tmp_path
):
    state = on_one_device("sparse")[0]
    saved = {}
    for name in ("1x1", "4x2"):
        placed = jax.device_put(state, sharding.state_shardings(mesh_of(name), state))
        checkpoints = Checkpoints(tmp_path / name)
        checkpoints.save(placed, step=N_STEPS, meta={}, fvu=0.5)
        checkpoints.wait()
        saved[name] = read_meta(tmp_path / name / str(N_STEPS))["checksums"]
        checkpoints.close()
    assert saved["1x1"] == saved["4x2"]
    for name in ("1x1", "1x8", "8x1"):
        like = setup.initial_state(
            settings(reader), reader=reader, data=data, mesh=mesh_of(name)
        )
        checkpoints = Checkpoints(tmp_path / "4x2")
        restored = checkpoints.restore_latest(like)
        assert_same(restored[0], state)
        assert restored[0].model.W_dec[...].sharding == like.model.W_dec[...].sharding
        checkpoints.close()


def test_a_split_state_may_be_donated_right_after_a_save(reader, data, tmp_path):
    mesh = mesh_of("2x4")
    state = setup.initial_state(settings(reader), reader=reader, data=data, mesh=mesh)
    wanted = jax.tree.map(np.array, state)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state, step=1, meta={}, fvu=1.0)
    scramble = jax.jit(lambda s: jax.tree.map(lambda a: a * 0, s), donate_argnums=0)
    state = scramble(state)
    checkpoints.wait()
    assert_same(checkpoints.restore_latest(state)[0], wanted)
    checkpoints.close()


def test_a_whole_run_on_a_mesh_says_so_and_gives_what_one_device_gives(reader, tmp_path):
    meshes = {"one": mesh_of("1x1"), "eight": mesh_of("2x4")}
    for name, mesh in meshes.items():
        (tmp_path / name).mkdir()
        loop.train(settings(reader), reader=reader, workdir=tmp_path / name, mesh=mesh)
    one, eight = (metrics(tmp_path / name) for name in meshes)
    assert [line["row_ids_crc32"] for line in one] == [line["row_ids_crc32"] for line in eight]
    for ours, wanted in zip(eight, one, strict=True):
        assert ours["fvu"] == pytest.approx(wanted["fvu"], rel=1e-4)
    assert metrics(tmp_path / "eight", split="held_out")[-1]["fvu"] == pytest.approx(
        metrics(tmp_path / "one", split="held_out")[-1]["fvu"], rel=1e-4
    )
    summary = json.loads((tmp_path / "eight" / "summary.json").read_text())
    assert summary["device"] == "8 × cpu: data 2 × latent 4"
    assert summary["held_out"]["fvu"] > 0


def test_the_plan_says_the_mesh_and_counts_one_device(reader, tmp_path):
    made = {
        name: plan.make_plan(settings(reader), reader, mesh=mesh_of(name))
        for name in ("1x1", "4x2")
    }
    assert made["4x2"].device_bytes < made["1x1"].device_bytes
    assert made["4x2"].state_bytes == made["1x1"].state_bytes
    text = plan.describe(
        made["4x2"],
        config=settings(reader),
        reader=reader,
        workdir=tmp_path,
        mesh=mesh_of("4x2"),
    )
    assert "8 × cpu: data 4 × latent 2" in text
    assert "on each device" in text
