"""`GET /v1/inequality` and `GET /v1/trend`: measures of inequality, from published parts alone."""

from collections.abc import Callable, Sequence
from typing import Annotated, Final, Literal, TypeVar

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from pydantic_core import to_json

from app.context.catchment import Catchments
from app.contract.inequality import (
    ComparisonOf,
    FifthsOf,
    FunnelAt,
    InequalityAnswer,
    InequalityQuery,
    Limits,
    MeasureOf,
    PhaseOf,
    PointOf,
    PublishedShare,
    RankedUnit,
    RankingAnswer,
    RatioLimits,
    ReferenceOf,
    RefusalOf,
    RefusedUnit,
    SourceOf,
    Standardised,
    StandardisedRate,
    TrendAnswer,
    TrendQuery,
    UnitOf,
    as_csv,
    inequality_rows,
    ranking_rows,
    trend_rows,
)
from app.contract.problems import problems
from app.counting import options
from app.counts.parts import Published
from app.counts.published import NotPublishedError
from app.errors import Problem
from app.findings import words
from app.findings.asked import Naming, check_trend, period_of, period_of_ranking
from app.findings.fifths import fifths
from app.findings.findings import Comparison, Fifths, Measure, Ranking, Ratio, Refusal, Share, Source, Unit, Whole
from app.findings.gaps import gap
from app.findings.kinds import MEASURES, ORGANISATION
from app.findings.options import Options
from app.findings.overview import year_by
from app.findings.quality import quality
from app.findings.ranking import ranking
from app.findings.representation import comparisons
from app.findings.shares import core20_share, standardised
from app.findings.trends import trend
from app.routers.state import rules_of, settings_of
from app.routers.tagged import CSV, ask_store, tagged, wants_csv

router = APIRouter(prefix="/v1", tags=["inequality"])

_T = TypeVar("_T")
_MOST_PERIODS: Final = 12  # that a refusal names


@router.get(
    "/inequality",
    summary="The most deprived fifth of areas against the rest",
    response_model=InequalityAnswer | RankingAnswer,
    responses={200: {"content": {CSV: {"schema": {"type": "string"}}}}, 304: {}, **problems(404, 422, 429, 503)},
)
def read_inequality(request: Request, asked: Annotated[InequalityQuery, Query()]) -> Response:
    """Gaps with limits, shares by fifths with their slope, or all units side by side.

    From published tables alone: where a part is hidden or a share would be of too few, `refusal` says so in place of
    numbers. A gap says where to ask; it does not say why.
    """
    code, naming = _unit(asked.specialty, asked.rtt_group)
    if asked.by and naming:
        raise Problem(422, errors=[{"field": naming, "code": "not_with_by"}])
    said, catchments = options(settings_of(request)), rules_of(request).book.catchment

    def find(published: Published) -> InequalityAnswer | RankingAnswer:
        if asked.by:
            return _ranking(published, MEASURES[asked.measure], asked.period, said)
        period = period_of(published, asked.measure, code, naming, asked.period)
        if asked.measure == "core20_share":
            return _share_alone(published, code, period, said, catchments)
        return _gap(published, MEASURES[asked.measure], code, period, said)

    answer = _found(request, find)
    if wants_csv(request, asked.format):
        rows = ranking_rows(answer) if isinstance(answer, RankingAnswer) else inequality_rows(answer)
        return tagged(request, as_csv(rows).encode(), f"{CSV}; charset=utf-8", _named("inequality"))
    return _json(request, answer)


@router.get(
    "/trend",
    summary="A gap or a share over time",
    response_model=TrendAnswer,
    responses={200: {"content": {CSV: {"schema": {"type": "string"}}}}, 304: {}, **problems(404, 422, 429, 503)},
)
def read_trend(request: Request, asked: Annotated[TrendQuery, Query()]) -> Response:
    """Up to 24 periods with process limits (XmR), and a verdict in words. What is hidden is a gap in the line.

    By month; missed appointments of a specialty by quarter. Limits begin anew where areas are ranked by another
    edition. People waiting are a stock: no limits, no flags, no verdict.
    """
    code, naming = _unit(asked.specialty, asked.rtt_group)
    if asked.measure == "core20_share" and asked.of == "gap":
        raise Problem(422, words.no_gap_of_share(), errors=[{"field": "of", "code": "no_gap"}])
    said = options(settings_of(request))

    def find(published: Published) -> TrendAnswer:
        check_trend(published, asked.measure, code, naming)
        return _trend(published, MEASURES[asked.measure], code, asked.of or "gap", said)

    answer = _found(request, find)
    if wants_csv(request, asked.format):
        return tagged(request, as_csv(trend_rows(answer)).encode(), f"{CSV}; charset=utf-8", _named("trend"))
    return _json(request, answer)


def _unit(specialty: str | None, rtt_group: str | None) -> tuple[str, Naming | None]:
    if specialty is not None and rtt_group is not None:
        raise Problem(422, errors=[{"field": "rtt_group", "code": "not_with_specialty"}])
    if specialty is not None:
        return specialty, "specialty"
    return (rtt_group, "rtt_group") if rtt_group is not None else (ORGANISATION, None)


def _found(request: Request, find: Callable[[Published], _T]) -> _T:
    try:
        return ask_store(request, lambda counts: counts.find(find))
    except NotPublishedError as error:
        said = "Nothing is published there."
        if error.known:
            more = ", and more" if len(error.known) > _MOST_PERIODS else ""
            said += f" There is: {', '.join(error.known[:_MOST_PERIODS])}{more}."
        raise Problem(404, said, errors=[{"field": error.field, "code": "not_found"}]) from None


def _named(door: str) -> str:
    return f'attachment; filename="{door}.csv"'


def _json(request: Request, answer: BaseModel) -> Response:
    return tagged(request, to_json(answer), "application/json")


# ---------------------------------------------------------------- findings as they are answered


def _gap(published: Published, measure: Measure, code: str, period: str, said: Options) -> InequalityAnswer:
    found = gap(published, measure.name, code, period, said)
    year = None if measure.is_stock else year_by(published, period)
    return InequalityAnswer(
        measure=_measure(measure),
        unit=_whose(found.unit),
        period=period,
        sentence=found.sentence,
        direction=_direction(found.absolute),
        core20=_share(found.core20),
        rest=_share(found.rest),
        absolute=_whole(found.absolute),
        relative=_ratio(found.relative),
        fewer=found.fewer,
        refusal=_refusal(found.refusal),
        fifths=_fifths(published, fifths(published, measure.name, code, year, said)) if year else None,
        standardised=None,
        comparisons=[],
        notes=_notes(published, measure, found.unit, period, said),
        source=_source(published, found.source),
    )


def _share_alone(
    published: Published, code: str, period: str, said: Options, catchments: Catchments
) -> InequalityAnswer:
    measure = MEASURES["core20_share"]
    found = core20_share(published, code, period, said)
    year = year_by(published, period)
    against = comparisons(published, code, year, catchments, said) if year else ()
    return InequalityAnswer(
        measure=_measure(measure),
        unit=_whose(found.unit),
        period=period,
        sentence=found.sentence,
        direction=None,
        core20=_share(found.share),
        rest=None,
        absolute=None,
        relative=None,
        fewer=None,
        refusal=_refusal(found.refusal),
        fifths=None,
        standardised=_standardised(published, year) if year and code == ORGANISATION else None,
        comparisons=[_comparison(published, c) for c in against],
        notes=_notes(published, measure, found.unit, period, said),
        source=_source(published, found.source),
    )


def _comparison(published: Published, found: Comparison) -> ComparisonOf:
    reference = found.reference
    return ComparisonOf(
        period=found.period,
        sentence=found.sentence,
        share=_share(found.share),
        reference=ReferenceOf(
            kind=reference.kind,
            name=reference.name,
            source=reference.source,
            date=reference.date,
            is_age_matched=reference.is_age_matched,
            percent=Limits(**reference.share._asdict()),
        )
        if reference
        else None,
        ratio=_ratio(found.ratio),
        refusal=_refusal(found.refusal),
        source=_source(published, found.source),
    )


def _standardised(published: Published, year: str) -> Standardised | None:
    found = standardised(published, year)
    if found is None:
        return None
    return Standardised(
        period=year,
        rates=[
            StandardisedRate(contact_type=r.contact_type, imd_quintile=r.quintile, rate=r.rate.value)
            for r in found.rates
        ],
        what=found.what,
        crude=words.NO_CRUDE_RATE,
        source=_source(published, found.source),
    )


def _fifths(published: Published, found: Fifths) -> FifthsOf:
    return FifthsOf(
        period=found.period,
        shares=[_share(share) for share in found.shares],
        sii=_whole(found.sii),
        rii=_ratio(found.rii),
        fitted=list(found.fitted),
        fewer=found.fewer,
        direction=_direction(found.sii),
        sentence=found.sentence,
        refusal=_refusal(found.refusal),
        source=_source(published, found.source),
    )


def _ranking(published: Published, measure: Measure, period: str | None, said: Options) -> RankingAnswer:
    found = ranking(published, measure.name, period_of_ranking(published, measure.name, period), said)
    return RankingAnswer(
        measure=_measure(measure),
        by="specialty",
        period=found.period,
        sentence=found.sentence,
        centre=found.centre,
        rows=[
            RankedUnit(
                unit=_whose(row.unit), percent=Limits(**row.value._asdict()), size=row.size, stands_out=row.stands_out
            )
            for row in found.rows
        ],
        refused=[
            RefusedUnit(unit=_whose(unit), refusal=RefusalOf(code=refusal.code, sentence=refusal.sentence))
            for unit, refusal in found.refused
        ],
        funnel=[
            FunnelAt(size=at.size, lower95=at.lower95, upper95=at.upper95, lower998=at.lower998, upper998=at.upper998)
            for at in found.funnel
        ],
        design_effect=found.design_effect,
        dispersion=found.dispersion,
        refusal=_refusal(found.refusal),
        notes=_notes_of_ranking(found, said),
        source=_source(published, found.source),
    )


def _notes_of_ranking(found: Ranking, said: Options) -> list[str]:
    """Of first contacts the limits are never widened, whatever is configured."""
    contacts, *others = _general(found.measure, said)
    is_of_first = found.measure.name == "core20_share" and not found.refusal and found.design_effect is None
    return [words.FIRST_CONTACTS if is_of_first else contacts, *others]


def _trend(
    published: Published, measure: Measure, code: str, of: Literal["gap", "share"], said: Options
) -> TrendAnswer:
    found = trend(published, measure.name, code, said, of=of)
    return TrendAnswer(
        measure=_measure(measure),
        unit=_whose(found.unit),
        of=found.of,
        sentence=found.sentence,
        verdict=None if measure.is_stock else found.verdict,
        points=[
            PointOf.model_validate(
                {"period": p.period, "value": p.value, "suppressed": p.mark or None, "flags": p.flags}
            )
            for p in found.points
        ],
        phases=[
            PhaseOf(
                start=p.start,
                stop=p.stop,
                mean=p.mean,
                lower=p.lower,
                upper=p.upper,
                is_trial=p.is_trial,
                edition=p.edition,
            )
            for p in found.phases
        ],
        refusal=_refusal(found.refusal),
        notes=_general(measure, said, words.LIMITS_OVER_TIME),
        source=_source(published, found.source),
    )


def _direction(
    gap: Whole | None,
) -> Literal["more_in_most_deprived", "less_in_most_deprived", "not_certain"] | None:
    if gap is None:
        return None
    if gap.lower > 0:
        return "more_in_most_deprived"
    return "less_in_most_deprived" if gap.upper < 0 else "not_certain"


def _measure(measure: Measure) -> MeasureOf:
    return MeasureOf(
        name=measure.name, label=measure.label, axis=measure.axis, better=measure.better, is_stock=measure.is_stock
    )


def _whose(unit: Unit) -> UnitOf:
    return UnitOf(code=unit.code, name=unit.name, kind=unit.kind, is_for_children=unit.is_for_children)


def _share(share: Share) -> PublishedShare:
    return PublishedShare.model_validate(
        {"n": share.n, "total": share.total, "percent": _whole(share.percent), "suppressed": share.mark or None}
    )


def _whole(value: Whole | None) -> Limits | None:
    return None if value is None else Limits(**value._asdict())


def _ratio(value: Ratio | None) -> RatioLimits | None:
    return None if value is None else RatioLimits(**value._asdict())


def _refusal(refusal: Refusal | None) -> RefusalOf | None:
    return None if refusal is None else RefusalOf(code=refusal.code, sentence=refusal.sentence)


def _source(published: Published, source: Source | None) -> SourceOf | None:
    if source is None:
        return None
    named = {table.split(" ", 1)[-1] for table in source.tables}
    pages = [p for p in published.publications if p.table in named and p.period in source.periods]
    return SourceOf(
        tables=list(source.tables),
        periods=list(source.periods),
        edition=source.edition,
        sealed_at=source.sealed_at,
        rule=pages[-1].rule if pages else None,
        organisation=(pages[-1].organisation or None) if pages else None,
        synthetic=source.synthetic,
    )


def _general(measure: Measure, said: Options, of_contacts: str = "") -> list[str]:
    if measure.is_stock:
        return [words.IS_A_STOCK, words.NOT_KNOWN_IS_APART, words.ROUNDED_APART, words.ABOUT_AREAS]
    contacts = of_contacts or (words.CONTACTS_ARE_NOT_PEOPLE if said.design_effect is None else words.DESIGN_EFFECT)
    return [contacts, words.NOT_KNOWN_IS_APART, words.ROUNDED_APART, words.ABOUT_AREAS]


def _notes(published: Published, measure: Measure, unit: Unit, period: str, said: Options) -> Sequence[str]:
    notes = _general(measure, said)
    if measure.name == "missed":
        notes.append(words.BESIDE_CANCELLATIONS)
        if not unit.is_for_children:
            notes.append(words.CHILDREN)
    if not measure.is_stock:
        notes.append(quality(published, unit.code, period, said).sentence)
    return notes
