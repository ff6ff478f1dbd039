"""The embedded database, shared by processes that come and go."""

import subprocess
import sys
from pathlib import Path

from app.database import upgrade, writing
from tests.databases import opened

_READ_AND_LEAVE = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as connection:
    connection.execute("SELECT count(*) FROM host").fetchone()
connection.close()
"""
_BEAT = "INSERT INTO host (id, seen_at, spooled, oldest, stopped) VALUES (?, 1, 0, NULL, 0)"


def test_a_process_that_comes_and_goes_takes_nothing_from_one_with_several_connections(tmp_path: Path) -> None:
    """Whoever leaves as the last clears up what is not in the file yet: it must not take itself for the last."""
    path = tmp_path / "counts.sqlite"
    with opened(f"sqlite:///{path}") as engine:
        upgrade(engine)
        with engine.connect() as first, engine.connect() as second:
            for connection in (first, second):
                connection.exec_driver_sql("SELECT 1").all()
                connection.rollback()
            for name in ("a", "b"):
                subprocess.run([sys.executable, "-c", _READ_AND_LEAVE, str(path)], check=True, timeout=60)
                assert Path(f"{path}-wal").exists()
                with writing(engine) as connection:
                    connection.exec_driver_sql(_BEAT, (name,))
        with opened(f"sqlite:///{path}") as other, other.connect() as connection:
            assert connection.exec_driver_sql("SELECT id FROM host ORDER BY id").scalars().all() == ["a", "b"]
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
