"""`imdlens doctor`: the first look when something is wrong, and the last before a start."""

import json
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape

from app.doctor.examination import examine
from app.health import worst

out = Console(soft_wrap=True, highlight=False)
_COLOURS: Final = {"pass": "green", "warn": "yellow", "fail": "bold red"}


def doctor(as_json: Annotated[bool, typer.Option("--json", help="JSON instead of lines.")] = False) -> None:
    """Check settings, data, database, keys, clock, disks, permissions, spool and sealing, and say what to do.

    Changes nothing and shows no secret. Run it as the service's user, with its environment. Ends with 1 where
    anything fails; a warning alone ends with 0.
    """
    findings = list(examine())
    status = worst(findings)
    if as_json:
        typer.echo(json.dumps({"status": status, "checks": [one._asdict() for one in findings]}, ensure_ascii=False))
    else:
        for one in findings:
            colour = _COLOURS[one.status]
            out.print(f"[{colour}]{one.status}[/] {one.name:<12} {escape(one.said)}")
            if one.do:
                out.print(f"{'':18}do: {escape(one.do)}")
    raise typer.Exit(1 if status == "fail" else 0)
