"""Whether what the settings name is there, can be used, and goes together."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from pydantic import ValidationError

from app import tracing
from app.access.access_file import AccessFileError
from app.access.tokens import TokenReader
from app.context.files import RuleFileError
from app.counting import database_url
from app.counts.periods import month_of, today
from app.current import read_rules
from app.database import embedded_file
from app.doctor.finding import Finding, doubtful, well, wrong
from app.settings import Settings

_LEAST_SECRET: Final = 16
_SOON_DAYS: Final = 30
_OURS: Final = frozenset({"not_a_step", "half_of_tls", "not_an_identity", "no_proxy", "not_a_scope"})


def unreadable(error: ValidationError) -> Finding:
    """Settings of which no value is shown: those that cannot be read, by name."""
    said = []
    for one in error.errors(include_input=False, include_url=False, include_context=False):
        name = f"IMDLENS_{str(one['loc'][0]).upper()}" if one["loc"] else ""
        said.append(f"{name} {one['msg']}".strip() if one["type"] in _OURS else f"{name} cannot be read")
    return wrong("settings", f"{'; '.join(said)}.", "docs/settings.md says what each may be")


def contradictions(settings: Settings) -> Iterator[Finding]:
    """Settings that can be read and do not go together."""
    found = list(_contradictions(settings))
    yield from found
    if not found:
        yield well("settings", "Every setting is known and can be read.")


def _contradictions(settings: Settings) -> Iterator[Finding]:
    embedded = settings.counts_folder / "counts.sqlite"
    if embedded_file(database_url(settings)) is None and embedded.exists():
        yield doubtful(
            "settings",
            f"IMDLENS_DATABASE_URL names a database, and {embedded} is a store too: only the first is used.",
            f"if the second is an old one, keep it elsewhere: mv {embedded} ELSEWHERE",
        )
    if settings.tls_certificate and (settings.public_url or "").startswith("http:"):
        yield wrong(
            "settings",
            "IMDLENS_PUBLIC_URL begins with http:, and TLS alone is served: links on cards lead nowhere.",
            "set IMDLENS_PUBLIC_URL to the https: address",
        )
    if (settings.counts_since or "") > month_of(today()):
        yield wrong(
            "settings", "IMDLENS_COUNTS_SINCE lies in the future: no contact is counted.", "set it to a past month"
        )
    try:
        tracing.check(settings.otlp_endpoint)
    except tracing.TracingError as error:
        yield wrong("settings", str(error), "pip install 'imd-lens[otel]', or unset IMDLENS_OTLP_ENDPOINT")


def secret(settings: Settings) -> Iterator[Finding]:
    """The secret: there where it is needed, and long enough. It is never made here."""
    made = settings.counts_folder / "secret"
    if settings.secret:
        parts = settings.secret.get_secret_value().split(",")
        if any(len(part.strip().encode()) < _LEAST_SECRET for part in parts):
            said = "A secret in IMDLENS_SECRET has fewer than 16 characters."
            yield wrong("secret", said, "set a longer one: openssl rand -base64 32")
        elif len(parts) > 1:
            said = f"{len(parts)} secrets are in force."
            yield doubtful("secret", said, "set the newest alone, eight days after it became the first")
        else:
            yield well("secret", "IMDLENS_SECRET is set.")
    elif settings.database_url:
        said = "IMDLENS_DATABASE_URL needs IMDLENS_SECRET, the same on every host."
        yield wrong("secret", said, "set IMDLENS_SECRET: openssl rand -base64 32")
    elif made.is_file():
        if len(made.read_bytes()) < _LEAST_SECRET:
            yield wrong("secret", f"{made} was cut short.", "restore it from where it is kept (docs/backup.md)")
        else:
            yield well("secret", f"{made} can be read.")
    elif not (settings.counts_folder / "counts.sqlite").exists():
        yield well("secret", f"{made} is made at the first start.")
    # With a store and without a secret it depends on whether there are keys: `store` says it.


def files(settings: Settings) -> Iterator[Finding]:
    """Rules of the organisation, and who may send tokens."""
    try:
        rules = read_rules(settings)
    except RuleFileError as error:
        yield wrong("rules", str(error), f"imdlens rules check {settings.local_dir or ''}".strip())
    else:
        expired = len(rules.book.signposts.expired(today()))
        where = "of IMDLENS_LOCAL_DIR can be read" if settings.local_dir else "as shipped"
        if expired:
            said = f"{expired} signposts are past their review date and are not shown."
            yield doubtful("rules", said, "imdlens signposts check")
        else:
            yield well("rules", f"Rules {where}.")
    if settings.access_file:
        try:
            TokenReader.read(settings.access_file)
        except AccessFileError as error:
            yield wrong("tokens", str(error), "mend IMDLENS_ACCESS_FILE (docs/tokens.md)")
        else:
            yield well("tokens", "IMDLENS_ACCESS_FILE can be read.")


def tls(settings: Settings) -> Iterator[Finding]:
    """Certificates: readable, together with their key, and in their time."""
    if not (settings.tls_certificate and settings.tls_key):
        yield well("tls", "Plain HTTP is served: TLS is for what stands in front.")
        return
    try:
        trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trial.load_cert_chain(settings.tls_certificate, settings.tls_key, password=lambda: b"")
        if settings.tls_client_ca:
            trial.load_verify_locations(settings.tls_client_ca)
    except (ssl.SSLError, OSError):
        said = "The files of IMDLENS_TLS_CERTIFICATE, IMDLENS_TLS_KEY or IMDLENS_TLS_CLIENT_CA cannot be used together."
        yield wrong("tls", said, f"openssl x509 -in {settings.tls_certificate} -noout -dates -subject")
        return
    for setting, file in (
        ("IMDLENS_TLS_CERTIFICATE", settings.tls_certificate),
        ("IMDLENS_TLS_CLIENT_CA", settings.tls_client_ca),
    ):
        if file:
            yield _in_time(setting, file)


def _in_time(setting: str, file: Path) -> Finding:
    """The first to end of a file's certificates."""
    now = datetime.now(UTC)
    try:
        chain = x509.load_pem_x509_certificates(file.read_bytes())
    except ValueError:
        return wrong("tls", f"{setting} holds no certificate that can be read.", f"openssl x509 -in {file} -noout")
    end = min(certificate.not_valid_after_utc for certificate in chain)
    begin = max(certificate.not_valid_before_utc for certificate in chain)
    renew = "renew it, and restart the service: it is read at the start"
    if end <= now:
        return wrong("tls", f"A certificate of {setting} expired on {end:%Y-%m-%d}.", renew)
    if begin > now:
        return wrong("tls", f"A certificate of {setting} begins on {begin:%Y-%m-%d} only.", "check the clock; or renew")
    if (end - now).days < _SOON_DAYS:
        return doubtful("tls", f"A certificate of {setting} ends in {(end - now).days} days.", renew)
    return well("tls", f"{setting} is good until {end:%Y-%m-%d}.")
