"""A transition report in words: as text, CSV, JSON, and the view of its page. From figures as they are shown."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

from app.batch.transition import DECILES, FIRST_ONLY, REASONS, SECOND_ONLY
from app.batch.transition_figures import (
    CHANGE,
    CHANGES,
    CORE20,
    ENTERS,
    FLOW,
    HIGHER,
    LEAVES,
    LOWER,
    MOVES,
    NONE,
    NOT_COMPARABLE,
    PARTS,
    SAME,
    SPECIALTY,
    STAYS_IN,
    STAYS_OUT,
    Figure,
    Report,
    Shown,
)
from app.counts.disclosure import SUPPRESSED, WITHHELD
from app.counts.tables import ALL_OTHER
from app.counts.vocabulary import ABSENT, UNRECOGNISED, vocabulary
from app.lookup.index import Release
from app.pages.transition import Bar, FlowCell, SpecialtyRow, TransitionView

RowsAre = Literal["rows", "patients", "contacts"]

NOT_TO_BE_SHARED: Final = "Exact counts: not to be shared."
COLUMNS: Final = (
    "table",
    "specialty",
    "rtt_group",
    "specialty_name",
    "category",
    "decile_from",
    "decile_to",
    "n",
    "value",
    "suppressed",
    "edition_from",
    "edition_to",
    "rows_are",
    "rounding_rule",
    "release",
    "date",
    "note",
)
"""The columns of the CSV, and the names in each row of the JSON. `value` is a share in whole percent."""
ATTRIBUTION: Final = (
    "Source: Office for National Statistics licensed under the Open Government Licence v.3.0.",
    "Contains OS data © Crown copyright and database right.",
    "Contains Royal Mail data © Royal Mail copyright and database right.",
    "Ministry of Housing, Communities and Local Government, English Indices of Deprivation 2019 and 2025.",
)
_AREAS: Final[Mapping[str, str]] = {
    "IoD2019": "IoD2019 ranks 32,844 areas with the boundaries of 2011",
    "IoD2025": "IoD2025 ranks 33,755 areas with the boundaries of 2021",
}
_REASON_WORDS: Final[Mapping[str, str]] = {
    "no_small_area": "A postcode of which no small area is known",
    "not_in_england": "Outside England",
    "not_found": "Postcode not found",
    "malformed": "Not written as a postcode, or empty",
    "no_fixed_abode": "No fixed abode",
    "address_not_known": "Address not known",
    "country_only": "Only the country is known",
    "overseas": "Lives overseas",
    "forces": "Forces postcode",
    "crown_dependency": "Crown dependency",
}


@dataclass(frozen=True, slots=True)
class Run:
    """What is said of a run beside its figures: what a row is, the release that answered, and the day."""

    rows_are: RowsAre
    release: Release
    on: date


# ------------------------------------------------------------------------------------------- sentences


def in_100(share: int | None, things: str) -> str:
    """A share in words: `About 12 in 100 patients`."""
    if share is None:
        return "A share that cannot be shown of the " + things
    return f"Fewer than 1 in 100 {things}" if share == 0 else f"About {share} in 100 {things}"


def headline(report: Report, run: Run) -> tuple[str, ...]:
    """What the report says first: who is in another Core20 group, and who in another decile."""
    things, (first, second) = run.rows_are, report.editions
    crossing = report.share(CORE20, (ENTERS, LEAVES), MOVES)
    changed = report.share(CHANGE, (LOWER, HIGHER), CHANGES)
    if crossing is None:
        said = (
            f"Of these {things} it cannot be shown how many are in another Core20 group under {second}: see the counts."
        )
    elif (report.n(CORE20, ENTERS), report.n(CORE20, LEAVES)) == (0, 0):
        said = f"None of the {things} with a decile in both editions are in another Core20 group under {second}."
    else:
        said = (
            f"{in_100(crossing, things)} with a decile in both editions are in another Core20 group under {second}"
            f" than under {first}."
        )
    if changed is None:
        return (said,)
    return said, f"{in_100(changed, things)} with a decile in both editions are in another decile."


def second_lines(report: Report, run: Run) -> tuple[str, ...]:
    """Core20 under each edition, in words; empty where a share cannot be shown."""
    first, second = report.editions
    before = report.share(CORE20, (STAYS_IN, LEAVES), MOVES)
    after = report.share(CORE20, (STAYS_IN, ENTERS), MOVES)
    if before is None or after is None:
        return ()
    return (f"In Core20 under {first}: about {before} in 100 {run.rows_are}; under {second}: about {after} in 100.",)


def may_be_concluded(report: Report, run: Run) -> tuple[str, ...]:
    """What the figures are good for."""
    first, second = report.editions
    counted = (
        f"How many of these {run.rows_are} have another decile, or another Core20 flag, once {second} is used in place"
        f" of {first}."
    )
    return counted, "How much of a step between reports before and after that day comes from the edition alone."


def must_not_be_concluded(report: Report, run: Run) -> tuple[str, ...]:
    """What the figures do not say, in plain words."""
    first, second = report.editions
    anew = (
        "A patient did not become more or less deprived because the decile changed: the ranking of areas was made anew."
    )
    relative = (
        "A decile says where an area stands among all areas of its edition. An area can move because others moved, so"
        " these figures are not change in deprivation over time."
    )
    areas = "; ".join(_AREAS[e] for e in report.editions if e in _AREAS)
    boundaries = f"{areas}. Where boundaries changed, the two deciles are not of the same area."
    person = (
        "A decile is about the area, not the person: of England's households deprived in two or more ways, two in three"
        " live outside Core20 (Census 2021, by IoD2025)."
    )
    series = f"Counts made on {first} and on {second} must not be added, and a series over both needs a labelled break."
    counted = {
        "patients": "Each row was taken to be one patient: nobody checked that none is there twice.",
        "contacts": "Contacts are counted, not people: who came often is counted often.",
        "rows": "Rows are counted, not people: who has several rows is counted several times.",
    }[run.rows_are]
    return (anew, relative, *([boundaries] if areas else []), person, series, counted)


def how_made(report: Report, run: Run) -> tuple[str, ...]:
    """How the deciles were found and what was done to the counts."""
    first, second = report.editions
    found = (
        f"The decile in {first} is the published one of the small area, as that edition has areas, in which the"
        f" postcode lies; the decile in {second} likewise. Where the postcode directory does not name that area, it is"
        " taken from areas whose change of boundary leaves no doubt; else the decile is not known. Core20 is deciles 1"
        " and 2. Withheld addresses are in no count."
    )
    if report.is_exact:
        return (found, NOT_TO_BE_SHARED)
    rule = report.rule
    shown = (
        f"Counts of 1 to {rule.suppress_up_to} are shown as {SUPPRESSED}, others to the nearest 5; 0 is none."
        f" {WITHHELD} is withheld, so that no small count can be worked out. Shares are of counts as shown, in whole"
        f" percent, and of {rule.least_denominator} or more. Counts may not add up."
    )
    once = (
        f"Agree on one file and share one report of it. Two reports of files that differ by a few {run.rows_are}, or of"
        " one file by two columns of specialties or two rules, can be compared, and may then give a few away."
    )
    return found, shown, once


def reason_words(reason: str, report: Report) -> str:
    """Why rows cannot be compared, in words."""
    if reason in (FIRST_ONLY, SECOND_ONLY):
        return f"A decile in {report.editions[0 if reason == FIRST_ONLY else 1]} only"
    return _REASON_WORDS[reason]


def unit_words(unit: str) -> str:
    """The name of a specialty, of a group, or of what has no row of its own."""
    words = vocabulary()
    if unit in words.specialties:
        return words.specialties[unit].name
    if unit in words.rtt_groups:
        return f"{words.rtt_groups[unit]} (smaller specialties)"
    return {ALL_OTHER: "All other specialties", UNRECOGNISED: "Code not recognised", ABSENT: "No code"}[unit]


def part_words(part: str, report: Report) -> str:
    """A part of a table in words."""
    second = report.editions.second
    return {
        STAYS_IN: "Stay in Core20",
        ENTERS: f"Enter Core20 under {second}",
        LEAVES: f"Leave Core20 under {second}",
        STAYS_OUT: "Stay out of Core20",
        NONE: "Cannot be compared",
        SAME: "Same decile",
        LOWER: "Lower decile (nearer the most deprived)",
        HIGHER: "Higher decile (nearer the least deprived)",
    }[part]


def _count(shown: Shown) -> str:
    return shown.mark if shown.n is None else f"{shown.n:,}"


def _percent(share: int | None) -> str:
    return "" if share is None else f"{share}%"


# ------------------------------------------------------------------------------------------------ rows


def _share_of(figure: Figure, report: Report) -> int | None:
    whole: Sequence[str] = CHANGES if figure.table == CHANGE else MOVES
    if figure.table in (CORE20, CHANGE, SPECIALTY) and figure.category in whole:
        return report.share(figure.table, (figure.category,), whole, figure.unit)
    return None


def rows(report: Report, run: Run) -> Iterator[dict[str, Any]]:
    """Every figure as a row of COLUMNS, None where a column does not apply."""
    words = vocabulary()
    for figure, shown in report.figures.items():
        yield {
            "table": figure.table,
            "specialty": figure.unit if figure.unit and figure.unit not in words.rtt_groups else None,
            "rtt_group": figure.unit if figure.unit in words.rtt_groups else None,
            "specialty_name": unit_words(figure.unit) if figure.unit else None,
            "category": figure.category or None,
            "decile_from": figure.first_decile or None,
            "decile_to": figure.second_decile or None,
            "n": shown.n,
            "value": _share_of(figure, report),
            "suppressed": shown.mark or None,
            "edition_from": report.editions.first,
            "edition_to": report.editions.second,
            "rows_are": run.rows_are,
            "rounding_rule": None if report.is_exact else report.rule.id,
            "release": run.release.id,
            "date": run.on.isoformat(),
            "note": NOT_TO_BE_SHARED if report.is_exact else None,
        }


def as_csv(report: Report, run: Run) -> str:
    """The rows as CSV, with a byte order mark as the published tables have it."""
    buffer = io.StringIO()
    buffer.write("\ufeff")
    writer = csv.DictWriter(buffer, COLUMNS)
    writer.writeheader()
    writer.writerows(rows(report, run))
    return buffer.getvalue()


def as_json(report: Report, run: Run) -> str:
    """Headline, figures and what they mean, as one JSON object."""
    return json.dumps(
        {
            "note": NOT_TO_BE_SHARED if report.is_exact else None,
            "headline": [*headline(report, run), *second_lines(report, run)],
            "may_be_concluded": may_be_concluded(report, run),
            "must_not_be_concluded": must_not_be_concluded(report, run),
            "how_made": how_made(report, run),
            "data": _data_notice(run.release) or None,
            "figures": list(rows(report, run)),
            "attribution": ATTRIBUTION,
        },
        ensure_ascii=False,
        indent=1,
    )


def _data_notice(release: Release) -> str:
    if release.starter:
        return "Starter data: most postcodes are not in it. For a first try only."
    return "The data loaded holds a part of the country: postcodes elsewhere are not found." if release.part else ""


# ------------------------------------------------------------------------------------------------ text


def as_text(report: Report, run: Run) -> str:
    """The report for a terminal."""
    blocks = [
        "\n".join([*headline(report, run), *second_lines(report, run)]),
        *_tables(report, run),
        _listed("What may be concluded", may_be_concluded(report, run)),
        _listed("What must not be concluded", must_not_be_concluded(report, run)),
        _listed("How it was made", (*how_made(report, run), *_provenance_lines(report, run))),
    ]
    if notice := _data_notice(run.release):
        blocks.insert(0, notice)
    if report.is_exact:
        blocks.insert(0, NOT_TO_BE_SHARED)
    return "\n\n".join(blocks) + "\n"


def _tables(report: Report, run: Run) -> Iterator[str]:
    first, second = report.editions
    figures = report.figures
    for title, table, parts in (("Core20", CORE20, PARTS), ("Decile", CHANGE, CHANGES)):
        lines = [
            (part_words(part, report), _count(figures[key]), _percent(_share_of(key, report)))
            for part in parts
            for key in (Figure(table, "", part),)
        ]
        yield _table(f"{title}, {run.rows_are}", ("", "count", "share"), lines, report)
    numbers = [str(d) for d in range(1, DECILES + 1)]
    flow = [
        (str(a), *(_count(figures[Figure(FLOW, "", "", a, b)]) for b in range(1, DECILES + 1)))
        for a in range(1, DECILES + 1)
    ]
    yield _table(
        f"Decile in {first} (down) by decile in {second} (across), {run.rows_are}", ("", *numbers), flow, report
    )
    if report.units():
        by_unit = [
            (
                f"{unit_words(unit)} {unit}" if unit != ALL_OTHER else unit_words(unit),
                *(_count(figures[Figure(SPECIALTY, unit, part)]) for part in PARTS),
                _percent(report.share(SPECIALTY, (ENTERS, LEAVES), MOVES, unit)),
            )
            for unit in report.units()
        ]
        heads = ("", "stay in", "enter", "leave", "stay out", "not comparable", "cross")
        yield _table(f"Core20 by specialty, {run.rows_are}", heads, by_unit, report)
    reasons = [(reason_words(r, report), _count(figures[Figure(NOT_COMPARABLE, "", r)])) for r in REASONS]
    yield _table(f"Why {run.rows_are} cannot be compared", ("", "count"), reasons, report)


def _table(title: str, heads: Sequence[str], lines: Sequence[Sequence[str]], report: Report) -> str:
    widths = [max(len(line[i]) for line in (heads, *lines)) for i in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        first, *others = cells
        numbers = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        return "  ".join([first.ljust(widths[0]), *numbers]).rstrip()

    said = f"{title}. {NOT_TO_BE_SHARED}" if report.is_exact else title
    return "\n".join([said, line(heads), *map(line, lines)])


def _listed(title: str, sentences: Sequence[str]) -> str:
    return "\n".join([title, *(f"- {sentence}" for sentence in sentences)])


def _provenance(report: Report, run: Run) -> tuple[tuple[str, str], ...]:
    return (
        ("Editions", f"{report.editions.first} to {report.editions.second}"),
        ("Postcodes", run.release.postcodes),
        ("Release", run.release.id),
        ("Rule", "none: exact" if report.is_exact else report.rule.id),
        ("Made on", f"{run.on.day} {run.on:%B %Y}"),
    )


def _provenance_lines(report: Report, run: Run) -> tuple[str, ...]:
    return (", ".join(f"{name}: {value}" for name, value in _provenance(report, run)) + ".", " ".join(ATTRIBUTION))


# ------------------------------------------------------------------------------------------------ page


def view_of(report: Report, run: Run) -> TransitionView:
    """What the page shows. ValueError for an exact report: a page is made to be passed on."""
    if report.is_exact:
        raise ValueError("an exact report has no page")
    first, second = report.editions
    said, *others = headline(report, run)
    return TransitionView(
        notice=_data_notice(run.release),
        headline=said,
        second=(*others, *second_lines(report, run)),
        things=run.rows_are,
        first=first,
        second_edition=second,
        moves=_bars(report, CORE20, PARTS),
        changes=_bars(report, CHANGE, CHANGES),
        flow=tuple(_flow_row(report, decile) for decile in range(1, DECILES + 1)),
        specialties=tuple(_specialty(report, unit) for unit in report.units()),
        reasons=tuple(
            (reason_words(r, report), _count(shown))
            for r in REASONS
            for shown in (report.figures[Figure(NOT_COMPARABLE, "", r)],)
            if shown.n != 0
        ),
        most_hidden=report.rule.suppress_up_to,
        may=may_be_concluded(report, run),
        must_not=must_not_be_concluded(report, run),
        how=how_made(report, run),
        provenance=_provenance(report, run),
        attribution=ATTRIBUTION,
    )


def _bars(report: Report, table: str, parts: Sequence[str]) -> tuple[Bar, ...]:
    figures = [Figure(table, "", part) for part in parts]
    return tuple(Bar(part_words(f.category, report), _count(report.figures[f]), _share_of(f, report)) for f in figures)


def _flow_row(report: Report, first: int) -> tuple[FlowCell, ...]:
    shown = [report.figures[Figure(FLOW, "", "", first, second)] for second in range(1, DECILES + 1)]
    total = sum(cell.n or 0 for cell in shown)
    return tuple(
        FlowCell(_count(cell), _shade(cell, total), second == first) for second, cell in enumerate(shown, start=1)
    )


def _shade(cell: Shown, total: int) -> int:
    """How dark a cell is, 0 to 4, by its part of the row as it is shown."""
    if cell.n is None:
        return int(cell.mark == SUPPRESSED)
    return sum(100 * cell.n >= least * total for least in (10, 25, 50)) + 1 if cell.n else 0


def _specialty(report: Report, unit: str) -> SpecialtyRow:
    counts = tuple(_count(report.figures[Figure(SPECIALTY, unit, part)]) for part in PARTS)
    code = unit if unit not in (ALL_OTHER, UNRECOGNISED, ABSENT) else ""
    crossing = _percent(report.share(SPECIALTY, (ENTERS, LEAVES), MOVES, unit))
    return SpecialtyRow(unit_words(unit), code, counts, crossing)
