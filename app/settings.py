"""Every setting of the service, from `IMDLENS_*` in the environment."""

import os
from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.proxies import Proxies

DEFAULT_DATA_DIR: Final = Path("imdlens-data")

# Headers that mean something else: anyone's request has them.
_NO_IDENTITY: Final = frozenset(
    {"authorization", "cookie", "host", "origin", "referer", "user-agent", "forwarded", "via"}
    | {f"x-forwarded-{what}" for what in ("for", "host", "port", "proto", "server")}
)
_IDENTITY_SCOPES: Final = frozenset({"enrich", "area", "inclusion", "breakdowns"})


class UnknownSettingError(Exception):
    """A misspelt setting, which would otherwise leave its default in force unseen."""


class SecretsError(Exception):
    """The folder of `IMDLENS_SECRETS_DIR` cannot be used; the message says why, in a sentence."""


class Settings(BaseSettings):
    """Read once at start; a value that cannot be read stops the start and names the setting."""

    model_config = SettingsConfigDict(env_prefix="IMDLENS_", frozen=True)

    secrets_dir: Path | None = Field(
        None,
        description="Folder in which files named like settings (`imdlens_secret`, `imdlens_database_url`) hold the"
        " values of these.",
    )
    data_dir: Path = Field(
        DEFAULT_DATA_DIR,
        description="Folder of the built data. The default is filled with starter data at first start; any other must"
        " hold data already.",
    )
    core20_edition: str = Field(
        "IoD2025",
        description="The English edition that `imd_decile`, `domains` and `core20` are read from: `IoD2025` or"
        " `IoD2019`. NHS England's date for the move between them was not found, so it is yours to set;"
        " every answer states it.",
    )
    max_body_bytes: int = Field(64 * 2**10, gt=0, description="A larger request body is refused with 413.")
    max_batch_bytes: int = Field(
        8 * 2**20,
        gt=0,
        description="The same for a batch, and for a CDS Hooks request, whose Patient may hold a photo.",
    )
    max_batch_records: int = Field(
        10_000, gt=0, le=10_000, description="A batch with more records is refused with 413; at most 10,000."
    )
    max_in_flight: int = Field(
        128,
        ge=1,
        description="So much may be in work in one worker at once: a small request is 1, a large body up to 32. What"
        " comes beyond it is answered 503. docs/limits.md has the whole of it.",
    )
    max_connections: int = Field(
        1000, ge=1, description="So many connections may be open to one worker. One more is answered 503 and closed."
    )
    client_in_flight: int = Field(
        64, ge=1, description="So many requests of one client may be in work in one worker. One more is answered 429."
    )
    client_rows_per_minute: int = Field(
        5_000_000,
        ge=0,
        description="So many records may one client send to one worker in batches in a minute. More are answered 429;"
        " `0` is no limit.",
    )
    body_seconds: float = Field(
        30.0,
        gt=0,
        description="A body, or the next piece of a stream, that is not there in this time is answered 408, and its"
        " connection closed.",
    )
    head_seconds: float = Field(
        10.0, gt=0, description="A connection on which no request's head comes in this time is closed."
    )
    data_poll_seconds: float = Field(
        1.0, gt=0, description="How often each worker looks whether another release was made current."
    )
    database_url: SecretStr | None = Field(
        None,
        description="Where contacts are counted: `postgresql://…`, migrated by `imdlens db upgrade`. Without it an"
        " embedded SQLite file in `IMDLENS_COUNTS_DIR`, which makes and upgrades itself.",
    )
    counts_dir: Path | None = Field(
        None,
        description="Folder of the embedded database, of the spool that keeps contacts while the database is away, and"
        " of the secret. On a volume that outlives the process; one folder a host. By default `counts` in"
        " the data folder.",
    )
    secret: SecretStr | None = Field(
        None,
        min_length=16,
        description="Secret, shared by all hosts, for the keyed hashes that tell a retry from a new contact, to hash"
        " API keys, and to seal cards and sessions; at least 16 characters. Several, separated by commas,"
        " newest first, while it is being changed: keep the old one for eight days. With several hosts list"
        " the new one last on each of them first, and only then first. Required with PostgreSQL. The"
        " embedded database makes its own at first use.",
    )
    count_deadline_ms: int = Field(
        250,
        ge=1,
        le=10_000,
        description="An answer waits at most this long for its contact to be counted; then it says `unconfirmed`.",
    )
    publication_edition: str | None = Field(
        None,
        description="The English edition that contacts are counted on. A financial year keeps the one that its first"
        " contact found: counts on two editions are never added. By default `IMDLENS_CORE20_EDITION`.",
    )
    counts_since: str | None = Field(
        None,
        pattern=r"^\d{4}-(0[1-9]|1[0-2])$",
        description="The first month that is counted, `YYYY-MM`. An older contact is `too_old`: a date mistyped by"
        " years must not open months that would then have to be sealed. By default April of the last"
        " financial year.",
    )
    organisation: str = Field(
        "", max_length=40, description="ODS code of the organisation, shown in every published table."
    )
    suppress_up_to: int = Field(
        7,
        ge=7,
        le=97,
        description="Counts from 1 to this are shown as `*`: 7 (HES), 12, 17 and so on to 97, so that each figure"
        " shown stands for five counts. It changes with a financial year only.",
    )
    least_denominator: int = Field(
        100,
        ge=100,
        description="No share of a smaller published denominator is shown. Stricter only, and changed with a financial"
        " year only.",
    )
    least_specialty: int = Field(
        1000,
        ge=1000,
        description="Contacts in the year before from which a specialty has rows of its own. Stricter only.",
    )
    design_effect: float | None = Field(
        None,
        ge=1,
        le=1000,
        allow_inf_nan=False,
        description="How many times the variance of independent contacts theirs is, because the same people come"
        " again: 1 or more, from your own records (docs/inequality.md). Limits of missed and cancelled"
        " appointments and of shares are widened by it; without it missed and cancelled appointments are"
        " not ranked.",
    )
    unknown_limit: int = Field(
        5,
        ge=1,
        le=100,
        description="Percent of contacts without a decile, 1 to 100, over which findings say to mind what is missing.",
    )
    local_dir: Path | None = Field(
        None,
        description="Folder of the organisation's own rules: `organisation.toml`, `signposts.csv`, `places.csv`,"
        " `catchment.csv`, or any other rules file (docs/context.md). Each stands in the place of the"
        " shipped file of its name; one that must not be used stops the start and says why. Read once:"
        " restart to take up a change.",
    )
    protected_places: bool = Field(
        False,
        description="Whether `places.csv` may list prisons and refuges. Their postcodes are answered as withheld, so"
        " whoever may ask about any postcode can find out which they are: turn it on only where nobody else"
        " can ask.",
    )
    card_frame_ancestors: str = Field(
        "'self'",
        pattern=r"^[!-+\--:<-~]+( [!-+\--:<-~]+)*$",
        description="Which pages may show a card in a frame, as `frame-ancestors` of a content security policy: the"
        " address of the EPR's web application. A browser that opens the card by itself needs nothing here.",
    )
    access_file: Path | None = Field(
        None,
        description="File that names who may send signed tokens instead of keys: an identity provider's clients,"
        " systems that sign for themselves, EPRs that sign each CDS Hooks call (docs/tokens.md). Read again"
        " when it changes.",
    )
    tls_certificate: Path | None = Field(
        None,
        description="Certificate (PEM, with the chain) to serve TLS 1.2 and 1.3 with, and nothing else. Together with"
        " `IMDLENS_TLS_KEY`. Read at start.",
    )
    tls_key: Path | None = Field(
        None, description="Its private key: PEM, without a password, readable for this user alone."
    )
    tls_client_ca: Path | None = Field(
        None,
        description="Authorities (PEM) of clients' certificates. With it a client without such a certificate cannot"
        " even connect, probes included; who may ask is still said by keys and tokens.",
    )
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*$",
        description="The address at which browsers reach this service, `https://…`, without a slash at its end. With"
        " it, CDS Hooks cards link to their page; without it they have no link.",
    )
    cds_every_decile: bool = Field(
        False,
        description="Whether CDS Hooks also shows a quiet card for deciles 3 to 10 and for other nations.",
    )
    cors_origins: str = Field(
        "",
        pattern=r"^(https?://[a-z0-9.-]+(:[0-9]{1,5})?( https?://[a-z0-9.-]+(:[0-9]{1,5})?)*)?$",
        description="Origins whose pages may call the CDS Hooks doors from a browser, separated by spaces, as a"
        " browser sends them: `https://epr.example.nhs.uk`. An EPR's server needs nothing here.",
    )
    fhir_base: str = Field(
        "https://imd-lens.example/fhir",
        pattern=r"^https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._~-]+)*$",
        description="What the addresses of the FHIR operation and code systems begin with, without a slash at the end."
        " The default belongs to nobody: set an address of your organisation's before anything is stored"
        " that names a code system. They are names; nobody calls them.",
    )

    audit_file: Path | None = Field(
        None,
        description="File that a line is appended to for each request to a door that answers callers, refused ones too"
        " (docs/operations.md). Made with mode 0600; it may be moved away at any time.",
    )
    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*$",
        description="Address of an OpenTelemetry collector that takes OTLP over HTTP, such as `http://127.0.0.1:4318`,"
        " without `/v1/traces`. Each request is told to it as one span. Needs the extra `otel`; without"
        " that the start is refused.",
    )
    commit: str = Field(
        "",
        pattern=r"^([0-9a-f]{7,64})?$",
        description="The commit that this was built from, 7 to 64 hexadecimal digits, for `/_status`. Set when an"
        " image is built.",
    )
    proxies: str = Field(
        "",
        description="Addresses or networks (`10.1.2.0/24`) of the proxies whose word is taken, separated by spaces:"
        " for `https` in `X-Forwarded-Proto`, and for the user in `IMDLENS_IDENTITY_HEADER`. Whatever can"
        " connect from them can say that. `X-Forwarded-For` is believed from nobody.",
    )
    identity_header: str | None = Field(
        None,
        pattern=r"^[A-Za-z][A-Za-z0-9-]*$",
        description="Header in which a listed proxy names its user, such as `X-Remote-User`: who has one opens pages"
        " without a key (docs/pages.md). The proxy must remove it from what comes to it. Needs"
        " `IMDLENS_PROXIES`.",
    )
    identity_scopes: str = Field(
        "enrich breakdowns",
        description="What users of a listed proxy may do on pages, separated by spaces: of `enrich`, `area`,"
        " `inclusion`, `breakdowns`.",
    )

    @field_validator("proxies")
    @classmethod
    def _is_a_list_of_addresses(cls, value: str) -> str:
        Proxies(value)
        return value

    @field_validator("identity_header")
    @classmethod
    def _names_a_user_by_a_proxy(cls, value: str | None, others: ValidationInfo) -> str | None:
        if value and value.lower() in _NO_IDENTITY:
            raise PydanticCustomError("not_an_identity", "must be a header that names a user")
        if value and not others.data.get("proxies"):
            raise PydanticCustomError("no_proxy", "needs IMDLENS_PROXIES: nobody else is believed")
        return value

    @field_validator("identity_scopes")
    @classmethod
    def _are_scopes_of_pages(cls, value: str) -> str:
        # An exact count must be on record with a name, and operations are for those who hold a key for them.
        if not value.split() or not set(value.split()) <= _IDENTITY_SCOPES:
            raise PydanticCustomError("not_a_scope", "must be of enrich, area, inclusion and breakdowns")
        return value

    @field_validator("suppress_up_to")
    @classmethod
    def _leaves_five_counts_to_each_figure(cls, value: int) -> int:
        # Sealing refuses it too, but a service that counts for a month first would learn it too late.
        if value % 5 != 2:
            raise PydanticCustomError("not_a_step", "must be 7, 12, 17 and so on, in steps of 5")
        return value

    @model_validator(mode="after")
    def _has_all_of_tls(self) -> "Settings":
        # With half of it the service would speak plain text where somebody meant TLS.
        if (self.tls_certificate is None) != (self.tls_key is None) or (
            self.tls_client_ca and not self.tls_certificate
        ):
            raise PydanticCustomError("half_of_tls", "IMDLENS_TLS_CERTIFICATE and IMDLENS_TLS_KEY go together")
        return self

    @property
    def counts_folder(self) -> Path:
        """Where counts, spool and secret are kept."""
        return self.counts_dir or self.data_dir / "counts"

    @property
    def keys_copy(self) -> Path:
        """Where each host keeps a copy of the keys, for starts without the database."""
        return self.counts_folder / "keys.json"

    @property
    def counted_edition(self) -> str:
        """The edition that a new financial year is counted on."""
        return self.publication_edition or self.core20_edition


def read_settings() -> Settings:
    """The settings of the environment and of its folder of secrets; UnknownSettingError, SecretsError."""
    known = {f"IMDLENS_{name.upper()}" for name in Settings.model_fields}
    named = {name for name in os.environ if name.startswith("IMDLENS_")}
    folder = os.environ.get("IMDLENS_SECRETS_DIR")
    kept = _kept_in(Path(folder)) if folder else set()
    if unknown := sorted((named | kept) - known):
        raise UnknownSettingError(f"There is no setting {', '.join(unknown)}: see docs/settings.md.")
    if twice := sorted(named & kept):
        raise SecretsError(f"{', '.join(twice)} is set twice: in the environment and in IMDLENS_SECRETS_DIR.")
    return Settings(_secrets_dir=folder)


def _kept_in(folder: Path) -> set[str]:
    """The settings that files of a folder are named after. Whatever else lies there is nothing of ours."""
    try:
        names = {path.name.upper() for path in folder.iterdir() if path.is_file()}
    except OSError as error:
        raise SecretsError(f"IMDLENS_SECRETS_DIR: {folder}: {error.strerror}.") from None
    return {name for name in names if name.startswith("IMDLENS_")}
