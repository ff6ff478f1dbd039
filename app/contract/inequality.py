"""What the doors of inequality and of trends answer: numbers with limits, or the reason why there are none."""

import csv
import io
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.counts import periods
from app.findings.findings import MeasureName, RefusalCode, UnitKind, Verdict

_Code = Annotated[str, Field(max_length=40, pattern=r"^[A-Za-z0-9_]*$", min_length=1)] | None
_Direction = Literal["more_in_most_deprived", "less_in_most_deprived", "not_certain"] | None

_MEASURE: Final = (
    "`missed`: did not attend, among attended and did not attend. `cancelled_by_provider`: cancelled by the hospital,"
    " among these and the cancelled. `over_18_weeks`, `over_52_weeks`: people waiting at a month's end."
    " `core20_share`: contacts from the most deprived fifth of areas, among contacts with a decile."
)


class _Unit(BaseModel):
    model_config = ConfigDict(extra="forbid")

    measure: MeasureName = Field("missed", description=_MEASURE)
    specialty: _Code = Field(
        None,
        description="A treatment function code with rows of its own, or `all_other`. Without it and `rtt_group`: the"
        " whole organisation.",
    )
    rtt_group: _Code = Field(None, description="An RTT specialty group with rows of its own. Not with `specialty`.")
    format: Literal["json", "csv"] | None = Field(None, description="Instead of the `Accept` header.")


class InequalityQuery(_Unit):
    """What is measured, of whom and when; a parameter that is not known is refused."""

    by: Literal["specialty"] | None = Field(
        None, description="All units side by side instead of one; not with `specialty` or `rtt_group`."
    )
    period: Annotated[str, Field(min_length=1, max_length=12, pattern=r"^[0-9MQ-]*$")] | None = Field(
        None,
        description="As it is published: `2026-27-Q2`, `2026-27` or `2026-10`; the newest by default, a quarter where"
        " there is one.",
    )


class TrendQuery(_Unit):
    """What is followed over time, and of whom."""

    of: Literal["gap", "share"] | None = Field(
        None,
        description="`gap`: the most deprived fifth less the rest, in points; the default. `share`: in the most"
        " deprived fifth alone, in percent; the default, and all there is, for `core20_share`.",
    )


class MeasureOf(BaseModel):
    """What is measured."""

    name: MeasureName
    label: str = Field(examples=["Missed appointments"])
    axis: str = Field(description="What an axis of its shares is called.", examples=["Missed in 100 appointments"])
    better: Literal["lower"] | None = Field(description="Null where neither more nor less is better by itself.")
    is_stock: bool = Field(description="A list at one moment: never added over months, never a special cause.")


class UnitOf(BaseModel):
    """Whose contacts."""

    code: str = Field(description="Empty for the whole organisation.", examples=["340"])
    name: str = Field(examples=["Respiratory Medicine Service"])
    kind: UnitKind
    is_for_children: bool = Field(description="Then sentences say 'was not brought'.")


class Limits(BaseModel):
    """A value with its limits, in whole percent or whole percentage points."""

    value: int
    lower: int
    upper: int


class RatioLimits(BaseModel):
    """A ratio with its limits, in tenths."""

    value: float
    lower: float
    upper: float


class PublishedShare(BaseModel):
    """A part of a whole, both as published."""

    n: int | None = Field(description="Events, to the nearest 5; a sum of published counts. Null when hidden.")
    total: int | None = Field(description="What they are a part of. Null when hidden.")
    percent: Limits | None = Field(description="Whole percent with 95% Wilson limits; null where it cannot be said.")
    suppressed: Literal["*", "w", "absent"] | None = Field(
        description="Why one of the two is not shown: `*` a count from 1 to 7, `w` withheld, `absent` not published."
    )


class RefusalOf(BaseModel):
    """Why there is no figure."""

    code: RefusalCode
    sentence: str


class SourceOf(BaseModel):
    """The published tables that it was worked out from, and nothing else was."""

    tables: list[str] = Field(examples=[["T2 specialty_dna_core20"]])
    periods: list[str] = Field(examples=[["2026-27-Q2"]])
    edition: str = Field(examples=["IoD2025"])
    sealed_at: str = Field(description="When the newest of them was published; it never changes after.")
    rule: str | None = Field(description="The rule by which counts were rounded and hidden.")
    organisation: str | None = Field(description="ODS code of the organisation.")
    synthetic: bool = Field(description="True for the invented data of the demonstration.")


class FifthsOf(BaseModel):
    """One measure over the five fifths of areas, the most deprived first, with its slope."""

    period: str
    shares: list[PublishedShare]
    sii: Limits | None = Field(
        description="Slope index of inequality in points; positive where the most deprived have more."
    )
    rii: RatioLimits | None = Field(description="Relative index: the most over the least deprived end, fitted.")
    fitted: list[int] = Field(description="Whole percent at the middle of each fifth, by the slope.")
    fewer: int | None = Field(description="About so many fewer, had each fifth the rate of the least deprived.")
    direction: _Direction
    sentence: str
    refusal: RefusalOf | None = Field(description="Of the slope: a share beside it may be shown.")
    source: SourceOf | None


class StandardisedRate(BaseModel):
    """A published rate of table T7."""

    contact_type: str
    imd_quintile: str = Field(description="`1` the most deprived.")
    rate: int | None = Field(description="Contacts per 1,000 residents, standardised for age. Null when hidden.")


class Standardised(BaseModel):
    """Age-standardised rates by fifth. No crude rate stands beside them; `crude` says why."""

    period: str
    rates: list[StandardisedRate]
    what: str
    crude: str
    source: SourceOf | None


class ReferenceOf(BaseModel):
    """What a share is compared with. Never 20%: no place has just that share of people in Core20 areas."""

    kind: Literal["others", "catchment"] = Field(description="All other units but itself, or residents.")
    name: str
    source: str
    date: str
    is_age_matched: bool = Field(description="Whether residents were weighted to the ages of those who came.")
    percent: Limits = Field(description="Its Core20 share; of residents the limits are the value.")


class ComparisonOf(BaseModel):
    """The Core20 share of a unit's first contacts in a financial year beside a reference. Either ratio or `refusal`."""

    period: str
    sentence: str
    share: PublishedShare
    reference: ReferenceOf | None
    ratio: RatioLimits | None = Field(description="The share over the reference's, with 95% limits.")
    refusal: RefusalOf | None
    source: SourceOf | None


class InequalityAnswer(BaseModel):
    """The most deprived fifth of areas (Core20) against the rest of England. Either numbers, or `refusal`."""

    measure: MeasureOf
    unit: UnitOf
    period: str
    sentence: str = Field(
        examples=[
            (
                "In the most deprived fifth of areas, 14 in 100 Respiratory Medicine appointments were missed; in other"
                " areas, 8 in 100; the gap is 6 points (4 to 8), in the quarter July to September 2026."
            )
        ]
    )
    direction: _Direction = Field(description="By the limits of the gap; null where there is no gap.")
    core20: PublishedShare
    rest: PublishedShare | None = Field(description="Null for `core20_share`, which has no gap.")
    absolute: Limits | None = Field(description="Core20 less the rest, in points, with 95% limits (Newcombe).")
    relative: RatioLimits | None = Field(description="Core20 over the rest, with 95% limits.")
    fewer: int | None = Field(
        description="About so many fewer in Core20 at the rate of the rest; only where the gap is certain."
    )
    refusal: RefusalOf | None
    fifths: FifthsOf | None = Field(description="The same by fifths, of a financial year that was over by then.")
    standardised: Standardised | None = Field(description="With `core20_share` of the whole organisation alone.")
    comparisons: list[ComparisonOf] = Field(
        description="With `core20_share` alone, of a financial year that was over by then: against all other units,"
        " then against the residents of the catchment. An equal share is not yet a fair share."
    )
    notes: list[str] = Field(description="What to mind, in sentences.")
    source: SourceOf | None


class RankedUnit(BaseModel):
    """One unit in a ranking."""

    unit: UnitOf
    percent: Limits = Field(description="Its gap in points, or its share in percent, with 99.8% limits.")
    size: int = Field(description="Contacts, or the effective number behind a difference.")
    stands_out: bool = Field(description="Beyond the 99.8% funnel.")


class RefusedUnit(BaseModel):
    """One unit without a figure."""

    unit: UnitOf
    refusal: RefusalOf


class FunnelAt(BaseModel):
    """Funnel limits at one size, in whole percent or points."""

    size: int
    lower95: int
    upper95: int
    lower998: int
    upper998: int


class RankingAnswer(BaseModel):
    """All units side by side, the largest value first. Either rows, or `refusal`."""

    measure: MeasureOf
    by: Literal["specialty"]
    period: str
    sentence: str
    centre: int | None = Field(description="The common gap, or the common share.")
    rows: list[RankedUnit]
    refused: list[RefusedUnit]
    funnel: list[FunnelAt]
    design_effect: float | None
    dispersion: float | None = Field(description="How many times the variance is what chance alone gives.")
    refusal: RefusalOf | None
    notes: list[str]
    source: SourceOf | None


class PointOf(BaseModel):
    """One period of a trend."""

    period: str
    value: int | None = Field(description="Whole points or percent; null where it cannot be shown.")
    suppressed: Literal["*", "w", "absent", "few"] | None = Field(
        description="Why it cannot be shown; `few`: a total under the least that a share may have."
    )
    flags: list[Literal["outside_limits", "shift", "trend", "near_limit"]]


class PhaseOf(BaseModel):
    """Process limits of the points from `start` up to, not with, `stop`: one edition of the index."""

    start: int
    stop: int
    mean: int | None
    lower: int | None
    upper: int | None
    is_trial: bool = Field(description="Fewer than 12 points: trial limits. Fewer than 8 bear no verdict.")
    edition: str


class TrendAnswer(BaseModel):
    """A gap or a share over time with process limits (XmR). A stock has neither limits nor flags nor a verdict."""

    measure: MeasureOf
    unit: UnitOf
    of: Literal["gap", "share"]
    sentence: str
    verdict: Verdict | None = Field(description="Null for a stock.")
    points: list[PointOf] = Field(description="At most 24, oldest first.")
    phases: list[PhaseOf] = Field(description="Worked out before rounding, from the points that are shown.")
    refusal: RefusalOf | None
    notes: list[str]
    source: SourceOf | None


CSV_COLUMNS: Final = (
    "period",
    "measure",
    "specialty",
    "rtt_group",
    "figure",
    "n",
    "total",
    "value",
    "lower_ci",
    "upper_ci",
    "suppressed",
    "flags",
    "refusal",
    "imd_edition",
    "synthetic",
)
"""The columns of both doors, in CSV. New ones are only ever added at the end."""


def inequality_rows(answer: InequalityAnswer) -> list[dict[str, Any]]:
    """A row for each figure: shares, gaps, fifths, indices, standardised rates, comparisons."""
    base = {"period": answer.period, **_of(answer.measure, answer.unit), **_from(answer.source)}
    said = {"refusal": answer.refusal.code} if answer.refusal else {}
    rows = [base | said | {"figure": "core20"} | _share(answer.core20)]
    if answer.rest is not None:
        rows.append(base | said | {"figure": "rest"} | _share(answer.rest))
        rows.append(base | said | {"figure": "absolute_gap"} | _limits(answer.absolute))
        rows.append(base | said | {"figure": "relative_gap"} | _limits(answer.relative))
    if found := answer.fifths:
        base |= {"period": found.period, **_from(found.source)}
        rows += [base | {"figure": f"fifth_{i}"} | _share(share) for i, share in enumerate(found.shares, 1)]
        said = {"refusal": found.refusal.code} if found.refusal else {}
        rows.append(base | said | {"figure": "slope_index"} | _limits(found.sii))
        rows.append(base | said | {"figure": "relative_index"} | _limits(found.rii))
    if rates := answer.standardised:
        base |= {"period": rates.period, **_from(rates.source)}
        rows += [
            base | {"figure": f"standardised_{r.contact_type}_fifth_{r.imd_quintile}", "value": r.rate}
            for r in rates.rates
        ]
    for i, one in enumerate(answer.comparisons, 1):
        # Others come first, and the organisation has none.
        kind = "catchment" if i == len(answer.comparisons) else "others"
        base |= {"period": one.period, **_from(one.source)}
        said = {"refusal": one.refusal.code} if one.refusal else {}
        rows.append(base | said | {"figure": f"compared_with_{kind}"} | _share(one.share))
        rows.append(base | said | {"figure": f"ratio_to_{kind}"} | _limits(one.ratio))
    return rows


def ranking_rows(answer: RankingAnswer) -> list[dict[str, Any]]:
    """A row for each unit, those without a figure last."""
    base = {"period": answer.period, "figure": "gap" if answer.measure.name != "core20_share" else "share"}
    base |= _from(answer.source)
    rows = [
        base
        | _of(answer.measure, row.unit)
        | {"total": row.size, "flags": "stands_out" if row.stands_out else None}
        | _limits(row.percent)
        for row in answer.rows
    ]
    return rows + [base | _of(answer.measure, one.unit) | {"refusal": one.refusal.code} for one in answer.refused]


def trend_rows(answer: TrendAnswer) -> list[dict[str, Any]]:
    """A row for each period; limits are those of its phase."""
    base = {"figure": answer.of, **_of(answer.measure, answer.unit), **_from(answer.source)}
    rows = []
    for i, point in enumerate(answer.points):
        phase = next((p for p in answer.phases if p.start <= i < p.stop), None)
        limits = {"lower_ci": phase.lower, "upper_ci": phase.upper, "imd_edition": phase.edition} if phase else {}
        said = {"value": point.value, "suppressed": point.suppressed, "flags": " ".join(point.flags)}
        rows.append(base | {"period": point.period} | limits | said)
    return rows


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as CSV that Excel reads rightly: a byte order mark, and months that it does not take for dates."""
    buffer = io.StringIO()
    buffer.write("\ufeff")
    writer = csv.writer(buffer)
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        period = row["period"]
        shown = row | {"period": period.replace("-", "-M") if periods.is_month(period) else period}
        values = [shown.get(name) for name in CSV_COLUMNS]
        writer.writerow(["" if v is None else str(v).lower() if isinstance(v, bool) else v for v in values])
    return buffer.getvalue()


def _of(measure: MeasureOf, unit: UnitOf) -> dict[str, Any]:
    group = unit.kind == "rtt_group"
    return {
        "measure": measure.name,
        "specialty": None if group else unit.code,
        "rtt_group": unit.code if group else None,
    }


def _from(source: SourceOf | None) -> dict[str, Any]:
    return {"imd_edition": source.edition, "synthetic": source.synthetic} if source else {}


def _share(share: PublishedShare) -> dict[str, Any]:
    return {"n": share.n, "total": share.total, "suppressed": share.suppressed, **_limits(share.percent)}


def _limits(limits: Limits | RatioLimits | None) -> dict[str, Any]:
    return {"value": limits.value, "lower_ci": limits.lower, "upper_ci": limits.upper} if limits else {}
