"""`imdlens catchment`, `practice` and `targets`: files that an organisation brings to its findings."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape

from app.context.catchment import FILE as CATCHMENT
from app.context.catchment import Catchments, age_set, as_catchment_file
from app.context.files import RuleFolder
from app.context.practice import COLUMNS as PRACTICE_COLUMNS
from app.context.practice import FILE as PRACTICE
from app.context.practice import Initiative, Practice
from app.context.targets import FILE as TARGETS
from app.context.targets import Targets
from app.context.written import as_file
from app.counts.periods import today
from app.counts.tables import ALL_OTHER
from app.counts.vocabulary import vocabulary
from app.current import open_current
from app.lookup.index import Index
from app.reference.population import CENSUS_DAY, EDITION, SOURCE, AreaKind, census2021
from app.settings import read_settings


class LocalFileError(Exception):
    """A file or an argument that cannot be taken as it is; the message names the place, never a value."""


FORESEEN: Final = (LocalFileError,)

catchment = typer.Typer(help="The residents whom an organisation serves.", no_args_is_help=True)
practice = typer.Typer(help="What was done about inequalities, here and elsewhere.", no_args_is_help=True)
targets = typer.Typer(help="What an organisation set itself.", no_args_is_help=True)

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)

_EDITION_OF: Final = {"lsoa21": "IoD2025", "lsoa11": "IoD2019"}
_LINES_TOLD: Final = 10
_MOST: Final = 10_000_000  # people in one row

Out = Annotated[Path, typer.Option("--out", help="The file to write; it must not exist yet.")]
ENGLAND: Final = "E92000001"


# -------------------------------------------------------------------------------------- catchment


@catchment.command("make")
def make_catchment(
    out_file: Out,
    lad: Annotated[
        list[str] | None, typer.Option(help="A local authority district of 2024, by code. Repeat it.")
    ] = None,
    icb: Annotated[list[str] | None, typer.Option(help="An integrated care board of 2024, by code. Repeat it.")] = None,
    lsoas: Annotated[
        Path | None, typer.Option(help="CSV with `lsoa21` (or `lsoa11`), `persons` and, if known, `age_band`.")
    ] = None,
    area: Annotated[str | None, typer.Option(help="What to call the catchment.")] = None,
    source: Annotated[str | None, typer.Option(help="Where the numbers of --lsoas are from.")] = None,
    of: Annotated[str | None, typer.Option("--date", help="The day that they are of, YYYY-MM-DD.")] = None,
) -> None:
    """Write a catchment.csv: from districts or boards (Census 2021, IoD2025, no ages), or from your own areas.

    With --lsoas deciles are those of the loaded data: IoD2025 for lsoa21, IoD2019 for lsoa11.
    """
    if sum(map(bool, (lad, icb, lsoas))) != 1:
        raise LocalFileError(
            "Say one of --lad, --icb and --lsoas: a district lies in a board, and would be counted twice."
        )
    if lsoas is None:
        if source or of:
            raise LocalFileError("--source and --date go with --lsoas: the Census has its own.")
        kind: AreaKind = "lad" if lad else "icb"
        name, persons = _census(kind, lad or icb or [])
        text = as_catchment_file(EDITION, persons, area=area or name, source=SOURCE, of=CENSUS_DAY, written=today())
    else:
        if not (source and of and area):
            raise LocalFileError(
                "--lsoas needs --area, --source and --date: whose residents these are, and from where."
            )
        edition, found = _of_lsoas(lsoas)
        text = as_catchment_file(edition, found, area=area, source=source, of=_day(of), written=today())
    _write(out_file, text)
    _tell(_read_catchment(out_file))
    out.print(f"{escape(str(out_file))} is written. Put it as {CATCHMENT} into the folder of IMDLENS_LOCAL_DIR.")


@catchment.command("check")
def check_catchment(file: Path) -> None:
    """Read a catchment file as the service would, and say what it holds."""
    found = _read_catchment(file)
    if not found.each:
        raise LocalFileError("The file holds no residents.")
    _tell(found)


def _read_catchment(file: Path) -> Catchments:
    return Catchments.load(RuleFolder(instead={CATCHMENT: file}))


def _tell(found: Catchments) -> None:
    for one in found.each:
        ages = "by age, so that comparisons are matched for age" if one.by_age else "without ages"
        out.print(
            f"{escape(one.area)}, {one.edition}: {one.persons:,} residents on {one.date}, {ages};"
            f" {round(100 * one.core20 / one.persons)} in 100 live in the most deprived fifth of areas (Core20)."
        )


def _census(kind: AreaKind, codes: Sequence[str]) -> tuple[str, dict[tuple[str, str], int]]:
    known = census2021(kind)
    if any(code not in known for code in codes):
        example = "E06000018" if kind == "lad" else "E54000060"
        raise LocalFileError(
            f"--{kind} is none of the {len(known) - 1} codes of 2024, such as {example}, or {ENGLAND}."
        )
    if len(set(codes)) < len(codes) or (ENGLAND in codes and len(codes) > 1):
        raise LocalFileError(f"--{kind} counts somebody twice: say each code once, and England alone.")
    persons: Counter[tuple[str, str]] = Counter()
    for code in codes:
        for decile, n in enumerate(known[code].by_decile, 1):
            persons[str(decile), "all"] += n
    return ", ".join(known[code].name for code in codes), persons


def _of_lsoas(file: Path) -> tuple[str, dict[tuple[str, str], int]]:
    """The edition, and residents by decile and age band, of a file of areas."""
    rows = list(_rows(file))
    column = next((c for c in _EDITION_OF if rows and c in rows[0][1]), None)
    if column is None or not all({column, "persons"} <= set(row) for _, row in rows):
        raise LocalFileError(f"{file}: its columns must be lsoa21 (or lsoa11), persons and, if known, age_band.")
    edition = _EDITION_OF[column]
    deciles = _deciles(open_current(read_settings()), column, edition)
    persons: Counter[tuple[str, str]] = Counter()
    seen: set[tuple[str, str]] = set()
    unknown: list[int] = []
    bands: tuple[str, ...] = ()
    for line, row in rows:
        code, n, band = row[column], row["persons"], row.get("age_band") or "all"
        if not (n.isascii() and n.isdigit() and len(n) < 9 and int(n) <= _MOST):
            raise LocalFileError(f"{file}, line {line}, persons: is not a whole number of people.")
        bands = bands or age_set(band)
        if band not in bands:
            raise LocalFileError(
                f"{file}, line {line}, age_band: is none of the bands, or not of the first line's set."
            )
        if (code, band) in seen:
            raise LocalFileError(f"{file}, line {line}, {column}: stands twice with this age band.")
        seen.add((code, band))
        if code in deciles:
            persons[str(deciles[code]), band] += int(n)
        else:
            unknown.append(line)
    if unknown:
        told = ", ".join(map(str, unknown[:_LINES_TOLD])) + (" and more" if len(unknown) > _LINES_TOLD else "")
        raise LocalFileError(
            f"{file}: {len(unknown)} of {len(rows)} lines name no {column} that has a decile in the loaded data, so"
            f" nothing is written: lines {told}."
        )
    return edition, persons


def _deciles(index: Index, column: str, edition: str) -> dict[str, int]:
    """The decile of every area of the loaded data by its code."""
    found = {}
    for area in range(1, index.release.areas + 1):
        code, decile = index.code(area, column), index.decile(area, edition)
        if code and decile:
            found[code] = decile
    return found


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened, strict=True)
            for row in reader:
                if None in row or None in row.values():
                    raise LocalFileError(
                        f"{file}, line {reader.line_num}: has more or fewer columns than the first line."
                    )
                yield reader.line_num, {name.strip(): value.strip() for name, value in row.items()}
    except (csv.Error, UnicodeDecodeError):
        raise LocalFileError(f"{file} cannot be read as CSV in UTF-8.") from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise LocalFileError("--date is written YYYY-MM-DD.") from None


# --------------------------------------------------------------------------------------- practice


@practice.command("export")
def export_practice(
    out_file: Annotated[Path, typer.Argument(help="The file to write; it must not exist yet.")],
) -> None:
    """Write your own good practice for others to merge. It names staff to ask: send it to whom they agree to."""
    settings = read_settings()
    found = Practice.load(RuleFolder(settings.local_dir)).initiatives
    if not found:
        raise LocalFileError(f"There is no {PRACTICE} with initiatives in the folder of IMDLENS_LOCAL_DIR.")
    _write(out_file, _practice_file(found, "the organisations named in each row"))
    out.print(f"{escape(str(out_file))}: {len(found)} initiatives. They name staff to ask, and must name no patient.")


@practice.command("merge")
def merge_practice(
    files: Annotated[list[Path], typer.Argument(help="Two files or more, as `practice export` writes them.")],
    out_file: Out,
) -> None:
    """Merge files of good practice. Of an initiative that is in several, the newest stays; what does not is told."""
    if len(files) < 2:
        raise LocalFileError("Name two files or more to merge.")
    kept: dict[tuple[str, str], tuple[Path, Initiative]] = {}
    for file in files:
        for one in Practice.load(RuleFolder(instead={PRACTICE: file})).initiatives:
            there = kept.get(one.key)
            if there is None or there[1].date < one.date:
                kept[one.key] = (file, one)
            if there is not None and there[1] != one:
                _tell_both(there, (file, one), stays=kept[one.key][0])
    _write(out_file, _practice_file([one for _, one in kept.values()], "merged by imdlens practice merge"))
    out.print(f"{escape(str(out_file))}: {len(kept)} initiatives.")


def _tell_both(first: tuple[Path, Initiative], second: tuple[Path, Initiative], *, stays: Path) -> None:
    (a, one), (b, other) = first, second
    same = " They are of one day and differ: the first stays, so look at both." if one.date == other.date else ""
    err.print(
        f"[yellow]{escape(one.organisation)}, {escape(one.title)}: {escape(str(a))} says {one.date},"
        f" {escape(str(b))} says {other.date}; that of {escape(str(stays))} stays.{same}[/]"
    )


def _practice_file(initiatives: Sequence[Initiative], source: str) -> str:
    rows = [[getattr(one, column) for column in PRACTICE_COLUMNS] for one in initiatives]
    return as_file(PRACTICE_COLUMNS, rows, source=source, written=today())


# ---------------------------------------------------------------------------------------- targets


@targets.command("check")
def check_targets(file: Path) -> None:
    """Read a targets file as the service would: how many, and which are past their date or of no known unit."""
    found = Targets.load(RuleFolder(instead={TARGETS: file})).each
    words = vocabulary()
    unknown = [t for t in found if t.unit not in ("", ALL_OTHER, *words.specialties, *words.rtt_groups)]
    past = [t for t in found if t.by < today()]
    out.print(f"{escape(str(file))}: {len(found)} targets, {len(past)} of them past their date.")
    if unknown:
        codes = ", ".join(dict.fromkeys(t.unit for t in unknown))
        raise LocalFileError(f"{file}: no published table has a unit {codes}: these targets would never be shown.")


@targets.callback()
def _targets() -> None:
    """A group, though it has one command yet."""


def _write(path: Path, text: str) -> None:
    with path.open(
        "x", encoding="utf-8-sig", newline=""
    ) as file:  # Excel takes UTF-8 for something else without the mark
        file.write(text)
