"""The shapes of findings: plain values that doors, pages and reports show as they are.

Shares and gaps are in whole percent and whole percentage points, ratios in tenths: the parts that they are worked out
from were rounded before they were published, and finer figures would promise what is not there.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

MeasureName = Literal["missed", "cancelled_by_provider", "over_18_weeks", "over_52_weeks", "core20_share"]
RefusalCode = Literal[
    "not_published",  # no table of that period
    "hidden",  # a part is `*` or withheld
    "too_few",  # a denominator under the least that a share may have
    "no_events",  # a ratio or a scale that zero cannot have
    "no_design_effect",  # people come often, and how often is not configured
    "no_reference",  # nothing to compare with is loaded
    "other_edition",  # the reference is on another edition of the index
]
Verdict = Literal["too_few", "common_cause", "improving", "worsening", "changed"]
UnitKind = Literal["organisation", "specialty", "rtt_group", "all_other"]


class Refusal(NamedTuple):
    """Why there is no figure: a code for machines, a sentence for people."""

    code: RefusalCode
    sentence: str


class Whole(NamedTuple):
    """A share in whole percent, or a gap in whole percentage points, with its limits."""

    value: int
    lower: int
    upper: int


class Ratio(NamedTuple):
    """A ratio in tenths with its limits."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured. `better` is None where neither more nor less is better by itself."""

    name: MeasureName
    label: str  # "Missed appointments"
    axis: str  # "Missed in 100 appointments"
    better: Literal["lower"] | None
    is_stock: bool  # a list at one moment: never a special cause


@dataclass(frozen=True, slots=True)
class Unit:
    """Whose contacts: the whole organisation, a specialty, the rest of an RTT group, or all others."""

    code: str  # as in `Figure.unit`; empty for the organisation
    name: str
    kind: UnitKind
    is_for_children: bool  # then "was not brought" instead of "did not attend"


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, both as published. `mark` is `*`, `w` or `absent` where one of them is not shown."""

    n: int | None
    total: int | None
    percent: Whole | None
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a finding is from: published tables by number and name, their period, edition and day of sealing."""

    tables: tuple[str, ...]
    periods: tuple[str, ...]
    edition: str
    sealed_at: str
    synthetic: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """The most deprived fifth of areas (Core20) against the rest of England, in one measure."""

    measure: Measure
    unit: Unit
    period: str
    core20: Share
    rest: Share
    absolute: Whole | None  # points, Core20 less the rest; Newcombe
    relative: Ratio | None  # Core20 over the rest; log
    is_certain: bool  # the limits of the gap leave out zero
    fewer: int | None  # about so many events fewer in Core20 at the rest's rate, to the nearest 5
    sentence: str
    refusal: Refusal | None
    source: Source | None


@dataclass(frozen=True, slots=True)
class Fifths:
    """One measure over the five fifths of areas, the most deprived first, with its slope."""

    measure: Measure
    unit: Unit
    period: str
    shares: tuple[Share, ...]
    sii: Whole | None  # points from the least to the most deprived end; positive where the most deprived have more
    rii: Ratio | None  # at the most deprived end over the least deprived end, fitted
    fitted: tuple[int, ...]  # whole percent at the middle of each fifth; empty without a slope
    fewer: int | None  # if every fifth had the rate of the least deprived
    sentence: str
    refusal: Refusal | None  # of the slope
    source: Source | None


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One period of a trend; `value` is None where it cannot be shown."""

    period: str
    value: int | None
    mark: str
    flags: tuple[str, ...]  # "outside_limits", "shift", "trend", "near_limit"


@dataclass(frozen=True, slots=True)
class Phase:
    """Process limits of the points from `start` up to, not with, `stop`: one edition of the index."""

    start: int
    stop: int
    mean: int | None
    lower: int | None
    upper: int | None
    is_trial: bool  # fewer than 12 points
    edition: str


@dataclass(frozen=True, slots=True)
class Trend:
    """A gap or share over time with process limits (XmR); no limits and no flags on a stock."""

    measure: Measure
    unit: Unit
    of: Literal["gap", "share"]
    points: tuple[TrendPoint, ...]
    phases: tuple[Phase, ...]
    verdict: Verdict
    sentence: str
    refusal: Refusal | None
    source: Source | None


@dataclass(frozen=True, slots=True)
class Reference:
    """What a share is compared with: all others but itself, or the residents of a catchment."""

    kind: Literal["others", "catchment"]
    name: str
    source: str
    date: str
    is_age_matched: bool
    share: Whole  # whole percent; limits equal the value where it is known without error


@dataclass(frozen=True, slots=True)
class Comparison:
    """The Core20 share of a unit's first contacts against a reference. An equal share is not yet a fair share."""

    unit: Unit
    period: str
    share: Share
    reference: Reference | None
    ratio: Ratio | None
    sentence: str
    refusal: Refusal | None
    source: Source | None


@dataclass(frozen=True, slots=True)
class RankedGap:
    """One unit in a ranking, with 99.8% limits, and where it stands in the funnel."""

    unit: Unit
    value: Whole
    size: int  # contacts, or the effective number behind a difference
    stands_out: bool  # beyond the 99.8% funnel


@dataclass(frozen=True, slots=True)
class FunnelLimit:
    """Funnel limits at one size, whole percent or points."""

    size: int
    lower95: int
    upper95: int
    lower998: int
    upper998: int


@dataclass(frozen=True, slots=True)
class Ranking:
    """All units side by side, the largest value first; those without a figure with their reasons."""

    measure: Measure
    period: str
    centre: int | None
    rows: tuple[RankedGap, ...]
    refused: tuple[tuple[Unit, Refusal], ...]
    funnel: tuple[FunnelLimit, ...]
    design_effect: float | None
    dispersion: float | None
    sentence: str
    refusal: Refusal | None
    source: Source | None


@dataclass(frozen=True, slots=True)
class Quality:
    """How many contacts have no decile, and whether that is over the limit."""

    unit: Unit
    period: str
    unknown: Share
    is_over_limit: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Waits:
    """People waiting at the end of a month: over 18 and over 52 weeks, Core20 against the rest."""

    month: str
    over_18: Gap
    over_52: Gap
    within_18: tuple[Share, Share]  # Core20, rest
    list_size: tuple[int | None, int | None, int | None]  # Core20, rest, no decile
