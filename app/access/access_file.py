"""The operator's file of who may send tokens: whom it lists, read strictly, in TOML.

An error names the file, the table and the field, never a value.
"""

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.access.caller import NAME, RESERVED, SCOPES
from app.access.fetch import may_fetch
from app.access.jwks import ALGORITHMS, KeyFile, KeySetError, KeySource, KeyUrl

_HOOK_ALGORITHMS: Final = ("ES384", "RS384")
_BASE: Final = re.compile(r"https?://[^\s/?#@]+(/[^\s?#@]*[^\s/?#@])?")


class AccessFileError(Exception):
    """A file of who may send tokens that must not be used, in one sentence without any value of it."""


@dataclass(frozen=True, slots=True)
class _Party:
    name: str
    issuer: str
    algorithms: frozenset[str]
    keys: KeySource


@dataclass(frozen=True, slots=True)
class Issuer(_Party):
    """An identity provider that gives access tokens to others.

    `clients` maps what its `client_claim` says to our names of clients, `scopes` its words to our scopes.
    """

    audience: str
    client_claim: str
    clients: Mapping[str, str]
    scope_claim: str
    scopes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Client(_Party):
    """A client that signs its tokens itself. What it may do stands in the file, not in the token."""

    audience: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class CdsClient(_Party):
    """An EPR that signs a token for every call of CDS Hooks. `jku`: the only such header that it may send."""

    audience_base: str
    jku: str | None


Party = Issuer | Client | CdsClient
Sources = Mapping[tuple[str, str], KeySource]
"""Key sets that are open already, by field and value: an address need not be fetched anew because the file changed."""

_KEYS: Final = frozenset({"name", "jwks_file", "jwks_url", "algorithms"})
_KINDS: Final = {
    "issuer": _KEYS | {"issuer", "audience", "client_claim", "scope_claim", "clients", "scopes"},
    "client": _KEYS | {"id", "audience", "scopes"},
    "cds_client": _KEYS | {"issuer", "audience_base", "jku"},
}


def read_access_file(
    path: Path, known: Sources | None = None
) -> tuple[dict[str, Party], dict[tuple[str, str], KeySource]]:
    """Whom the file lists, by the `iss` of their tokens, and their key sets. AccessFileError where it is wrong.

    Key sets in files are read here, beside the file; those at addresses only by their first `refresh`.
    """
    tables = _tables(path)
    sources: dict[tuple[str, str], KeySource] = {}
    parties: dict[str, Party] = {}
    named: set[tuple[str, str]] = set()
    for kind, table in tables:
        table.keys_from(path.parent, known or {}, sources)
        party = _party(kind, table, sources)
        if isinstance(party.keys, KeyFile) and not party.keys.keys.fits(party.algorithms):
            raise table.wrong("jwks_file", "holds no key for any of the algorithms")
        if party.issuer in parties:
            raise table.wrong("id" if kind == "client" else "issuer", "stands in another table already")
        if (kind, party.name) in named:
            raise table.wrong("name", "stands twice")
        parties[party.issuer] = party
        named.add((kind, party.name))
    return parties, sources


def _tables(path: Path) -> list[tuple[str, "_Table"]]:
    try:
        values = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise AccessFileError(f"{path.name} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise AccessFileError(f"{path.name} is not UTF-8 text.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        place = re.search(r"\(at [^)]*\)$", str(error))
        raise AccessFileError(f"{path.name} is not TOML{f' {place[0]}' if place else ''}.") from None
    if unknown := sorted(values.keys() - _KINDS.keys()):
        raise AccessFileError(f"{path.name}: there is no {', '.join(unknown)}; there are {', '.join(_KINDS)}.")
    tables = []
    for kind, fields in _KINDS.items():
        listed = values.get(kind, [])
        if not isinstance(listed, list) or not all(isinstance(table, dict) for table in listed):
            raise AccessFileError(f"{path.name}: {kind} is not an array of tables: write [[{kind}]].")
        for i, table in enumerate(listed, 1):
            tables.append((kind, _Table(f"{path.name}, {kind} {i}", table, fields)))
    return tables


def _party(kind: str, table: "_Table", sources: Sources) -> Party:
    name = table.name("name", table.text("name"))
    keys = sources[table.source()]
    if kind == "issuer":
        scopes = table.texts("scopes")
        table.among("scopes", scopes.values(), SCOPES)
        return Issuer(
            name=name,
            issuer=table.text("issuer"),
            algorithms=table.words("algorithms", ALGORITHMS),
            keys=keys,
            audience=table.text("audience"),
            client_claim=table.text("client_claim", "sub"),
            clients={said: table.name("clients", ours) for said, ours in table.texts("clients").items()},
            scope_claim=table.text("scope_claim", "scope"),
            scopes=scopes,
        )
    if kind == "client":
        return Client(
            name=name,
            issuer=table.text("id"),
            algorithms=table.words("algorithms", ALGORITHMS),
            keys=keys,
            audience=table.text("audience"),
            scopes=table.words("scopes", SCOPES),
        )
    jku = table.text("jku") if "jku" in table.values else None
    if not _BASE.fullmatch(base := table.text("audience_base")):
        raise table.wrong("audience_base", "is not an address without a slash at its end")
    return CdsClient(
        name=name,
        issuer=table.text("issuer"),
        algorithms=table.words("algorithms", _HOOK_ALGORITHMS, _HOOK_ALGORITHMS),
        keys=keys,
        audience_base=base,
        jku=jku,
    )


class _Table:
    """One table, with readers that say where they failed."""

    def __init__(self, where: str, values: Mapping[str, Any], fields: Collection[str]) -> None:
        self.where, self.values = where, values
        if unknown := sorted(values.keys() - fields):
            raise AccessFileError(f"{where}: there is no {', '.join(unknown)}; there are {', '.join(sorted(fields))}.")

    def wrong(self, field: str, what: str) -> AccessFileError:
        return AccessFileError(f"{self.where}, {field}: {what}.")

    def text(self, field: str, default: str | None = None) -> str:
        value = self.values.get(field, default)
        if not isinstance(value, str) or not value or value != value.strip():
            raise self.wrong(field, "a text is missing, or begins or ends with a space")
        return value

    def name(self, field: str, value: str) -> str:
        if not NAME.fullmatch(value) or value in RESERVED:
            raise self.wrong(
                field,
                "a name has 1 to 40 of a-z, 0-9, dot, underscore and hyphen, no sign at its ends, and is none of "
                + ", ".join(sorted(RESERVED)),
            )
        return value

    def texts(self, field: str) -> dict[str, str]:
        value = self.values.get(field)
        if not isinstance(value, dict) or not value or not all(isinstance(v, str) for v in value.values()):
            raise self.wrong(field, "a table of texts is missing")
        return value

    def words(self, field: str, choices: Collection[str], default: Iterable[str] | None = None) -> frozenset[str]:
        value = self.values.get(field, default)
        if not isinstance(value, (list, tuple)) or not value or not all(isinstance(v, str) for v in value):
            raise self.wrong(field, "a list of texts is missing")
        return self.among(field, value, choices)

    def among(self, field: str, words: Iterable[str], choices: Collection[str]) -> frozenset[str]:
        if not (found := frozenset(words)) <= frozenset(choices):
            raise self.wrong(field, f"holds something that is none of {', '.join(choices)}")
        return found

    def source(self) -> tuple[str, str]:
        fields = [field for field in ("jwks_file", "jwks_url") if field in self.values]
        if len(fields) != 1:
            raise AccessFileError(f"{self.where}: needs either jwks_file or jwks_url.")
        return fields[0], self.text(fields[0])

    def keys_from(self, folder: Path, known: Sources, sources: dict[tuple[str, str], KeySource]) -> None:
        field, value = source = self.source()
        where = f"{self.where}, {field}:"
        if source in sources:
            return
        if source in known:
            sources[source] = known[source]
            sources[source].where = where
        elif field == "jwks_url":
            if not may_fetch(value):
                raise self.wrong(field, "is not an https address without a name, a password or a fragment")
            sources[source] = KeyUrl(value, where)
        else:
            try:
                sources[source] = KeyFile(folder / value, where)
            except KeySetError as error:
                raise AccessFileError(f"{where} {error}.") from None
