"""Shares of published tables, from their published parts and nothing else, in whole percent."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from app.counts.disclosure import Rule
from app.counts.tables import ATTENDED_OR_NOT, BY_PROVIDER, CORE20_PARTS, Figure
from app.inequality.measures import wilson


class Share(NamedTuple):
    """A share and its 95% limits, all in whole percent; None where it may not or cannot be said."""

    value: int | None = None
    lower: int | None = None
    upper: int | None = None


_NONE: Final = Share()
_DNA: Final = "did_not_attend"


def share(figure: Figure, shown: Mapping[Figure, int | None], rule: Rule) -> Share:
    """The share that stands beside a figure. `shown` holds every published figure, None where it is hidden."""
    if figure.table in ("specialty_core20", "specialty_new_core20") and figure.core20 in CORE20_PARTS[:2]:
        parts = [shown[figure._replace(core20=part)] for part in CORE20_PARTS[:2]]
        return _part(shown[figure], parts, rule, limits=True)
    if figure.table in ("specialty_dna_core20", "specialty_dna_quintile") and figure.outcome == _DNA:
        return _part(shown[figure], [shown[figure._replace(outcome=ATTENDED_OR_NOT)]], rule, limits=True)
    if figure.table == "specialty_dna_quintile" and figure.outcome == BY_PROVIDER:
        parts = [shown[figure], shown[figure._replace(outcome=ATTENDED_OR_NOT)]]
        return _part(shown[figure], parts, rule, limits=True)
    if figure.table == "waiting_list":
        parts = [shown[figure._replace(category=c)] for c in ("within_18_weeks", "over_18_weeks")]
        return _part(shown[figure], parts, rule, limits=False)
    return _NONE


def _part(part: int | None, whole: list[int | None], rule: Rule, *, limits: bool) -> Share:
    """A part of a whole that is the sum of published parts; refused when any of them is hidden or the sum is small."""
    known = [n for n in whole if n is not None]
    total = sum(known)
    if part is None or len(known) < len(whole) or total < rule.least_denominator or part > total:
        return _NONE
    if not limits:
        return Share(round(100 * part / total))
    lower, upper = wilson(part, total)
    return Share(round(100 * part / total), round(100 * lower), round(100 * upper))
