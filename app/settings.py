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
        description="Folder of the built data. The default is filled with starter data at first start; any other"
        " must hold data already.",
    )
    core20_edition: str = Field(
        "IoD2025",
        description="The English edition that `imd_decile` and `core20` are read from. NHS England's date for the"
        " move from IoD2019 to IoD2025 was not found, so it is yours to set; every answer states it.",
    )
    max_body_bytes: int = Field(64 * 2**10, gt=0, description="A larger body is refused with 413: one record is small.")
    max_batch_bytes: int = Field(8 * 2**20, gt=0, description="The same for a batch, and for a CDS Hooks request.")
    max_batch_records: int = Field(
        10_000, gt=0, le=10_000, description="A batch with more records is refused with 413."
    )
    max_in_flight: int = Field(
        128, ge=1, description="So much may be in work in one worker at once; what comes beyond it is answered 503."
    )
    max_connections: int = Field(1000, ge=1, description="So many connections may be open to one worker.")
    client_in_flight: int = Field(
        64, ge=1, description="So many requests of one client may be in work in one worker; one more is answered 429."
    )
    client_rows_per_minute: int = Field(
        5_000_000,
        ge=0,
        description="So many rows of batches may one client send to one worker in a minute; more are answered 429."
        " 0 is no limit.",
    )
    body_seconds: float = Field(
        30.0, gt=0, description="A body, or a stream's next piece, that is not there in this time is answered 408."
    )
    head_seconds: float = Field(
        10.0, gt=0, description="A connection on which no request's head comes in this time is closed."
    )
    data_poll_seconds: float = Field(
        1.0, gt=0, description="How often each worker looks whether another release was made current."
    )
    database_url: SecretStr | None = Field(
        None,
        description="Where contacts are counted: `postgresql://…`. Without it an embedded SQLite file in"
        " `IMDLENS_COUNTS_DIR`, which makes and upgrades itself.",
    )
    counts_dir: Path | None = Field(
        None,
        description="Folder of the embedded database, of the spool that keeps contacts while the database is away,"
        " and of the secret. On a volume that outlives the process. By default `counts` in the data folder.",
    )
    secret: SecretStr | None = Field(
        None,
        min_length=16,
        description="Secret, shared by all hosts, for the keyed hashes that tell a retry from a new contact. Several,"
        " separated by commas, newest first, while it is being changed. Required with PostgreSQL; the embedded"
        " database makes its own.",
    )
    count_deadline_ms: int = Field(
        250, ge=1, le=10_000, description="An answer waits at most this long for its contact to be counted."
    )
    publication_edition: str | None = Field(
        None,
        description="The English edition that contacts are counted on. A financial year keeps the one that it began"
        " with. By default `IMDLENS_CORE20_EDITION`.",
    )
    counts_since: str | None = Field(
        None,
        pattern=r"^\d{4}-(0[1-9]|1[0-2])$",
        description="The first month that is counted, `YYYY-MM`. By default the first of the financial year before this"
        " one: a date mistyped by years must not open months that would then have to be sealed.",
    )
    organisation: str = Field("", max_length=40, description="ODS code of the organisation, shown in every table.")
    suppress_up_to: int = Field(
        7,
        ge=7,
        le=97,
        description="Counts from 1 to this are shown as `*`: 7 (HES), 12, 17 and so on to 97, so that each figure shown"
        " stands for five counts.",
    )
    least_denominator: int = Field(
        100, ge=100, description="No share of a published denominator under this: 100, or stricter."
    )
    least_specialty: int = Field(
        1000,
        ge=1000,
        description="Contacts in the year before from which a specialty has rows of its own: 1,000, or stricter.",
    )
    design_effect: float | None = Field(
        None,
        ge=1,
        le=1000,
        allow_inf_nan=False,
        description="How many times the variance of independent contacts theirs is, because the same people come again."
        " Limits are widened by it. Without it missed and cancelled appointments are not ranked.",
    )
    unknown_limit: int = Field(
        5, ge=1, le=100, description="Percent of contacts without a decile from which findings say to mind it."
    )
    local_dir: Path | None = Field(
        None,
        description="Folder of the organisation's own rules: `organisation.toml`, `signposts.csv`, `places.csv`, or any"
        " other rules file. Each stands in the place of the shipped file of its name.",
    )
    protected_places: bool = Field(
        False,
        description="Whether `places.csv` may list prisons and refuges. Their postcodes are answered as withheld, so"
        " whoever may ask about any postcode can find out which they are: turn it on only where nobody else can.",
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
        " systems that sign for themselves, EPRs that sign each CDS Hooks call. Read again when it changes.",
    )
    tls_certificate: Path | None = Field(
        None, description="Certificate (PEM, with the chain) to serve TLS with. With `IMDLENS_TLS_KEY`."
    )
    tls_key: Path | None = Field(None, description="Its private key (PEM, without a password).")
    tls_client_ca: Path | None = Field(
        None,
        description="Authorities (PEM) of clients' certificates. With it a client without such a certificate cannot"
        " even connect, probes included; who may ask is still said by keys and tokens.",
    )
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*$",
        description="The address at which browsers reach this service, without a slash at its end. With it, CDS Hooks"
        " cards link to their page.",
    )
    cds_every_decile: bool = Field(
        False,
        description="Whether CDS Hooks also shows a quiet card for deciles 3 to 10 and for other nations.",
    )
    cors_origins: str = Field(
        "",
        pattern=r"^(https?://[a-z0-9.-]+(:[0-9]{1,5})?( https?://[a-z0-9.-]+(:[0-9]{1,5})?)*)?$",
        description="Origins whose pages may call the CDS Hooks doors from a browser, separated by spaces. None by"
        " default: an EPR's server needs nothing here.",
    )
    fhir_base: str = Field(
        "https://imd-lens.example/fhir",
        pattern=r"^https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._~-]+)*$",
        description="What the addresses of our FHIR operation and code systems begin with, without a slash at the end:"
        " an address of your organisation's. They are names, in every Observation; nobody calls them.",
    )

    audit_file: Path | None = Field(
        None,
        description="File that a line is appended to for each request to a door that answers callers, refused ones too"
        " (docs/operations.md). None by default: the same lines are on the error stream.",
    )
    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*$",
        description="Address of an OpenTelemetry collector that takes OTLP over HTTP, without `/v1/traces`. Each"
        " request is told to it as one span. Needs the extra `otel`.",
    )
    commit: str = Field(
        "",
        pattern=r"^([0-9a-f]{7,64})?$",
        description="The commit that this was built from, for `/_status`. Set when an image is built.",
    )
    proxies: str = Field(
        "",
        description="Addresses or networks of the proxies whose word is taken, separated by spaces: for `https` in"
        " X-Forwarded-Proto, and for the user in `IMDLENS_IDENTITY_HEADER`. Whatever connects from them can say that.",
    )
    identity_header: str | None = Field(
        None,
        pattern=r"^[A-Za-z][A-Za-z0-9-]*$",
        description="Header in which a listed proxy names its user, such as `X-Remote-User`: who has one may open"
        " pages without a key. The proxy must remove it from what comes to it.",
    )
    identity_scopes: str = Field(
        "enrich breakdowns",
        description="What users of a listed proxy may do on pages, separated by spaces: of `enrich`, `area`,"
        " `inclusion` and `breakdowns`.",
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
