"""One contact as the cells that it adds one to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from app.counts.contact import Contact
from app.counts.schema import KINDS, age_sex, completeness, flow, one_way, organisation_total
from app.enrichment import Standing
from app.lookup.deprivation import Core20Reason, Country, Status

Cell = tuple[int | str, ...]
"""The kind's place in KINDS, then the values of its key in the order of the table's columns."""

NO_DECILE: Final = "no_decile"
_FLOW, _ONE_WAY, _ORGANISATION, _AGE_SEX, _COMPLETENESS = map(
    KINDS.index, (flow, one_way, organisation_total, age_sex, completeness)
)


class Answered(Protocol):
    """What counting needs of an answer: a `Reading` of one postcode has it, and so has an answer of whole columns."""

    @property
    def postcode_status(self) -> Status:
        """What the postcode is."""

    @property
    def country(self) -> Country | None:
        """The nation, where it is known."""

    @property
    def core20_reason(self) -> Core20Reason | None:
        """Why there is no flag."""

    @property
    def editions(self) -> Mapping[str, Standing | None]:
        """The standing in each edition of the nation's."""


def band_of(answer: Answered, edition: str) -> tuple[str, str]:
    """(decile, quintile) in an edition as text, or (why there is none, `no_decile`)."""
    standing = answer.editions.get(edition) if answer.country == "England" else None
    if standing is not None:
        return str(standing.decile), str(standing.quintile)
    return answer.core20_reason or "edition_unknown", NO_DECILE


def cells_of(
    contact: Contact,
    answer: Answered,
    edition: str,
    client: str,
    groups: Iterable[tuple[str, str]] = (),
    lad: str | None = None,
) -> Sequence[Cell]:
    """The cells that one contact adds one to: six, always in this order, then its district and its groups."""
    month, specialty, kind = contact.month, contact.specialty, contact.type
    band, quintile = band_of(answer, edition)
    cells: list[Cell] = [
        (_FLOW, month, specialty, kind, contact.attendance, contact.outcome, edition, band),
        (_ONE_WAY, month, specialty, edition, quintile, "age_band", contact.age_band),
        (_ONE_WAY, month, specialty, edition, quintile, "ethnic_category", contact.ethnic_category),
        (_ONE_WAY, month, specialty, edition, quintile, "sex", contact.sex),
        (_AGE_SEX, month, kind, edition, quintile, contact.age_five, contact.sex),
        (_COMPLETENESS, month, client, answer.postcode_status),
    ]
    if lad is not None:
        cells.append((_ORGANISATION, month, "lad", lad))
    cells += [(_ORGANISATION, month, dimension, value) for dimension, value in groups]
    return cells
