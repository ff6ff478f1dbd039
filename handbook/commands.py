"""The page of commands: every one with its arguments and options, as `--help` has them."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

import typer
from typer.main import get_command

from app import cli
from handbook.tables import table

_HEAD: Final = """# Commands

Every command of `imdlens`, with all its options. `imdlens COMMAND --help` says the same.

"""


def page() -> str:
    """The page."""
    return _HEAD + "\n".join(_section(name, command) for name, command in sorted(commands()))


def commands() -> Iterator[tuple[str, Any]]:
    """Commands by their whole name, those of other modules too."""
    elsewhere = typer.Typer()
    for name, module in cli.ELSEWHERE.items():
        own = getattr(import_module(module), name)
        if isinstance(own, typer.Typer):
            elsewhere.add_typer(own, name=name)
        else:
            elsewhere.command(name)(own)
    for root in (get_command(cli.app), get_command(elsewhere)):
        for name, command in root.commands.items():  # type: ignore[attr-defined]
            for under, leaf in getattr(command, "commands", {"": command}).items():
                yield f"{name} {under}".strip(), leaf


def _section(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    called = " ".join(["imdlens", name, *(_place(a) for a in arguments)])
    rows = [(f"`{_place(a)}`", _what(a)) for a in arguments]
    rows += [(_names(p), _what(p)) for p in command.params if p.param_type_name == "option"]
    # Rich's marks are for a terminal; a form feed and what follows it is for nobody.
    said = (command.help or "").split("\f")[0].strip()
    return f"## {name}\n\n`{called}`\n\n{said}\n\n" + (table(("", ""), rows) if rows else "")


def _place(argument: Any) -> str:
    name = (argument.metavar or argument.name or "").upper().strip("{}[]")
    shown = f"{name}…" if argument.nargs == -1 else name
    return shown if argument.required else f"[{shown}]"


def _names(option: Any) -> str:
    if option.is_flag:
        return ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    return ", ".join(f"`{name} …`" for name in option.opts)


def _what(parameter: Any) -> str:
    """The help, whether it must be there, and a default that is more than nothing."""
    said = [(parameter.help or "").rstrip(".") + "." if parameter.help else ""]
    if parameter.param_type_name == "option" and parameter.required:
        said.append("Required.")
    if getattr(parameter, "multiple", False) and "repeat" not in (parameter.help or "").lower():
        said.append("May be repeated.")
    default = parameter.default
    if isinstance(default, str | int | float) and not isinstance(default, bool) and default != "":
        said.append(f"By default `{default}`.")
    return " ".join(part for part in said if part)
