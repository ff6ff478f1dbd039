"""Whether the database of counts is there, right and writable, and what it says of keys, hosts and months."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from app.access import key_store
from app.access.keeper import remembered
from app.backup import postgres_options
from app.counting import database_url
from app.counts.schema import host, month
from app.counts.seal import months_due
from app.counts.spool import SpoolError, look
from app.counts.store import database_time
from app.database import embedded_file, is_sqlite, metadata, open_to_look, schema_of
from app.doctor.finding import Finding, doubtful, looked, well, wrong
from app.sealing import SKEW_SECONDS
from app.settings import Settings

_SOON: Final = 30 * 86_400
_SILENT: Final = 86_400
_CREATE: Final = "imdlens keys create --name NAME --scope enrich"
# What bears a moment of the clock that wrote it: seconds since 1970, or days.
_MOMENTS: Final = (
    ("a host was seen", "SELECT max(seen_at) FROM host"),
    ("a key was made", "SELECT max(created_at) FROM api_key"),
    ("a batch was counted", "SELECT max(day) * 86400 FROM batch"),
    ("a contact was counted", "SELECT max(day) * 86400 FROM event_key"),
)


def store(settings: Settings) -> Iterator[Finding]:
    """All that is looked at in the database, as far as it can be."""
    url = database_url(settings)
    file = embedded_file(url)
    if file and not file.exists():
        yield _no_file(settings, file)
        return
    engine = open_to_look(url)
    try:
        found = _schema(engine, url)
        yield found
        if found.status == "pass":
            for name, check in (
                ("database", lambda: _writable(engine, file)),
                ("clock", lambda: _moments(engine)),
                ("keys", lambda: _keys(engine, settings)),
                ("hosts", lambda: _hosts(engine)),
                ("sealing", lambda: _sealing(engine)),
            ):
                yield from looked(name, check)
    finally:
        engine.dispose()


def _no_file(settings: Settings, file: Path) -> Finding:
    if remembered(settings.keys_copy):
        said = f"{file} is gone, and this host remembers keys of it: the store was lost."
        return wrong("database", said, "restore it (docs/backup.md): imdlens db restore FILE")
    return doubtful("database", f"{file} is not there yet: the first start makes it.", "imdlens serve")


def _schema(engine: Engine, url: str) -> Finding:
    try:
        state = schema_of(engine)
    except SQLAlchemyError as error:
        said = f"The database cannot be reached or read ({type(error).__name__})."
        where = "pg_isready " + postgres_options(url) if not is_sqlite(engine) else "restore it (docs/backup.md)"
        return wrong("database", said, where)
    if state == "current":
        return well("database", "It answers, and has the tables that this version needs.")
    if state == "newer":
        said = "A newer version of IMD Lens made its tables."
        return wrong("database", said, "install that version; or restore a backup from before (docs/backup.md)")
    if is_sqlite(engine):
        return doubtful("database", "Its tables are older: the next start brings them up.", "imdlens db upgrade")
    return wrong("database", "It has no tables of IMD Lens, or older ones.", "imdlens db upgrade")


def _writable(engine: Engine, file: Path | None) -> Iterator[Finding]:
    if file:
        if not os.access(file, os.W_OK, effective_ids=True) or not os.access(file.parent, os.W_OK, effective_ids=True):
            yield wrong("database", f"{file} or its folder cannot be written by this user.", f"chown USER {file}")
        return
    with engine.connect() as connection:
        if connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar():
            said = "It is a standby, which takes no contact."
            yield wrong("database", said, "name the primary in IMDLENS_DATABASE_URL")
        ask = "SELECT has_table_privilege(%s, 'INSERT') AND has_table_privilege(%s, 'UPDATE')"
        closed = [t for t in sorted(metadata.tables) if not connection.exec_driver_sql(ask, (t, t)).scalar()]
        if closed:
            said = f"This user may not write to {len(closed)} of its tables, such as {closed[0]}."
            yield wrong("database", said, "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO USER")
        before = time.time()
        theirs = database_time(connection)
        apart = abs(theirs - (before + time.time()) / 2)
    if apart > SKEW_SECONDS:
        said = f"Its clock and this host's are {apart:,.0f} seconds apart: cards of one host are refused by another."
        yield wrong("clock", said, "set both clocks: timedatectl set-ntp true")
    elif apart > SKEW_SECONDS / 10:
        said = f"Its clock and this host's are {apart:,.0f} seconds apart."
        yield doubtful("clock", said, "set both clocks: timedatectl set-ntp true")


def _moments(engine: Engine) -> Iterator[Finding]:
    """Nothing was written later than now."""
    now = time.time()
    with engine.connect() as connection:
        for what, ask in _MOMENTS:
            moment = connection.exec_driver_sql(ask).scalar()
            if moment is not None and moment > now + SKEW_SECONDS:
                at = datetime.fromtimestamp(moment, UTC)
                said = f"The clock is behind: the store says that {what} on {at:%Y-%m-%d %H:%M} UTC."
                yield wrong("clock", said, "set the clock before the service runs on: timedatectl set-ntp true")
                return


def _keys(engine: Engine, settings: Settings) -> Iterator[Finding]:
    now = time.time()
    keys = key_store.listed(engine)
    made = settings.counts_folder / "secret"
    if keys and not settings.secret and not made.exists():
        said = f"{made} is missing, and the store has keys: none of them is good any more, and retries count twice."
        yield wrong("secret", said, "restore it from where it is kept (docs/backup.md)")
    good = [key for key in keys if key["revoked_at"] is None and key["expires_at"] > now]
    if not good:
        said = "No key is good" + (", and there never was one." if not keys else ": all are expired or revoked.")
        mild = settings.access_file or (not keys and is_sqlite(engine))  # tokens; a first start makes a key
        yield (doubtful if mild else wrong)("keys", said, _CREATE)
    expired = [key for key in keys if key["revoked_at"] is None and key["expires_at"] <= now]
    if expired:
        said = f"Expired, and perhaps still sent: {_named(expired)}."
        yield doubtful("keys", said, f"{_CREATE}; then imdlens keys revoke {expired[0]['id']}")
    if soon := [key for key in good if key["expires_at"] < now + _SOON]:
        yield doubtful("keys", f"End within 30 days: {_named(soon)}.", f"make and hand over another: {_CREATE}")
    if good and not soon and not expired:
        yield well("keys", f"{len(good)} good, none ends within 30 days.")


def _named(keys: list[dict[str, Any]]) -> str:
    shown = ", ".join(f"{key['id']} ({key['name']})" for key in keys[:5])
    return f"{shown} and {len(keys) - 5} more" if len(keys) > 5 else shown


def _hosts(engine: Engine) -> Iterator[Finding]:
    with engine.connect() as connection:
        now = database_time(connection)
        rows = connection.execute(select(host)).all()
    silent = [row.id for row in rows if not row.stopped and now - row.seen_at > _SILENT]
    for one in silent:
        said = f"Host {one} has been silent for more than a day: sealing waits for it, and no key is forgotten."
        yield doubtful("hosts", said, f"start it; or, if it is gone for good: imdlens counts seal --without {one}")
    holding = [row.id for row in rows if row.spooled and row.id not in silent]
    if holding:
        said = f"{len(holding)} hosts hold contacts on their disks."
        yield doubtful("hosts", said, "imdlens counts hosts; docs/runbook.md, 3")
    if not silent and not holding:
        yield well("hosts", f"{sum(not row.stopped for row in rows)} are running, and none holds anything back.")


def _sealing(engine: Engine) -> Iterator[Finding]:
    with engine.connect() as connection:
        statement = select(month.c.month).where(month.c.state == "closed").order_by(month.c.month)
        closed = list(connection.execute(statement).scalars())
    if closed:
        yield wrong("sealing", f"{closed[0]} is closed and not published.", "imdlens counts seal; docs/runbook.md, 8")
    elif due := months_due(engine):
        said = f"{len(due)} {'month is' if len(due) == 1 else 'months are'} over and not sealed, the first {due[0]}."
        yield doubtful("sealing", said, "load the waiting list, then imdlens counts seal")
    else:
        yield well("sealing", "No month is due.")


def spool(settings: Settings) -> Iterator[Finding]:
    """What waits on this host's disk."""
    try:
        waits = look(settings.counts_folder / "spool")
    except SpoolError as error:
        yield wrong("spool", f"It cannot be read ({error}).", "docs/runbook.md, 3: do not delete it")
        return
    if waits is None:
        yield well("spool", "There is none yet: no contact ever waited here.")
        return
    if waits.aside:
        said = f"{waits.aside} batches were set aside: the database would not take them."
        yield doubtful("spool", said, "restart the service, which tries them again; docs/runbook.md, 3")
    if waits.waiting:
        hours = max(0.0, time.time() - (waits.oldest or time.time())) / 3600
        said = f"{waits.waiting} batches wait for the database, the oldest for {hours:.1f} hours."
        yield doubtful("spool", said, "mend the database, and let the service run (docs/runbook.md, 3)")
    if not waits.aside and not waits.waiting:
        yield well("spool", "Nothing waits.")
