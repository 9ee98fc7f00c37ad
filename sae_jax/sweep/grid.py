"""The members of a sweep: a base experiment, and the settings in which each differs from it."""

import dataclasses
import pathlib
import runpy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sae_jax.config import Config
from sae_jax.errors import UsageError

Overrides = Mapping[str, Any]  # dotted names of settings, such as sae.k, and their values


class SweepFile(NamedTuple):
    """What a file of `experiments/` with `BASE` and `sweep()` says."""

    base: pathlib.Path  # an experiment: a file with get_config()
    overrides: list[dict[str, Any]]


class Member(NamedTuple):
    """One run of a sweep."""

    name: str  # and its folder, such as n_latents=3072,k=32
    overrides: dict[str, Any]
    config: Config


def read_sweep_file(path: pathlib.Path) -> SweepFile:
    """Runs the file; BASE is looked for from the folder it lies in upwards.

    Raises:
        UsageError: it is not a sweep file, or its base does not exist.
    """
    if not path.is_file():
        raise UsageError(f"--config={path}: there is no such file; expected a sweep file.")
    found = runpy.run_path(str(path))
    if "BASE" not in found or not callable(found.get("sweep")):
        raise UsageError(
            f"{path}: is no sweep file; expected BASE, the path of an experiment, and sweep(), "
            "which yields the settings of each run. For one run there is `sae-jax train`."
        )
    places = [folder / found["BASE"] for folder in path.absolute().parents]
    base = next((place for place in places if place.is_file()), None)
    if base is None:
        raise UsageError(
            f"{path}: its BASE, {found['BASE']}, was not found; expected the path of an "
            f"experiment, as seen from {path.absolute().parent} or a folder above it."
        )
    return SweepFile(base, [dict(overrides) for overrides in found["sweep"]()])


def make_members(base: Config, overrides: Iterable[Overrides]) -> list[Member]:
    """A member for each set of overrides, in their order. Settings are not validated yet.

    Raises:
        UsageError: a setting does not exist or has another type, or two members are the same.
    """
    members: dict[str, Member] = {}
    for chosen in overrides:
        member = Member(_name(chosen), dict(chosen), with_overrides(base, chosen))
        if member.name in members:
            raise UsageError(
                f"the sweep has {member.name} twice; expected members that differ. Leave one "
                "out, or give each its own sae.n_latents, sae.k or seed."
            )
        members[member.name] = member
    if not members:
        raise UsageError("the sweep has no members; expected sweep() to yield at least one.")
    return list(members.values())


def _name(overrides: Overrides) -> str:
    parts = (f"{name.rsplit('.', 1)[-1]}={_as_text(v)}" for name, v in overrides.items())
    return ",".join(parts) or "base"


def _as_text(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text.replace("/", "_")


def with_overrides(config: Config, overrides: Overrides) -> Config:
    """A copy with these settings, named as on the command line but for `config.`."""
    for name, value in overrides.items():
        config = _with_one(config, name.split("."), value=value, name=name)
    return config


def _with_one(settings: Any, path: Sequence[str], *, value: Any, name: str) -> Any:
    first, *rest = path
    known = [field.name for field in dataclasses.fields(settings)]
    if first not in known:
        raise UsageError(
            f"the sweep sets {name!r}, but there is no such setting; known here: "
            f"{', '.join(known)}. See sae_jax/config.py."
        )
    old = getattr(settings, first)
    if dataclasses.is_dataclass(old):
        if not rest:
            raise UsageError(f"the sweep sets {name!r}, a group of settings; name one of them.")
        value = _with_one(old, rest, value=value, name=name)
    elif rest or not _fits(value, old):
        raise UsageError(
            f"the sweep sets {name}={value!r}; expected {type(old).__name__}, such as {old!r}."
        )
    else:
        value = type(old)(value)
    return dataclasses.replace(settings, **{first: value})


def _fits(value: Any, old: Any) -> bool:
    """As in a file of settings: whole numbers serve as numbers, nothing else is turned."""
    if isinstance(value, bool) or isinstance(old, bool):
        return type(value) is type(old)
    return isinstance(value, type(old)) or (isinstance(old, float) and isinstance(value, int))


def only(members: Sequence[Member], conditions: Iterable[str]) -> list[Member]:
    """Those that meet every condition, such as "k=32,64".

    Raises:
        UsageError: the sweep does not vary that setting, or has no such value of it.
    """
    kept = list(members)
    for condition in conditions:
        name, equals, values = condition.partition("=")
        wanted = {value.strip() for value in values.split(",")}
        found = [_value(member, name.strip()) for member in members]
        varied = dict.fromkeys(key for member in members for key in member.overrides)
        if not equals or not any(found):
            raise UsageError(
                f"--only={condition}: expected SETTING=VALUE,VALUE of a setting that this "
                f"sweep varies: {', '.join(varied)}."
            )
        if unknown := wanted - set(found):
            there = dict.fromkeys(value for value in found if value)
            raise UsageError(
                f"--only={condition}: no member has {name}={', '.join(sorted(unknown))}; there "
                f"are {', '.join(there)}."
            )
        kept = [member for member in kept if _value(member, name.strip()) in wanted]
    if not kept:
        raise UsageError("--only: no member meets all conditions. Give fewer of them.")
    return kept


def _value(member: Member, name: str) -> str:
    """The value of a setting by its dotted or its last name; empty where it is not set."""
    for key, value in member.overrides.items():
        if name in (key, key.rsplit(".", 1)[-1]):
            return _as_text(value)
    return ""


def share(members: Sequence[Member], *, task_index: int, task_count: int) -> list[Member]:
    """The members of one of several tasks: the same on every machine, none in two.

    The costliest first, each to the task with the least work so far.
    """
    if not 0 <= task_index < task_count:
        raise UsageError(
            f"--task_index={task_index} of --task_count={task_count}; expected an index from 0 "
            f"to {task_count - 1}."
        )
    work = [0.0] * task_count
    own = []
    for member in sorted(members, key=lambda member: -cost(member.config)):
        task = work.index(min(work))
        work[task] += cost(member.config)
        if task == task_index:
            own.append(member)
    return [member for member in members if member in own]


def cost(config: Config) -> float:
    """How long a member takes beside others, in no unit.

    The powers are those with which a step's time grows on a CPU: BUILD.md, Speed.
    """
    sae = config.sae
    step = (sae.n_latents * sae.d_in * config.batch_size) ** 0.74 * sae.k**0.26
    return float(config.n_steps * step)
