"""The one composition that every door calls: a question and a released index to what may be said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from app.context.cautions import CAUTIONS, NOT_HOME, Caution
from app.context.core20plus5 import read_age, read_specialty
from app.context.inclusion import NOTHING, Included
from app.context.notices import Notice
from app.context.rulebook import Context, Rulebook
from app.lookup import layout, postcode
from app.lookup.deprivation import Core20Reason, Country, Status, in_core20, quintile
from app.lookup.index import Finding, Index

Extent = Literal["whole", "part", "starter"]
_WITHHELD: Final = Finding("withheld")


class Question(NamedTuple):
    """One patient's postcode and what else was sent, its structure already checked; and what is asked for."""

    postcode: str | None
    contact: Mapping[str, Any] | None = None
    signals: Mapping[str, Any] | None = None
    with_area: bool = False
    context_on: date | None = None  # the day for which context is asked, None where it is not


class Standing(NamedTuple):
    """How an area stands in one edition. Decile 1 and quintile 1 are the most deprived."""

    decile: int
    quintile: int
    core20: bool | None
    computed: bool


class AreaCodes(NamedTuple):
    """Where the postcode lies: GSS codes, and published ranks by edition."""

    lsoa21: str | None
    lsoa11: str | None
    lad: str | None
    icb: str | None
    ranks: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """What a deployment decides, and the words it uses."""

    core20_edition: str
    book: Rulebook
    oldest_new: int = field(init=False, repr=False)  # a slot above this was introduced after the edition's data

    def __post_init__(self) -> None:
        """Where new postcodes begin, as slots hold it: the months stand in a slot's highest bits."""
        last = self.book.cautions.data_to(self.core20_edition)
        object.__setattr__(self, "oldest_new", ((last + 1) << layout.INTRODUCED_SHIFT) - 1)

    @property
    def version(self) -> str:
        """One version for all rules that shape an answer."""
        words = self.book.summaries.version
        return f"postcode {postcode.rules().version}, wording {words}, context {self.book.version}"


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """All that follows from a status, a nation and its deciles: the same for every postcode alike in these."""

    postcode_status: Status
    country: Country | None
    repaired: bool
    imd_decile: int | None
    imd_quintile: int | None
    imd_edition: str
    core20: bool | None
    core20_reason: Core20Reason | None
    editions: Mapping[str, Standing | None]
    summary: str
    cautions: tuple[Caution, ...]
    warnings: tuple[Notice, ...]


class Enrichment(NamedTuple):
    """What is answered about one postcode."""

    reading: Reading
    domains: tuple[int, ...] | None  # deciles in the order of DOMAINS, 0 where one is not known
    area: AreaCodes | None  # only when it was asked for
    place: int = 0  # the small area's number in the index, 0 where there is none: for counting, never answered
    said: Included = NOTHING  # what the record's signals say; its groups only for the scope `inclusion`
    context: Context | None = None  # only when it was asked for


def enrich(question: Question, index: Index, rules: Rules) -> Enrichment:
    """Everything that may be said of one postcode. Pure: the same index and rules, the same answer."""
    finding, slot = index.one(question.postcode)
    area = slot & layout.AREA
    domains = index.domains(area, rules.core20_edition) if area else None
    return _answer(question, finding, slot, domains, index, rules)


def enrich_each(questions: Sequence[Question | str | None], index: Index, rules: Rules) -> list[Enrichment]:
    """`enrich` for every question of a batch, looked up together. A postcode stands for a `Question` of it alone."""
    findings, slots = index.each([q.postcode if isinstance(q, Question) else q for q in questions])
    domains = index.domains_each(slots, rules.core20_edition)
    minded = index.rural_each(slots) | (slots > rules.oldest_new) | (not rules.book.cautions.has_no_places)
    extent, silent = _extent(index), rules.book.inclusion.silent
    answers = []
    for question, finding, slot, values, minds in zip(
        questions, findings, slots.tolist(), domains, minded.tolist(), strict=True
    ):
        if isinstance(question, Question):
            answers.append(_answer(question, finding, slot, values, index, rules))
        elif minds:
            answers.append(_answer(Question(question), finding, slot, values, index, rules))
        else:  # most of a batch: what `_answer` comes to, in as few steps as can be
            reading = _read(finding, extent, rules)
            answers.append(Enrichment(reading, values, None, slot & layout.AREA, silent[reading.postcode_status]))
    return answers


def _answer(
    question: Question, finding: Finding, slot: int, domains: tuple[int, ...] | None, index: Index, rules: Rules
) -> Enrichment:
    text, contact, signals, with_area, context_on = question
    book = rules.book
    place = book.cautions.place(text, found=slot > 0 and not finding.repaired)
    if place is None:  # a protected place is answered as a withheld address, to the last byte
        finding, slot, domains, place = _WITHHELD, 0, None, ()
    area = slot & layout.AREA
    rural = index.rural(area) if area else None
    if rural or place or slot > rules.oldest_new:
        reading = _read(finding, _extent(index), rules, place, slot > rules.oldest_new, rural is True)
    else:
        reading = _read(finding, _extent(index), rules)
    ethnic = contact.get("ethnic_category") if contact else None
    return Enrichment(
        reading,
        domains,
        _codes(index, area) if with_area and area else None,
        area,
        book.inclusion.read(reading.postcode_status, signals, ethnic),
        _context(question, reading, domains, area, rural, index, book) if context_on else None,
    )


def _context(
    question: Question,
    reading: Reading,
    domains: tuple[int, ...] | None,
    area: int,
    rural: bool | None,
    index: Index,
    book: Rulebook,
) -> Context:
    """What a clinician may do with it. The area orders the questions; it never decides whether they are asked."""
    contact = question.contact or {}
    age = read_age(contact.get("age"))
    # Shares are said with where they stand in England.
    english = area and reading.country == "England"
    shares = dict(zip(index.measures, index.shares(area), strict=True)) if english else {}
    withheld = reading.postcode_status == "withheld"
    return Context(
        book.area.facts(domains, shares, rural),
        book.prompts.audience(age),
        book.prompts.ask(age, domains),
        tuple(
            signpost
            for signpost in book.signposts.near(
                question.context_on or date.min,
                None if withheld else reading.country,
                index.code(area, "icb") if area else None,
                index.code(area, "lad") if area else None,
                book.signposts.postcode_area(question.postcode) if area else None,
            )
            if signpost.is_for(age)
        ),
        book.core20plus5.areas(read_specialty(contact.get("specialty")), age),
    )


def _extent(index: Index) -> Extent:
    """How much of the country an index holds: what is not found may only not be loaded."""
    return "starter" if index.release.starter else "part" if index.release.part else "whole"


# What is kept is no postcode and no area, only how a finding reads. Nearly all are asked for by three arguments alone.
@lru_cache(maxsize=8192)
def _read(
    finding: Finding,
    extent: Extent,
    rules: Rules,
    place: tuple[Caution, ...] = (),
    is_new: bool = False,
    is_rural: bool = False,
) -> Reading:
    status, country, problem = finding.status, finding.country, finding.problem
    deciles = finding.profile.deciles if finding.profile else ()
    english = country == "England"
    editions = {
        edition.id: Standing(d, quintile(d), in_core20(d) if english else None, edition.computed) if d else None
        for edition, d in deciles
    }
    standing = editions.get(rules.core20_edition) if english else None
    known = [s for s in editions.values() if s is not None]
    # Outside England the sentence is about the nation's own newest index; in England only about the
    # edition that Core20 is read from, since the two must never part.
    spoken = standing if english else (known[0] if known else None)
    minded: dict[Caution, bool] = {
        "terminated": status == "terminated",
        "large_user": finding.large_user,
        "new_postcode": is_new and standing is not None,
        "low_precision": finding.low_precision,
        "rural": is_rural,
    }
    cautions = tuple(c for c in CAUTIONS if minded.get(c) or c in place)
    warnings = []
    if problem:
        warnings.append(Notice("postcode", problem))
    if finding.repaired:
        warnings.append(Notice("postcode", "repaired"))
    if extent != "whole" and status == "not_found":
        warnings.append(Notice("postcode", f"{extent}_data_only"))
    return Reading(
        postcode_status=status,
        country=country,
        repaired=finding.repaired,
        imd_decile=standing.decile if standing else None,
        imd_quintile=standing.quintile if standing else None,
        imd_edition=rules.core20_edition,
        core20=standing.core20 if standing else None,
        core20_reason=None if standing else _why_not(status, country, editions),
        editions=editions,
        summary=rules.book.summaries.sentence(
            status, country, spoken.decile if spoken else None, problem, is_home=not NOT_HOME & set(cautions)
        ),
        cautions=cautions,
        warnings=tuple(warnings),
    )


def _why_not(status: Status, country: Country | None, editions: Mapping[str, Standing | None]) -> Core20Reason:
    if status != "live" and status != "terminated":
        return status
    if country is not None and country != "England":
        return "not_in_england"
    return "edition_unknown" if any(editions.values()) else "no_small_area"


def _codes(index: Index, area: int) -> AreaCodes:
    ranks = {e.id: rank for e in index.editions if (rank := index.rank(area, e.id))}
    return AreaCodes(
        index.code(area, "lsoa21"),
        index.code(area, "lsoa11"),
        index.code(area, "lad"),
        index.code(area, "icb"),
        ranks,
    )
