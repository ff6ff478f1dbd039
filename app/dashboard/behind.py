"""What stands behind the figures: which systems send what, who is not recorded, and which edition ranks the areas."""

import itertools
from typing import Final

from app import exhibits
from app.counts.parts import Part
from app.dashboard import words
from app.dashboard.context import Context
from app.dashboard.frame import Frame, in_words
from app.findings.findings import Source
from app.findings.quality import completeness as completeness_of
from app.findings.quality import inclusion as inclusion_of
from app.pages.dashboard import Grid, Screen, Section

_STATUSES: Final = {
    "live": "In use",
    "terminated": "No longer in use",
    "not_found": "Not found",
    "malformed": "Not a postcode",
    "no_fixed_abode": "No fixed abode",
    "address_not_known": "Address not known",
    "country_only": "Country alone",
    "overseas": "Overseas",
    "forces": "Forces",
    "crown_dependency": "Crown dependency",
}
_NOT_RECORDED: Final = "Most people in these groups are not recorded as such: a small number here is not a small need."


def completeness(context: Context, frame: Frame) -> Screen:
    """What the postcodes of each integration were, in the newest month."""
    months = frame.published.periods("completeness")
    if not months:
        return frame.screen("completeness", "Completeness", words.nothing_sealed(frame))
    month = max(months)
    found = completeness_of(frame.published, month, context.options)
    known = [one for one in found if one.found.percent is not None]
    low = min(known, key=lambda one: one.found.percent.value if one.found.percent else 0, default=None)
    heading = "Nothing can be said of completeness: all counts are small"
    if low is not None and low.found.percent is not None:
        value = low.found.percent.value
        heading = (
            f"{value} in 100 postcodes have a place on the map"
            if len(known) == 1
            else f"Least complete is {low.client}: {value} in 100 postcodes have a place on the map"
        )
    rows = tuple(
        (
            one.client,
            f"{one.found.percent.value}%"
            if one.found.percent
            else one.found.mark
            if one.found.mark in ("*", "w")
            else "–",
            *(count(dict(one.statuses).get(status, Part(None, "absent"))) for status in _STATUSES),
        )
        for one in found
    )
    grid = Grid(
        f"Contacts by what their postcode was, {in_words(month)}",
        ("System", "With a place", *_STATUSES.values()),
        rows,
        frozenset(range(1, 12)),
    )
    source = found[0].source if found else None
    return frame.screen(
        "completeness",
        heading,
        (
            Section("found", "With a place on the map", exhibits=frame.exhibits([exhibits.completeness(found)])),
            Section("systems", "What was sent", grid=grid, quiet=source_words(source)),
            Section(
                "what-to-do",
                "What to do",
                items=(
                    "Not a postcode, or not found: the field is filled by hand, or cut short, in that system.",
                    "Address not known: ask at registration. No fixed abode is an answer: help, do not press.",
                    "Contacts that could not be counted at all are not here: see the log of the integration.",
                ),
                look="act",
            ),
        ),
        title="Completeness",
        over=f"{frame.organisation}, {in_words(month)}",
    )


def inclusion(context: Context, frame: Frame) -> Screen:
    """Contacts of people in inclusion-health groups and with access needs, of the whole organisation alone."""
    years = frame.published.periods("organisation_inclusion")
    if not years:
        return frame.screen("inclusion", _NOT_RECORDED, _no_year(frame), title="Inclusion health")
    year = max(years)
    found = inclusion_of(frame.published, year)
    sections = [Section("recorded", "What records say", exhibits=frame.exhibits([exhibits.inclusion(found)]))]
    sections.append(
        Section(
            "careful",
            "Read with care",
            items=(
                "Only what a record says is counted, and records say it rarely.",
                "Contacts are counted, not people. There is no rate: nobody knows how many live in these groups here.",
                "Never shown for a specialty: so few that somebody might be recognised.",
            ),
        )
    )
    return frame.screen(
        "inclusion",
        _NOT_RECORDED,
        sections,
        title="Inclusion health",
        over=f"{frame.organisation}, {in_words(year)}",
        lead=(found.sentence,),
    )


def _no_year(frame: Frame) -> tuple[Section, ...]:
    if not frame.published.publications:
        return words.nothing_sealed(frame)
    return (
        Section(
            "empty",
            "No whole financial year is sealed yet",
            ("These groups are small, so they are published once a year, for the whole organisation.",),
            look="empty",
        ),
    )


def editions(context: Context, frame: Frame) -> Screen:
    """Which edition of the index ranks the areas, since when, and why figures across a change are not compared."""
    pages = [page for page in frame.published.publications if page.table == "organisation_outcome"]
    if not pages:
        return frame.screen("editions", "Editions of the index", words.nothing_sealed(frame))
    changes = [(before, after) for before, after in itertools.pairwise(pages) if before.edition != after.edition]
    heading = (
        f"Areas are ranked by {pages[-1].edition} since {in_words(changes[-1][1].period)}"
        if changes
        else f"All figures are on one edition of the index, {pages[-1].edition}"
    )
    rows = tuple(
        (in_words(after.period), before.edition, after.edition, _day(after.sealed_at)) for before, after in changes
    )
    sections = []
    if rows:
        sections.append(
            Section(
                "changes",
                "What changed, and when",
                grid=Grid("Changes of edition", ("From", "Before", "Since then", "Sealed"), rows),
            )
        )
    sections.append(
        Section(
            "why",
            "Why figures before and after are not compared",
            (
                (
                    "A new edition ranks the areas of England anew, with newer data and changed"
                    " methods. An area may leave"
                    " the most deprived fifth though nothing in it changed, and another may enter."
                ),
                (
                    "So a gap may widen or close on paper alone. Charts draw limits anew from a"
                    " change on, and no figure"
                    " adds contacts of two editions."
                ),
                "What a change does to your own patients, imdlens transition tells beforehand.",
            ),
        )
    )
    sections.append(_sealings(pages[-1].release, pages[-1].rule))
    return frame.screen("editions", heading, sections, title="Editions")


def _sealings(release: str, rule: str) -> Section:
    return Section(
        "rule",
        "By which rule counts are hidden",
        (f"{rule}.", f"Postcodes are looked up in the release {release}."),
        look="quiet",
    )


def count(part: Part) -> str:
    """A published count as a table shows it."""
    if part.n is not None:
        return f"{part.n:,}"
    return part.mark if part.mark in ("*", "w") else "–"


def source_words(source: Source | None) -> tuple[str, ...]:
    """Where a table is from, in one sentence; nothing where there is no source."""
    if source is None:
        return ()
    when = in_words(source.periods[-1])
    return (f"Source: {' and '.join(source.tables)}, {when}, {source.edition}, published {_day(source.sealed_at)}.",)


def _day(moment: str) -> str:
    return f"{int(moment[8:10])} {in_words(moment[:7])}"
