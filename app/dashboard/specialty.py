"""A specialty in five minutes: the biggest gap, whether it closes, what lies beside it, and what to do about it.

The order is that of a conversation: may this be believed, what is found, does it change, what is ours to change, who
waits, whom do we see at all, and what is next.
"""

import re
from typing import Final
from urllib.parse import quote

from app import exhibits
from app.counts.cells import NO_DECILE
from app.counts.tables import DECILES, Figure
from app.dashboard import words
from app.dashboard.context import Context
from app.dashboard.frame import Frame, NoSuchPageError, in_words
from app.dashboard.practices import act
from app.findings.drawn import held, source_of
from app.findings.findings import Gap, Ratio, Share, Unit, Whole
from app.findings.gaps import gap
from app.findings.kinds import unit_of
from app.findings.overview import Overview, overview, year_by
from app.findings.representation import comparisons
from app.findings.words import CONTACTS_WEIGH, NOT_YET_FAIR, label
from app.pages.dashboard import Fact, Grid, Link, Screen, Section

BY_DECILE: Final = "specialty_decile"


def screen(context: Context, frame: Frame, code: str) -> Screen:
    """A specialty's first screen. NoSuchPageError where no such specialty has rows of its own."""
    unit = known(frame, code)
    found = found_of(context, frame, code)
    sections = (
        *quality(found),
        *everything_hidden(context, frame, found),
        closing(frame, found),
        missed(frame, found),
        waiting(frame, found),
        whom(frame, found),
        act(context, frame, found),
    )
    return frame.screen(
        "specialty",
        heading(found),
        without_repeats(sections),
        title=f"{unit.name}, {frame.words}",
        over=f"{unit.name}, {frame.words}",
        lead=lead(found),
        choosers=(frame.chooser(f"dashboard/specialties/{quote(code, safe='')}"),),
        crumbs=_crumbs(frame),
    )


def found_of(context: Context, frame: Frame, code: str) -> Overview:
    """All that is found of a unit in the frame's quarter."""
    year = year_by(frame.published, frame.quarter or "")
    compared = comparisons(frame.published, code, year, context.book.catchment, context.options)
    return overview(frame.published, code, frame.quarter, context.options, compared)


def heading(found: Overview) -> str:
    """The finding in one sentence; where no gap is certain, that."""
    if found.behind is None and any(each.absolute for each in found.gaps):
        return "No certain gap between areas"
    return _sentences(found.headline)[0]


def lead(found: Overview) -> tuple[str, ...]:
    """What the heading leaves unsaid of the headline."""
    if _nothing_known(found):
        return ()  # the box below says why
    said = _sentences(found.headline)
    more = [found.headline] if said[0] != heading(found) else [" ".join(said[1:])] if said[1:] else []
    return (*more, *_apart_by_rounding(found.behind))


def _apart_by_rounding(gap: Gap | None) -> tuple[str, ...]:
    """A gap that is not the difference of the shares beside it looks like a mistake, unless it is explained there."""
    if gap is None or gap.absolute is None or gap.core20.percent is None or gap.rest.percent is None:
        return ()
    if gap.core20.percent.value - gap.rest.percent.value == gap.absolute.value:
        return ()
    return ("Each figure is rounded by itself, so the gap differs by a point from the two beside it.",)


def _nothing_known(found: Overview) -> bool:
    return bool(found.gaps) and all(one.refusal for one in found.gaps)


def without_repeats(sections: tuple[Section, ...]) -> tuple[Section, ...]:
    """Where nothing can be shown, that is said once: sections that would only say it again are left out."""
    box = {sentence for section in sections if section.id == "hidden" for sentence in section.sentences}

    def is_repeat(section: Section) -> bool:
        is_of_this = bool(box) and section.id in ("closing", "missed", "whom") and not section.exhibits
        return is_of_this and any(said in box or said.startswith("Not shown:") for said in section.sentences)

    return tuple(section for section in sections if not is_repeat(section))


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.?!]) (?=[A-Z])", text)


def known(frame: Frame, code: str) -> Unit:
    """A unit with rows in the frame's quarter. NoSuchPageError where it has none."""
    if not code or frame.quarter is None or code not in units_of(frame):
        raise NoSuchPageError
    return unit_of(code)


def units_of(frame: Frame) -> list[str]:
    """The codes of all units with rows in the frame's quarter."""
    return frame.published.units("specialty_dna_core20", frame.quarter) if frame.quarter else []


def _crumbs(frame: Frame, *more: Link) -> tuple[Link, ...]:
    return (Link("Organisation", frame.to("dashboard", period=frame.kept)), *more)


# ------------------------------------------------------------------------------- the first screen


def quality(found: Overview) -> tuple[Section, ...]:
    """The banner, only where too many contacts have no decile."""
    if found.quality is None or not found.quality.is_over_limit:
        return ()
    return (Section("quality", "Many contacts have no decile", (found.quality.sentence,), look="banner"),)


def everything_hidden(context: Context, frame: Frame, found: Overview) -> tuple[Section, ...]:
    """Where no gap can be said: why, and where something can be."""
    if not _nothing_known(found):
        return ()
    refusals = [one.refusal for one in found.gaps if one.refusal]
    # That no list is published, its own section says.
    refusals = [one for one in refusals if one.code != "not_published"] or refusals
    code = found.unit.code
    links = []
    for quarter in reversed(frame.published.periods("specialty_dna_core20")):
        if quarter != frame.quarter and not gap(frame.published, "missed", code, quarter, context.options).refusal:
            path = f"dashboard/specialties/{quote(code, safe='')}"
            links.append(Link(f"{found.unit.name}, {in_words(quarter)}", frame.to(path, period=quarter)))
            break
    year = year_by(frame.published, frame.quarter or "")
    if code and year and not gap(frame.published, "missed", code, year, context.options).refusal:
        links.append(Link(f"The whole {in_words(year)}, by fifth", frame.specialty(code, "/detail")))
    if code:
        links.append(Link("The whole organisation", frame.to("dashboard", period=frame.kept)))
    said = tuple(dict.fromkeys(refusal.sentence for refusal in refusals))
    return (
        Section(
            "hidden",
            "Nothing can be shown of this quarter",
            said,
            links=tuple(links),
            quiet=(
                "A small service keeps its patients' privacy. A longer period, or more of them together, says more.",
            ),
            look="empty",
        ),
    )


def closing(frame: Frame, found: Overview) -> Section:
    """Whether the gap in missed appointments closes: the verdict in words, then the chart."""
    trend = found.trend
    if trend is None:
        return Section("closing", "Is it closing?", ("Too few periods are published to say.",))
    drawn = [exhibits.gap_trend(trend)] if any(point.value is not None for point in trend.points) else []
    said = () if drawn else (trend.sentence,)
    # A verdict on few points is never shown without saying so, and notes of a chart may be folded away.
    quiet = tuple(s for s in _sentences(trend.sentence) if "trial limits" in s) if drawn else ()
    return Section("closing", "Is it closing?", said, exhibits=frame.exhibits(drawn, found.unit.code), quiet=quiet)


def missed(frame: Frame, found: Overview) -> Section:
    """What patients missed beside what the hospital itself cancelled, by fifth."""
    children = found.unit.is_for_children
    title = "Was not brought, beside what the hospital cancelled"
    title = title if children else "Missed, beside what the hospital cancelled"
    if found.missed is None or found.cancelled is None:
        none = "Fifths are published by financial year, so that fewer counts are hidden: none is whole yet by then."
        return Section("missed", title, (none,))
    said: list[str] = []
    if found.missed.fewer:
        what = "fewer appointments to which a child was not brought" if children else "fewer missed appointments"
        said.append(
            f"If every fifth of areas had the rate of the least deprived, there would have been about"
            f" {found.missed.fewer:,} {what} in the {in_words(found.missed.period)}."
        )
    both = (found.missed, found.cancelled)
    drawn = []
    if any(share.percent for one in both for share in one.shares):
        drawn.append(exhibits.missed_by_fifth(*both))
    else:
        said += dict.fromkeys(one.sentence for one in both)
    return Section("missed", title, tuple(said), exhibits=frame.exhibits(drawn, found.unit.code))


def waiting(frame: Frame, found: Overview) -> Section:
    """Over 18 and over 52 weeks, Core20 against the rest."""
    waits = found.waits
    if waits is None:
        return Section(
            "waiting",
            "Who waits long",
            ("No waiting list is published of this quarter.",),
            items=(
                (
                    "To have it here, load the list of each month's end before the month is sealed:"
                    " imdlens counts waiting-list"
                ),
            ),
        )
    facts = [fact for each in (waits.over_18, waits.over_52) for fact in _pair(each)]
    drawn = [exhibits.waits_by_core20(waits)] if any(not fact.mark for fact in facts) else []
    if drawn:
        said = [_of_which(waits.over_52)]  # what the chart's title says is not said twice
    elif waits.over_18.sentence == waits.over_52.sentence:
        said = [waits.over_18.sentence]
    else:
        said = [_of_which(each) for each in (waits.over_18, waits.over_52)]
    return Section(
        "waiting",
        "Who waits long",
        tuple(said),
        exhibits=frame.exhibits(drawn, found.unit.code),
        quiet=(
            "Waiting lists are not published by fifth, so it is the most deprived fifth of areas against all others.",
        ),
    )


def _of_which(each: Gap) -> str:
    """A sentence that says which gap it is of: a refusal alone would seem to be of the whole list."""
    return f"{each.measure.label}: {each.sentence[0].lower()}{each.sentence[1:]}" if each.refusal else each.sentence


def _pair(each: Gap) -> tuple[Fact, Fact]:
    return _fact(each.measure.label, each.core20), _fact(each.measure.label, each.rest)


def _fact(label: str, share: Share) -> Fact:
    if share.percent is None:
        few = "too few to say" if not share.mark else "not shown"
        return Fact(label, "–", few, share.mark or "absent")
    said = "under 1%" if share.percent.value == 0 and share.n else f"{share.percent.value}%"
    return Fact(label, said, f"{share.n:,} of {share.total:,} (limits {share.percent.lower} to {share.percent.upper}%)")


def whom(frame: Frame, found: Overview) -> Section:
    """Whom we see, against the trust and then the catchment."""
    items = []
    if any(one.refusal and one.refusal.code == "no_reference" for one in found.comparisons):
        items.append(
            "To compare with the residents whom you serve, give them as catchment.csv in the folder IMDLENS_LOCAL_DIR."
        )
    drawn = []
    if any(one.reference and one.share.percent for one in found.comparisons):
        drawn.append(exhibits.whom_we_see(found.comparisons))
    titles = {chart.title for chart in drawn}
    said, quiet = [], []
    for one in found.comparisons:
        sentences = [sentence for sentence in _sentences(one.sentence) if sentence != NOT_YET_FAIR]
        # What the chart's title says is not said twice.
        if sentences and sentences[0] in titles:
            whose = one.reference.name if one.reference else ""
            quiet.append(" ".join(sentences[1:]).replace("That is", f"Against {whose}, that is", 1))
        else:
            said.append(" ".join(sentences))
    return Section(
        "whom",
        "Whom we see",
        (*dict.fromkeys(said), NOT_YET_FAIR),
        exhibits=frame.exhibits(drawn, found.unit.code),
        items=tuple(items),
        quiet=tuple(filter(None, quiet)),
    )


# --------------------------------------------------------------------------------- what is behind


def detail(context: Context, frame: Frame, code: str) -> Screen:
    """What lies behind a specialty's first screen. NoSuchPageError."""
    unit = known(frame, code)
    found = found_of(context, frame, code)
    year = year_by(frame.published, frame.quarter or "")
    sections = [*quality(found)]
    for one in (found.missed, found.cancelled):
        if one is None:
            continue
        facts = []
        if one.sii and one.rii:
            facts = [
                Fact(
                    "Slope index of inequality (SII), points",
                    str(one.sii.value),
                    f"95% limits {one.sii.lower} to {one.sii.upper}",
                ),
                Fact(
                    "Relative index of inequality (RII)",
                    str(one.rii.value),
                    f"95% limits {one.rii.lower} to {one.rii.upper}",
                ),
            ]
        name = one.measure.name.replace("_", "-")
        drawn = [exhibits.slope(one)] if one.sii else []
        sections.append(
            Section(
                f"slope-{name}",
                f"{label(one.measure, one.unit)}: the slope over all fifths",
                # What the chart's title says is not said twice.
                () if drawn else (one.sentence,),
                facts=tuple(facts),
                exhibits=frame.exhibits(drawn, code),
                quiet=(words.SLOPE,) if one.sii else (),
            )
        )
    if year is None:
        sections.append(
            Section(
                "year",
                "By fifth and by decile",
                ("These come with the first whole financial year that is sealed.",),
                look="empty",
            )
        )
    else:
        sections.append(_deciles(frame, code, year))
    sections.append(_gaps(frame, found))
    sections.append(
        Section(
            "method",
            "Limits and method",
            items=(
                (
                    "Shares have 95% Wilson limits, gaps Newcombe's, ratios log limits, slopes weighted"
                    " least squares on logits."
                ),
                CONTACTS_WEIGH,
                "Everything is worked out from published counts, each rounded to the nearest 5.",
                "Contacts without a decile are in no share.",
            ),
            links=(Link("How to read these pages", frame.to("dashboard/help")),),
            look="quiet",
        )
    )
    first = frame.specialty(code)
    return frame.screen(
        "specialty",
        f"Behind the figures of {unit.name}",
        sections,
        title=f"{unit.name}: detail, {frame.words}",
        over=frame.words,
        choosers=(frame.chooser(f"dashboard/specialties/{quote(code, safe='')}/detail"),),
        crumbs=_crumbs(frame, Link(unit.name, first)),
    )


def _deciles(frame: Frame, code: str, year: str) -> Section:
    figures = {d: Figure(BY_DECILE, year, code, imd_decile=d) for d in (*DECILES, NO_DECILE)}
    parts = {d: frame.published.part(figure) for d, figure in figures.items()}
    source, began = source_of(frame.published, figures.values()), held(frame.published, figures.values())
    drawn = exhibits.deciles(unit_of(code), year, parts, source, began)
    return Section(
        "deciles",
        "Contacts by decile",
        ("Decile 1 is the most deprived tenth of areas in England. Compare with your catchment, never with a tenth.",),
        exhibits=frame.exhibits([drawn], code),
    )


def _gaps(frame: Frame, found: Overview) -> Section:
    rows = tuple(
        (
            label(each.measure, each.unit),
            in_words(each.period),
            _percent(each.core20),
            _percent(each.rest),
            _limits(each.absolute),
            _limits(each.relative),
            "yes" if each.is_certain else ("no" if each.absolute else ""),
        )
        for each in found.gaps
    )
    headings = ("Measure", "Period", "Core20", "Rest", "Gap, points (95% limits)", "Ratio (95% limits)", "Certain")
    said = tuple(dict.fromkeys(each.refusal.sentence for each in found.gaps if each.refusal))
    return Section(
        "gaps",
        "Every gap that was looked at",
        grid=Grid(
            "The most deprived fifth of areas against the rest of England", headings, rows, frozenset({2, 3, 4, 5})
        ),
        quiet=said,
    )


def _percent(share: Share) -> str:
    return f"{share.percent.value}%" if share.percent else share.mark if share.mark in ("*", "w") else "–"


def _limits(estimate: Whole | Ratio | None) -> str:
    if estimate is None:
        return "–"
    return f"{estimate.value} ({estimate.lower} to {estimate.upper})".replace("-", "\N{MINUS SIGN}")
