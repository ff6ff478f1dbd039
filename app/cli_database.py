"""`imdlens db`: the database of counts upgraded, backed up, restored and pruned, for whoever holds it."""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape

from app import backup as copies
from app import retention
from app.counting import database_url, engine_of, open_store
from app.database import check_schema, embedded_file, open_engine, open_to_look, upgrade
from app.settings import Settings, read_settings

FORESEEN: Final = (copies.BackupError,)

db = typer.Typer(help="The database of counts.", no_args_is_help=True)

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


@db.command("upgrade")
def upgrade_database() -> None:
    """Make the tables of counts, or bring them to this version. Safe to run again."""
    upgrade(engine_of(read_settings(), patient=True))
    out.print("The database has the tables that this version needs.")


# ----------------------------------------------------------------------------- backup and restore


@db.command("backup")
def back_up_database(
    file: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write. It must not be there yet.")],
) -> None:
    """Copy the embedded store while it is in use. CONFIDENTIAL, as the store is: encrypt where it is kept.

    The secret is not in it: keep that too, and elsewhere.
    """
    settings = read_settings()
    url = _address(settings)
    store = embedded_file(url)
    if store is None:
        raise copies.BackupError(
            f"The counts are in PostgreSQL, which has its own: {copies.pg_dump_command(url, file)}"
        )
    found = copies.back_up(store, file)
    sealed = f", sealed up to {found.newest}" if found.newest else ", none sealed"
    out.print(f"{escape(str(file))}: {found.size / 1e6:,.1f} MB, {found.months} months{sealed}. It is sound.")
    kept = "IMDLENS_SECRET" if settings.secret else f"{settings.counts_folder / 'secret'}"
    err.print(f"Without the secret ({escape(kept)}) no key of it is good, and retries count twice: keep that too.")


@db.command("restore")
def restore_database(
    file: Annotated[Path, typer.Argument(help="A file that `imdlens db backup` wrote.")],
    move_aside: Annotated[
        bool, typer.Option("--move-aside", help="Keep the store that is there under another name.")
    ] = False,
) -> None:
    """Put a backup in the place of the embedded store. Stop the service first; docs/backup.md says what follows."""
    settings = read_settings()
    url = _address(settings)
    store = embedded_file(url)
    if store is None:
        raise copies.BackupError(
            f"The counts are in PostgreSQL. Into an empty database: {copies.pg_restore_command(url, file)}"
        )
    aside = copies.restore(file, store, settings.counts_folder / "spool", move_aside=move_aside)
    if aside:
        out.print(f"The store of before is {escape(str(aside))}. It is as confidential.")
    out.print(f"{escape(str(store))} is what {escape(str(file))} was. Start the service, and let senders send again")
    out.print("what they sent since the backup: contacts with an `event_id` count exactly once.")
    for key in copies.revived(store, settings.keys_copy):
        err.print(
            f"[yellow]Key {key.id} ({escape(key.name)}) is good again; it was not on this host before."
            f" If it was revoked:[/] imdlens keys revoke {key.id}"
        )
    err.print("Keys made since the backup are unknown now, and those revoked since are good: imdlens keys list")


@db.command()
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much there is. Changes nothing.")] = False,
    ended_keys: Annotated[
        int | None, typer.Option(min=retention.LEAST_DAYS, help="Also keys that ended so many days ago.")
    ] = None,
) -> None:
    """Remove what is kept for a time that is over. A running service does the daily part of it by itself."""
    settings = read_settings()
    engine = open_to_look(_address(settings)) if dry_run else open_store(settings, patient=True)
    check_schema(engine)
    for kind in retention.old(engine, ended_keys=ended_keys):
        found = retention.count(engine, kind) if dry_run else retention.remove(engine, kind)
        out.print(f"{found:>9,} {kind.what}")
    out.print("Nothing was removed." if dry_run else "They are removed. Backups hold them until they are removed too.")
    engine.dispose()


def _address(settings: Settings) -> str:
    """The store's address, of which it is known that it is one. DatabaseError."""
    url = database_url(settings)
    if embedded_file(url) is None:
        open_engine(url).dispose()  # says what is wrong with it; connects to nobody
    return url
