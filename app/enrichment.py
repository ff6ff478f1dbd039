"""The one composition that every door calls: a postcode and a released index to what may be said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from app.context.summary import Summaries
from app.lookup import layout, postcode
from app.lookup.deprivation import Core20Reason, Country, Status, in_core20, quintile
from app.lookup.index import Finding, Index

Extent = Literal["whole", "part", "starter"]
Caution = Literal["large_user", "terminated", "low_precision"]


class Notice(NamedTuple):
    """Something the caller should know: which field, and what about it. Never a value."""

    field: str
    code: str


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
    summaries: Summaries

    @property
    def version(self) -> str:
        """One version for all rules that shape an answer."""
        return f"postcode {postcode.rules().version}, wording {self.summaries.version}"


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


def enrich(text: str | None, index: Index, rules: Rules, *, with_area: bool = False) -> Enrichment:
    """Everything that may be said of one postcode. Pure: the same index and rules, the same answer."""
    finding, slot = index.one(text)
    area = slot & layout.AREA
    return Enrichment(
        _read(finding, _extent(index), rules),
        index.domains(area, rules.core20_edition) if area else None,
        _codes(index, area) if with_area and area else None,
        area,
    )


def _extent(index: Index) -> Extent:
    """How much of the country an index holds: what is not found may only not be loaded."""
    return "starter" if index.release.starter else "part" if index.release.part else "whole"


def enrich_each(texts: Sequence[str | None], index: Index, rules: Rules, with_area: Sequence[bool]) -> list[Enrichment]:
    """`enrich` for every text of a batch, looked up together."""
    findings, slots = index.each(texts)
    domains = index.domains_each(slots, rules.core20_edition)
    extent = _extent(index)
    answers = [
        Enrichment(_read(finding, extent, rules), values, None, place)
        for finding, values, place in zip(findings, domains, (slots & layout.AREA).tolist(), strict=True)
    ]
    for row in [row for row, wanted in enumerate(with_area) if wanted]:
        if area := answers[row].place:
            answers[row] = answers[row]._replace(area=_codes(index, area))
    return answers


# What is kept is no postcode and no area, only how a finding reads.
@lru_cache(maxsize=8192)
def _read(finding: Finding, extent: Extent, rules: Rules) -> Reading:
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
    cautions: list[Caution] = []
    if finding.large_user:
        cautions.append("large_user")
    if status == "terminated":
        cautions.append("terminated")
    if finding.low_precision:
        cautions.append("low_precision")
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
        summary=rules.summaries.sentence(status, country, spoken.decile if spoken else None, problem),
        cautions=tuple(cautions),
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
