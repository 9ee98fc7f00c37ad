"""`sae-jax COMMAND [FLAGS]`: finds the command, reads its flags, reports its errors.

A command is a module of this package with a docstring (its help), `define_flags`
and `run`. A mistake of the user ends in one paragraph and an exit code; only a
defect of sae_jax shows a traceback.
"""

import ast
import dataclasses
import importlib
import os
import pathlib
import re
import sys
import textwrap
from types import ModuleType

from absl import flags

from sae_jax import config
from sae_jax.errors import SaeJaxError, UsageError

COMMANDS = (
    "embed", "ingest", "check", "export", "train", "sweep", "report", "latents", "encode",
    "evaluate", "label", "families", "match", "search", "evaluate-search", "explore",
)  # fmt: skip


def overview() -> str:
    """The help of `sae-jax` itself: one line per command."""
    lines = ["sae-jax COMMAND [FLAGS]", "", "Commands, in the order they are used:"]
    lines += [f"  {name:<15} {_summary(name)}" for name in COMMANDS]
    lines += ["", "Help on one:  sae-jax COMMAND --help"]
    return "\n".join(lines)


def _summary(command: str) -> str:
    """The first line of its help, read as text: to import them all takes four times as long."""
    path = pathlib.Path(__file__).with_name(f"{command.replace('-', '_')}.py")
    return (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[0]


def load(command: str) -> ModuleType:
    return importlib.import_module(f"sae_jax.cli.{command.replace('-', '_')}")


def command_help(module: ModuleType, values: flags.FlagValues) -> str:
    """The command's docstring, then each flag with its default on one or two lines."""
    lines = [(module.__doc__ or "").strip(), "", "Flags:"]
    for name in sorted(values):
        flag = values[name]
        if name in ("help", "?", "helpshort", "helpfull", "helpxml", "flagfile", "undefok"):
            continue
        default = "" if flag.default in (None, "") else f" [{flag.default}]"
        text = f"--{name}: {' '.join((flag.help or '').split())}{default}"
        lines += textwrap.wrap(text, 96, initial_indent="  ", subsequent_indent="      ")
    return "\n".join(lines)


def dispatch(argv: list[str]) -> int:
    """Runs one command; raises SaeJaxError where the user has to act."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    command, *rest = argv
    if command not in COMMANDS:
        raise UsageError(
            f"there is no command {command!r}; expected one of {', '.join(COMMANDS)}. "
            "See `sae-jax --help`."
        )
    module = load(command)
    if hasattr(module, "prepare"):
        rest = module.prepare(rest)
    values = flags.FlagValues()
    module.define_flags(values)
    if any(word in ("-h", "--help", "-help") for word in rest):
        print(command_help(module, values))
        return 0
    try:
        arguments = values([command, *rest])[1:]
    except flags.Error as error:
        raise UsageError(f"{error}. See `sae-jax {command} --help`.") from error
    except Exception as error:  # whatever the user's config file raises
        raise UsageError(
            f"{' '.join(word for word in rest if word.startswith('--config'))}: cannot be read "
            f"as settings: {type(error).__name__}: {error}.{_known_settings(str(error))} "
            f"See sae_jax/config.py, and `sae-jax {command} --help`."
        ) from error
    code = module.run(values, arguments)
    return int(code or 0)


def _known_settings(message: str) -> str:
    """The settings there are, where an error says that one is not."""
    found = re.search(r"not found on dataclass <class 'sae_jax\.config\.(\w+)'>", message)
    if not found:
        return ""
    names = (field.name for field in dataclasses.fields(getattr(config, found.group(1))))
    return f" Known here: {', '.join(names)}."


def main() -> None:
    """The entry point of the `sae-jax` program."""
    argv = sys.argv[1:]
    name = " ".join(["sae-jax", *argv[:1]])
    try:
        code = dispatch(argv)
    except SaeJaxError as error:
        print(f"{name}: {error}", file=sys.stderr)
        code = error.exit_code
    except BrokenPipeError:  # such as `| head`: whoever read this has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except OSError as error:
        print(
            f"{name}: {error.filename or 'a file'}: {error.strerror or error}. "
            "Nothing that was complete before is lost; mend the cause and run the "
            "same command again.",
            file=sys.stderr,
        )
        code = 1
    except KeyboardInterrupt:
        print(f"{name}: interrupted; run the same command again to go on.", file=sys.stderr)
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
