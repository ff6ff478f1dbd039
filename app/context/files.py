"""Rules as versioned data: read from the files that this version ships, or from the organisation's own in their place.

An error names the file, the line and the column, never a value: the organisation's list of places holds
addresses that must not be told.
"""

import csv
import hashlib
import math
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Formatter
from typing import Any, Final, Literal, NamedTuple, get_args
from urllib.parse import urlsplit

Status = Literal["sourced", "authored"]
_HEADER: Final = re.compile(r"#\s*(version|status|source|sign_off):\s*(.*\S)")
_VERSION: Final = re.compile(r"\d{4}-\d{2}-\d{2}(\.\d+)?")
_PRINTABLE: Final = re.compile(r"[!-~]+")
_YES_NO: Final = {"yes": True, "no": False}


class RuleFileError(Exception):
    """A rules file that must not be used, in one sentence."""


class RuleFile(NamedTuple):
    """What a rules file says of itself, and what it was when it was read."""

    name: str
    version: str  # a date
    status: Status
    source: str
    sign_off: str  # who must agree to it before use
    checksum: str  # SHA-256, hexadecimal
    local: bool  # the organisation's own


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a CSV, with readers that say where they failed."""

    file: str
    line: int
    values: Mapping[str, str]

    def wrong(self, column: str, what: str) -> RuleFileError:
        """The error to raise for a column of this line."""
        return RuleFileError(f"{self.file}, line {self.line}, {column}: {what}.")

    def text(self, column: str) -> str:
        """A text that is not empty."""
        if not (value := self.values[column]):
            raise self.wrong(column, "is empty")
        return value

    def optional(self, column: str) -> str | None:
        """A text, None where it is empty."""
        return self.values[column] or None

    def choice(self, column: str, choices: Collection[str]) -> str:
        """One word of a list."""
        if self.values[column] not in choices:
            raise self.wrong(column, f"is none of {', '.join(choices)}")
        return self.values[column]

    def flag(self, column: str) -> bool:
        """`yes` or `no`."""
        return _YES_NO[self.choice(column, _YES_NO)]


def _names_in(folder: Path) -> frozenset[str]:
    """The rules files of a folder. A misspelt one would leave the shipped one in force unseen, so it is refused."""
    try:
        names = frozenset(path.name for path in folder.iterdir())
    except OSError as error:
        raise RuleFileError(f"{folder} cannot be read: {error.strerror}.") from error
    shipped = {path.name for path in resources.files("app.context").joinpath("rules").iterdir()}
    unknown = sorted(n for n in names - shipped if n.lower().endswith((".toml", ".csv")))
    if unknown:
        raise RuleFileError(
            f"{folder}: there is no rules file {', '.join(unknown)}; there are {', '.join(sorted(shipped))}."
        )
    return names


class RuleFolder:
    """The rules that this version ships; a file of the same name in `local` stands in the place of a shipped one.

    `instead` names single files to be read in the place of both, wherever they are and whatever they are called.
    """

    def __init__(self, local: Path | None = None, *, instead: Mapping[str, Path] | None = None) -> None:
        self._local = local
        self._instead = dict(instead or {})
        self.files: list[RuleFile] = []
        self._own = _names_in(local) if local is not None else frozenset()

    def table(self, name: str, keys: Collection[str]) -> "Table":
        """A TOML file: these keys besides what it says of itself, and no others."""
        text, local = self._read(name)
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RuleFileError(f"{name} is not TOML: {error}.") from error
        head = {key: str(values.pop(key, "")) for key in ("version", "status", "source", "sign_off")}
        self._note(name, text, head, local=local)
        table = Table(name, values)
        table.only(keys)
        return table

    def rows(self, name: str, columns: Collection[str]) -> list[Row]:
        """The lines of a CSV below its head of `# key: value` comments; exactly these columns."""
        text, local = self._read(name)
        name = str(self._instead.get(name, name))  # what errors call it
        lines = text.splitlines()
        # A spreadsheet puts quotes and trailing commas around comments, and leaves rows of nothing but commas.
        comments = [line.rstrip(",").strip('"') for line in lines if line.lstrip('"').startswith("#")]
        self._note(name, text, {m[1]: m[2] for m in map(_HEADER.fullmatch, comments) if m}, local=local)
        numbered = _without_comments(text)
        reader = csv.DictReader((line for _, line in numbered), strict=True)
        rows = []
        try:
            if list(reader.fieldnames or ()) != list(columns):
                raise RuleFileError(f"{name}: its columns must be {','.join(columns)}.")
            for values in reader:
                line = numbered[reader.line_num - 1][0]
                if None in values or None in values.values():
                    raise RuleFileError(f"{name}, line {line}: has more or fewer columns than the first line.")
                rows.append(Row(name, line, {k: v.strip() for k, v in values.items()}))
        except csv.Error as error:
            raise RuleFileError(f"{name}: is not CSV: {error}.") from error
        return rows

    def _read(self, name: str) -> tuple[str, bool]:
        try:
            if name in self._instead:
                return self._instead[name].read_text("utf-8-sig"), True
            if self._local is not None and name in self._own:
                return (self._local / name).read_text("utf-8-sig"), True  # spreadsheets write a byte-order mark
            return resources.files("app.context").joinpath("rules", name).read_text("utf-8"), False
        except OSError as error:
            raise RuleFileError(f"{name} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise RuleFileError(f"{name} is not UTF-8 text.") from error

    def _note(self, name: str, text: str, head: Mapping[str, str], *, local: bool) -> None:
        for key in ("version", "status", "source", "sign_off"):
            if not head.get(key):
                raise RuleFileError(f"{name} does not say its {key}.")
        if not _VERSION.fullmatch(head["version"]):
            raise RuleFileError(f"{name}: its version is not a date, YYYY-MM-DD.")
        if head["status"] not in get_args(Status):
            raise RuleFileError(f"{name}: its status is neither sourced nor authored.")
        status: Any = head["status"]
        checksum = hashlib.sha256(text.encode()).hexdigest()
        self.files.append(RuleFile(name, head["version"], status, head["source"], head["sign_off"], checksum, local))

    @property
    def version(self) -> str:
        """The newest version among the files read, with a mark of the organisation's own files where there are any."""
        newest = max(file.version for file in self.files)
        own = "".join(sorted(file.checksum for file in self.files if file.local))
        return f"{newest}+{hashlib.sha256(own.encode()).hexdigest()[:8]}" if own else newest


def _without_comments(text: str) -> list[tuple[int, str]]:
    """The lines of a CSV with their numbers, without comments and lines of nothing but commas; a cell stays whole."""
    kept, inside = [], False
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if inside or (line.strip(' ,"\r\n') and not line.lstrip('"').startswith("#")):
            kept.append((number, line))
            inside ^= line.count('"') % 2 == 1
    return kept


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a TOML file, with readers that say where they failed."""

    where: str
    values: Mapping[str, Any]

    def only(self, keys: Collection[str]) -> None:
        """RuleFileError for a key that none of these is: most likely a misspelt one."""
        if unknown := sorted(set(self.values) - set(keys)):
            raise RuleFileError(f"{self.where}: there is no {', '.join(unknown)}.")

    def text(self, key: str) -> str:
        """A text that is not empty."""
        value = self.values.get(key)
        if not isinstance(value, str) or not value.strip():
            raise RuleFileError(f"{self.where}, {key}: a text is missing.")
        return value.strip()

    def optional(self, key: str) -> str | None:
        """A text, None where it is empty or missing."""
        return self.text(key) if self.values.get(key) else None

    def whole(self, key: str, default: int) -> int:
        """A whole number, 0 or more."""
        value = self.values.get(key, default)
        if type(value) is not int or value < 0:
            raise RuleFileError(f"{self.where}, {key}: not a whole number.")
        return value

    def number(self, key: str) -> float:
        """A finite number."""
        return self._finite(key, self.values.get(key))

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of finite numbers."""
        value = self.values.get(key)
        if not isinstance(value, list):
            raise RuleFileError(f"{self.where}, {key}: not a list of numbers.")
        return tuple(self._finite(key, v) for v in value)

    def _finite(self, key: str, value: Any) -> float:
        if type(value) not in (int, float) or not math.isfinite(value):
            raise RuleFileError(f"{self.where}, {key}: not a number.")
        return float(value)

    def words(self, key: str, choices: Collection[str] | None = None) -> tuple[str, ...]:
        """A list of texts, each one of `choices`; empty where it is missing."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
            raise RuleFileError(f"{self.where}, {key}: not a list of texts.")
        if choices is not None and not set(value) <= set(choices):
            raise RuleFileError(f"{self.where}, {key}: holds something that is none of {', '.join(choices)}.")
        return tuple(value)

    def texts(self, key: str) -> dict[str, str]:
        """A table of texts, in its order."""
        inner = self.inner(key)
        return {name: inner.text(name) for name in inner.values}

    def inner(self, key: str) -> "Table":
        """A table within this one."""
        value = self.values.get(key)
        if not isinstance(value, dict):
            raise RuleFileError(f"{self.where}: the table {key} is missing.")
        return Table(f"{self.where}, {key}", value)

    def each(self, key: str, keys: Collection[str]) -> list["Table"]:
        """The tables of an array, with these keys and no others; each `id`, where there is one, once."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
            raise RuleFileError(f"{self.where}: {key} is not an array of tables.")
        tables = [Table(f"{self.where}, {key} {i}", v) for i, v in enumerate(value, 1)]
        for table in tables:
            table.only(keys)
        if "id" in keys:
            ids = [table.text("id") for table in tables]
            for i, name in enumerate(ids):
                if name in ids[:i]:
                    raise RuleFileError(f"{tables[i].where}, id: stands twice.")
        return tables


def filled(sentence: str, place: str, /, **values: object) -> str:
    """A sentence with its places filled in; RuleFileError unless it has exactly these, each `{name}` and no more."""
    try:
        parts = list(Formatter().parse(sentence))
    except ValueError:
        parts = [("", "", "?", None)]
    names = [name for _, name, form, conversion in parts if name is not None]
    plain = all(not form and conversion is None for _, name, form, conversion in parts if name is not None)
    if not plain or set(names) != set(values):
        wanted = ", ".join(f"{{{name}}}" for name in values) or "none"
        raise RuleFileError(f"{place}: the places to fill in are {wanted}.")
    return sentence.format(**values)


def is_web_address(text: str) -> bool:
    """Whether a card may link to it: https, of plain signs, to a named host, without a name and password."""
    if not _PRINTABLE.fullmatch(text) or "\\" in text:
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme == "https" and "." in (parts.hostname or "") and "@" not in parts.netloc
