"""The organisation's first screen, and the way to every specialty."""

from app.counts.vocabulary import vocabulary
from app.dashboard import specialty, words
from app.dashboard.context import Context
from app.dashboard.frame import Frame
from app.dashboard.practices import act
from app.findings.findings import Unit
from app.findings.overview import units
from app.pages.dashboard import Group, Link, Screen, Section

_OTHERS = "Other groups"


def screen(context: Context, frame: Frame) -> Screen:
    """What is found of the whole organisation, then the list of its specialties."""
    if frame.quarter is None:
        heading = "Inequalities between areas" if not frame.published.publications else "Inequalities: almost there"
        return frame.screen("organisation", heading, words.nothing_sealed(frame), title="Dashboard")
    found = specialty.found_of(context, frame, "")
    return frame.screen(
        "organisation",
        specialty.heading(found),
        specialty.without_repeats(
            (
                *specialty.quality(found),
                *specialty.everything_hidden(context, frame, found),
                specialty.closing(frame, found),
                specialty.missed(frame, found),
                specialty.waiting(frame, found),
                specialty.whom(frame, found),
                act(context, frame, found),
                specialties(frame),
                behind(frame),
            )
        ),
        title=f"Dashboard, {frame.words}",
        over=f"{frame.organisation}, {frame.words}",
        lead=specialty.lead(found),
        jumps=(Link("Find a specialty", "#specialties"),),
        choosers=(frame.chooser("dashboard"),),
    )


def specialties(frame: Frame) -> Section:
    """Every unit with rows of its own, by RTT group."""
    found = units(frame.published, frame.quarter or "")
    groups: dict[str, list[Unit]] = {}
    for unit in found:
        groups.setdefault(_group(unit), []).append(unit)
    named = sorted(groups.items(), key=lambda each: (each[0] == _OTHERS, each[0]))
    return Section(
        "specialties",
        "Specialties",
        ("A specialty with few contacts is shown with its group, or with all others.",),
        groups=tuple(
            Group(
                f"group-{number}",
                name if len(members) > 1 or members[0].name != name else "",
                tuple(
                    Link(unit.name, frame.specialty(unit.code), unit.code if unit.kind == "specialty" else "")
                    for unit in sorted(members, key=lambda unit: unit.name.casefold())
                ),
            )
            for number, (name, members) in enumerate(named, 1)
        ),
    )


def _group(unit: Unit) -> str:
    vocabulary_ = vocabulary()
    known = vocabulary_.specialties.get(unit.code)
    if unit.kind == "specialty" and known:
        return vocabulary_.rtt_groups.get(known.rtt_group, _OTHERS)
    return _OTHERS


def behind(frame: Frame) -> Section:
    """The other pages, and what each answers."""
    return Section(
        "behind",
        "More",
        links=(
            Link(
                "Ranking",
                frame.to("dashboard/ranking", period=frame.kept),
                "Which specialties stand out by more than chance?",
            ),
            Link(
                "Completeness", frame.to("dashboard/completeness"), "Which systems send postcodes that cannot be read?"
            ),
            Link(
                "Inclusion health",
                frame.to("dashboard/inclusion-health"),
                "Who of the groups that are often left out is recorded?",
            ),
            Link("Editions", frame.to("dashboard/editions"), "Since when are areas ranked anew?"),
            Link("Good practice", frame.to("dashboard/practice"), "What did others do, and what came of it?"),
        ),
    )
