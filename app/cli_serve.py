"""`imdlens serve` and `imdlens demo`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EADDRINUSE
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape

from app.current import open_current, read_rules
from app.lookup.index import Index
from app.settings import DEFAULT_DATA_DIR, Settings, read_settings

err = Console(stderr=True, soft_wrap=True, highlight=False)

# What whoever tries the service needs. Exact counts and operations are for keys that are made on purpose.
_LOCAL_SCOPES: Final = ("enrich", "area", "inclusion", "breakdowns")
_LOCAL_DAYS: Final = 90
# For TLS 1.2; those of 1.3 are fixed.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_KEY_KNOWN: Final = "the one printed at the first start; another by: imdlens keys create"


class StartError(Exception):
    """The service cannot start as it was told; the message says why, in a sentence."""


FORESEEN: Final = (StartError,)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8080,
    workers: Annotated[int, typer.Option(help="Processes; one a core is usual.", min=1)] = 1,
) -> None:
    """Serve the API. Without data of its own, it starts on the starter data and says so."""
    import uvicorn

    from app import logs, tracing
    from app.access.tokens import TokenReader
    from app.connections import allow_connections

    settings = read_settings()
    tracing.check(settings.otlp_endpoint)
    _check_address(host, port)
    index = _index_to_serve(settings)
    scheme = "https" if settings.tls_certificate else "http"
    shown = f"{scheme}://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104 - only compared
    err.print(f"[bold]IMD Lens[/] answers from [bold]{index.release.postcodes}[/] ({index.release.id}).")
    if index.release.starter:
        err.print(
            f"[yellow]This is starter data: {index.release.count} real postcodes, so that you can try it."
            " Any other is `not_found`.[/]\nTo load the whole country: [bold]imdlens data fetch[/], or"
            " [bold]imdlens data build FOLDER[/] with the official files."
        )
    if settings.access_file:
        TokenReader.read(settings.access_file)
    tls = _tls(settings)
    read_rules(settings)  # once, and in one sentence, before workers would each fail at it
    _check_counting(settings)
    _check_audit(settings)
    key = _first_key(settings, here=_is_here(host))
    err.print(
        f"\n  Page to open   {shown}/\n  The API        {shown}/docs\n"
        f"  Key            {f'KEY={key}' if key else _KEY_KNOWN}\n"
        f'  Try it         curl -s {shown}/v1/enrich -H "Authorization: Bearer $KEY" \\\n'
        "                   -H 'Content-Type: application/json' -d '{\"postcode\": \"NG1 1AA\"}'\n"
        f"  Tables         {shown}/v1/breakdowns{_and_the_demo(settings)}\n",
        markup=False,
    )
    del index
    allow_connections(settings.max_connections)
    with _shared_metrics(workers):
        uvicorn.run(
            "app.main:create_app",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            access_log=False,  # a URL could hold what it should not
            log_config=logs.CONFIG,
            server_header=False,
            **tls,
            proxy_headers=False,  # the peer stays who it is: of what proxies say, only listed ones are believed
            http="app.connections:Connection",
            timeout_graceful_shutdown=20,
        )


@contextmanager
def _shared_metrics(workers: int) -> Iterator[None]:
    """A fresh folder where several workers share their numbers; one worker needs none."""
    from app.metrics import FOLDER

    os.environ.pop(FOLDER, None)  # numbers of an earlier run would be added
    if workers == 1:
        yield
        return
    with TemporaryDirectory(prefix="imdlens-metrics-", ignore_cleanup_errors=True) as folder:  # only we may enter it
        os.environ[FOLDER] = folder
        yield


def _check_address(host: str, port: int) -> None:
    """Refuse to start where something listens already: before a key is printed that is printed once."""
    import socket

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        if error.errno == EADDRINUSE:
            raise StartError(
                f"Something listens on port {port} already: stop it, or choose another with --port (make: PORT=8081)."
            ) from None
        # Anything else the server says itself, when it tries.


def _check_audit(settings: Settings) -> None:
    """Refuse to start where requests could not be written down; OSError says which file."""
    if settings.audit_file:
        from app.request_log import AuditFile

        file = AuditFile(settings.audit_file)
        file.open()
        file.close()


def _and_the_demo(settings: Settings) -> str:
    return "   (none yet: make demo shows them alive)" if settings.data_dir == DEFAULT_DATA_DIR else ""


def _tls(settings: Settings) -> dict[str, Any]:
    """What the server must know to serve TLS; nothing where it shall not. Files that cannot be used stop the start."""
    import ssl

    if not (settings.tls_certificate and settings.tls_key):
        return {}
    try:
        trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trial.load_cert_chain(settings.tls_certificate, settings.tls_key, password=lambda: b"")
        if settings.tls_client_ca:
            trial.load_verify_locations(settings.tls_client_ca)
    except ssl.SSLError:  # among OSErrors the one that names no file
        raise StartError(
            "The files of IMDLENS_TLS_CERTIFICATE, IMDLENS_TLS_KEY or IMDLENS_TLS_CLIENT_CA cannot be used together."
        ) from None
    except FileNotFoundError:  # nor does this one
        files = (settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
        raise StartError(
            f"{next(file for file in files if file and not file.exists())}: there is no such file."
        ) from None
    return {
        "ssl_certfile": settings.tls_certificate,
        "ssl_keyfile": settings.tls_key,
        "ssl_ca_certs": settings.tls_client_ca,
        "ssl_cert_reqs": ssl.CERT_REQUIRED if settings.tls_client_ca else ssl.CERT_NONE,
        "ssl_ciphers": _CIPHERS,
    }


def _is_here(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    from ipaddress import ip_address

    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _first_key(settings: Settings, *, here: bool) -> str | None:
    """A key of whoever tries the service on their own machine, made and shown at the first start and never again.

    Beyond this machine nobody is let in by chance: without any way to prove who calls, it does not even start.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from app.access import key_store
    from app.access.keeper import remembered
    from app.cli_access import who
    from app.counting import key_hasher, open_store
    from app.database import DatabaseAwayError

    try:
        engine = open_store(settings)
        if here and not settings.database_url:
            if remembered(settings.keys_copy) and not key_store.listed(engine):
                raise StartError(
                    f"The database has no keys, but {settings.keys_copy} remembers some: was the database lost or"
                    " replaced? Restore it, or remove that file to begin anew."
                )
            return key_store.create_first(engine, key_hasher(settings), "local", _LOCAL_SCOPES, _LOCAL_DAYS, by=who())
        if not here and not settings.access_file and not key_store.any_good(engine):
            raise StartError("Nobody could ask: make a key first, by imdlens keys create --name NAME --scope enrich")
        engine.dispose()
    except (DatabaseAwayError, SQLAlchemyError, OSError):
        pass  # said before; keys that are known on this host are asked for, and no others are good
    return None


def _check_counting(settings: Settings) -> None:
    """Refuse to start on a wrong schema or without a secret. What is only away is no reason not to answer."""
    from app.counting import is_synthetic, open_store, secrets_of
    from app.database import DatabaseAwayError

    try:
        secrets_of(settings)
        engine = open_store(settings)
        if is_synthetic(engine):
            err.print("[yellow]The counts here are SYNTHETIC: invented for demonstration.[/]")
        engine.dispose()
    except DatabaseAwayError as error:
        err.print(f"[yellow]{escape(str(error))} Contacts wait on this host's disk until it is there.[/]")
    except OSError as error:
        raise StartError(
            f"{error.filename}: {error.strerror}. IMDLENS_COUNTS_DIR must name a folder that can be written:"
            " keys and counts are kept there."
        ) from None


def _index_to_serve(settings: Settings) -> Index:
    folder = settings.data_dir
    if folder == DEFAULT_DATA_DIR and not (folder / "current").exists():
        err.print(f"No data in {folder} yet: building the starter data that comes with IMD Lens.")
        _build_starter(folder)
    return open_current(settings)


def _build_starter(folder: Path) -> None:
    # In a process of its own, so that what builds data is never loaded into what serves it.
    command = [sys.executable, "-m", "app.cli", "data", "build", "--starter", "--out", str(folder)]
    if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode:  # noqa: S603 - our own command
        raise StartError("The starter data could not be built.")


def demo(
    out_dir: Annotated[Path, typer.Option("--out", help="A folder of its own, which must not hold counts yet.")] = Path(
        "imdlens-demo"
    ),
) -> None:
    """Make a data folder with starter data and 24 sealed months of SYNTHETIC contacts, to see the tables alive."""
    from app import cli_counts

    # Whatever the environment names: invented contacts must never reach a store that is in use.
    settings = Settings(data_dir=out_dir, organisation="DEMO", database_url=None, counts_dir=out_dir / "counts")
    if not (out_dir / "current").exists():
        _build_starter(out_dir)
    cli_counts.fill_demo(settings, open_current(settings), read_rules(settings))
    err.print(
        "\nAll of it is invented, and every table says so. To look at it:\n\n"
        f"  IMDLENS_DATA_DIR={out_dir} IMDLENS_LOCAL_DIR={out_dir / 'local'} IMDLENS_DESIGN_EFFECT=1.5 imdlens serve\n"
        "\n"
        "That prints a key at its first start. With it, on the port that it names:\n\n"
        "  the dashboard   http://127.0.0.1:8080/dashboard\n"
        '  a table         curl -s -H "Authorization: Bearer $KEY" \\\n'
        "                    'http://127.0.0.1:8080/v1/breakdowns/specialty_dna_core20?format=csv'\n",
        markup=False,
    )
