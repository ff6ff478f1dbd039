"""`imdlens keys`: who may ask, for whoever holds the database."""

import getpass
import json
import os
import socket
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from app.access import key_store
from app.access.caller import SCOPES, ScopeError
from app.counting import key_hasher, open_store
from app.settings import read_settings

FORESEEN: Final = (key_store.KeyRefusedError, ScopeError)

keys = typer.Typer(help="API keys: make, list and revoke them. Running workers follow within a second.")

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True, highlight=False)

_SCOPES_HELP: Final = "One of " + ", ".join(SCOPES) + "; may be named several times. None includes another."


@keys.command()
def create(
    name: Annotated[str, typer.Option(help="The system that will use it, as counts and logs shall name it.")],
    scope: Annotated[list[str], typer.Option(help=_SCOPES_HELP)],
    days: Annotated[int, typer.Option(help="How long it is good for.")] = key_store.DEFAULT_DAYS,
) -> None:
    """Make a key and print it, once, alone on the last line. Only its hash is stored."""
    settings = read_settings()
    engine = open_store(settings)
    key = key_store.create(engine, key_hasher(settings), name, scope, days, by=who())
    engine.dispose()
    err.print(f"A key for {name}, good for {days} days. It is shown this once: hand it over by a safe way.")
    typer.echo(key)


@keys.command("list")
def list_keys(as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False) -> None:
    """List every key that ever was, with what it opens and when it was last used. None of them is shown."""
    engine = open_store(read_settings())
    found = [_readable(key) for key in key_store.listed(engine)]
    engine.dispose()
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    if not found:
        out.print("There are no keys yet: imdlens keys create --name NAME --scope enrich")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("Id", "Name", "State", "Created", "Expires", "Last used", "Scopes"):
        table.add_column(heading, no_wrap=heading != "Scopes")
    for key in found:
        days = [key[name][:10] for name in ("created_at", "expires_at")]
        used = (key["used_at"] or "never")[:16].replace("T", " ")
        table.add_row(key["id"], key["name"], key["state"], *days, used, "\n".join(key["scopes"]))
    out.print(table)


@keys.command()
def revoke(which: Annotated[str, typer.Argument(help="The id of a key, or a name for all keys of that name.")]) -> None:
    """Revoke keys. Every worker refuses them within a second, and ends the sessions that began with them."""
    engine = open_store(read_settings())
    found = key_store.revoke(engine, which, by=who())
    engine.dispose()
    if not found:
        raise key_store.KeyRefusedError("No key in force has this id or name: imdlens keys list")
    out.print(f"{found} key{'s' if found > 1 else ''} revoked.")


def who() -> str:
    """Who asks, for the record: the operating system's user and machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number that no user has
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"[:80]


def _readable(key: dict[str, Any]) -> dict[str, Any]:
    now = datetime.now(UTC).timestamp()
    state = "revoked" if key["revoked_at"] else "expired" if key["expires_at"] <= now else "in force"
    moments = {name: value and _moment(value) for name, value in key.items() if name.endswith("_at")}
    return {**key, **moments, "scopes": key["scopes"].split(), "state": state}


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
