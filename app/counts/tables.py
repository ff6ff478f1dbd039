"""The closed list of tables that may be published, one grain each, and which figures a contact is counted in.

Pure. No table appears at another grain, and none is here that the seal audit does not know.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from app.context.inclusion import COUNTED, COUNTED_NEEDS
from app.counts.cells import NO_DECILE
from app.counts.vocabulary import Vocabulary, vocabulary

Period = Literal["month", "quarter", "year"]

ALL_OTHER: Final = "all_other"
ATTENDED_OR_NOT: Final = "attended_or_did_not_attend"
_DNA, _ATTENDED = "did_not_attend", "attended"
BY_PROVIDER: Final = "cancelled_by_provider"
FIRST: Final = "new"


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its period, and in words what it shows and leaves out."""

    name: str
    number: str
    period: Period
    shows: str  # goes on: "... in November 2026."
    leaves_out: str
    value: str  # what `value` is, or that there is none


TABLES: Final[Mapping[str, Table]] = {
    t.name: t
    for t in (
        Table(
            "specialty_core20",
            "T1",
            "month",
            "Contacts by specialty and by whether the home area is in the most deprived fifth of England (Core20)",
            "Contacts are counted, not people, whatever their outcome. Contacts without a decile (no postcode, outside"
            " England and so on) have a row of their own and are in no share.",
            "Share of the specialty's contacts with a decile, in whole percent with 95% Wilson limits, too narrow where"
            " people come often.",
        ),
        Table(
            "specialty_dna_core20",
            "T2",
            "quarter",
            "Appointments that patients did not attend by specialty, Core20 and the rest of England",
            "The denominator is attended plus did not attend; cancellations and contacts without a decile are left"
            " out. Under 16 it is 'was not brought'.",
            "Did not attend as a share of attended plus did not attend, in whole percent with 95% Wilson limits.",
        ),
        Table(
            "specialty_decile",
            "T3",
            "year",
            "Contacts by specialty and IMD decile (1 the most deprived)",
            "Contacts are counted, not people. Contacts without a decile have a row of their own.",
            "None.",
        ),
        Table(
            "specialty_dna_quintile",
            "T4",
            "year",
            "Appointments that patients did not attend, and contacts that the hospital cancelled, by specialty and IMD"
            " quintile (1 the most deprived)",
            "The denominator of did not attend is attended plus did not attend; that of cancelled by the provider is"
            " these and the cancelled together. Cancellations by patients and contacts without a decile are left out."
            " Under 16 it is 'was not brought'.",
            "Did not attend as a share of attended plus did not attend; cancelled by the provider as a share of these"
            " two and itself; both in whole percent with 95% Wilson limits.",
        ),
        Table(
            "specialty_sex", "T5", "year", "Contacts by specialty and sex", "Contacts are counted, not people.", "None."
        ),
        Table(
            "specialty_age",
            "T5",
            "year",
            "Contacts by specialty and age band",
            "Contacts are counted, not people.",
            "None.",
        ),
        Table(
            "organisation_outcome",
            "T6",
            "month",
            "Contacts of the whole organisation by IMD quintile and outcome",
            "Contacts are counted, not people. Contacts without a decile have rows of their own.",
            "None.",
        ),
        Table(
            "organisation_standardised",
            "T7",
            "year",
            "Contacts per 1,000 residents of the catchment, standardised for age to the European Standard Population"
            " 2013, by type and IMD quintile",
            "Rates only: no count is published here. Contacts are counted, not people. Contacts without a decile or an"
            " age are left out, and so is all when no population is loaded.",
            "Directly standardised rate per 1,000 residents, whole numbers.",
        ),
        Table(
            "organisation_under18_emergency",
            "T8",
            "year",
            "Emergency contacts of under-18s of the whole organisation by IMD quintile",
            "Contacts are counted, not people. Contacts without a decile have a row of their own.",
            "None.",
        ),
        Table(
            "organisation_ethnicity",
            "T9",
            "year",
            "Contacts of the whole organisation by ethnic category and IMD quintile",
            "Not stated, not known and not sent are kept apart. Contacts are counted, not people.",
            "None.",
        ),
        Table(
            "organisation_inclusion",
            "T9",
            "year",
            "Contacts of the whole organisation by inclusion-health group",
            "Only what the record says is counted: most people in these groups are not recorded as such.",
            "None.",
        ),
        Table(
            "organisation_access",
            "T9",
            "year",
            "Contacts of the whole organisation by access need",
            "Only what the record says is counted.",
            "None.",
        ),
        Table(
            "organisation_lad",
            "T9",
            "year",
            "Contacts of the whole organisation by local authority district of residence",
            "Districts without a contact are not listed. Contacts without a known district are left out.",
            "None.",
        ),
        Table(
            "waiting_list",
            "T10",
            "month",
            "People waiting at the end of the month by specialty, Core20 and length of wait",
            "A stock: never to be added over months. Over 52 weeks is part of over 18 weeks. Only a list that was"
            " declared complete is shown.",
            "Share of the people of this row's specialty and part (Core20, rest, no decile), in whole percent.",
        ),
        Table(
            "completeness",
            "T11",
            "month",
            "Contacts by sending client and what their postcode was",
            "Contacts that could not be counted are not here.",
            "None.",
        ),
        Table(
            "specialty_new_core20",
            "T12",
            "year",
            "First contacts by specialty and by whether the home area is in the most deprived fifth of England"
            " (Core20)",
            "Only contacts sent as first ones are counted, whatever their outcome: nearly people, but a first contact"
            " that is missed or cancelled and booked again is two. Those without a decile have a row of their own and"
            " are in no share.",
            "Share of the specialty's first contacts with a decile, in whole percent with 95% Wilson limits.",
        ),
    )
}


class Figure(NamedTuple):
    """What one published figure is of; empty where a dimension does not apply. The key of a row, and of a slot."""

    table: str
    period: str
    unit: str = ""  # a treatment function code, an RTT group code, `all_other`, or empty: the whole organisation
    contact_type: str = ""
    outcome: str = ""
    imd_decile: str = ""
    imd_quintile: str = ""
    core20: str = ""
    dimension: str = ""
    category: str = ""
    client: str = ""


CORE20_PARTS: Final = ("true", "false", NO_DECILE)
DECILES: Final = tuple(str(d) for d in range(1, 11))
QUINTILES: Final = tuple(str(q) for q in range(1, 6))
WAITS: Final = ("within_18_weeks", "over_18_weeks", "over_52_weeks")
STANDARDISED_TYPES: Final = ("elective", "emergency", "outpatient")
INCLUSION_GROUPS: Final = COUNTED
ACCESS_NEEDS: Final = COUNTED_NEEDS
STATUSES: Final = (
    "live",
    "terminated",
    "not_found",
    "malformed",
    "no_fixed_abode",
    "address_not_known",
    "country_only",
    "overseas",
    "forces",
    "crown_dependency",
)


def quintile_of(band: str) -> str:
    """The quintile of a band that is a decile, else `no_decile`."""
    return str((int(band) + 1) // 2) if band in DECILES else NO_DECILE


def core20_of(band: str) -> str:
    """`true`, `false` or `no_decile`, as text."""
    return NO_DECILE if band not in DECILES else "true" if int(band) <= 2 else "false"


class Units:
    """Which specialties have rows of their own in a year; each contact is in exactly one unit."""

    def __init__(self, own: Iterable[str]) -> None:
        self._own = frozenset(own)

    def of(self, specialty: str) -> str:
        """The treatment function code, else its RTT group, else `all_other`: the first with rows of its own."""
        if specialty in self._own:
            return specialty
        known = vocabulary().specialties.get(specialty)
        return known.rtt_group if known and known.rtt_group in self._own else ALL_OTHER

    def all(self) -> tuple[str, ...]:
        """Every unit, in the order of publication."""
        return (*sorted(self._own), ALL_OTHER)


def own_rows(contacts: Mapping[str, int], least: int) -> list[str]:
    """Specialties, and RTT groups of the others, with at least so many contacts in the year before."""
    known = vocabulary().specialties
    own = [s for s, n in contacts.items() if s in known and n >= least]
    groups: dict[str, int] = {}
    for specialty, n in contacts.items():
        if specialty in known and specialty not in own:
            groups[known[specialty].rtt_group] = groups.get(known[specialty].rtt_group, 0) + n
    return sorted(own) + sorted(g for g, n in groups.items() if n >= least)


# ---------------------------------------------------------------- the figures that contacts are counted in


def month_figures(month: str, unit: str, band: str, outcome: str) -> tuple[Figure, Figure]:
    """Of T1 and T6."""
    return (
        Figure("specialty_core20", month, unit, core20=core20_of(band)),
        Figure("organisation_outcome", month, outcome=outcome, imd_quintile=quintile_of(band)),
    )


def quarter_figures(quarter: str, unit: str, band: str, outcome: str) -> tuple[Figure | None, Figure | None]:
    """Of T2: did not attend, and its denominator."""
    if band not in DECILES or outcome not in (_DNA, _ATTENDED):
        return None, None
    core20 = core20_of(band)
    denominator = Figure("specialty_dna_core20", quarter, unit, outcome=ATTENDED_OR_NOT, core20=core20)
    return (denominator._replace(outcome=_DNA) if outcome == _DNA else None), denominator


def year_figures(
    year: str, unit: str, band: str, outcome: str
) -> tuple[Figure, Figure | None, Figure | None, Figure | None]:
    """Of T3, and of T4: did not attend, its denominator, and cancelled by the provider."""
    decile = Figure("specialty_decile", year, unit, imd_decile=band if band in DECILES else NO_DECILE)
    if band not in DECILES or outcome not in (_DNA, _ATTENDED, BY_PROVIDER):
        return decile, None, None, None
    said = Figure("specialty_dna_quintile", year, unit, outcome=outcome, imd_quintile=quintile_of(band))
    if outcome == BY_PROVIDER:
        return decile, None, None, said
    return decile, (said if outcome == _DNA else None), said._replace(outcome=ATTENDED_OR_NOT), None


def first_figure(year: str, unit: str, band: str) -> Figure:
    """Of T12."""
    return Figure("specialty_new_core20", year, unit, core20=core20_of(band), dimension="attendance", category=FIRST)


def grid(table: str, period: str, units: Units, clients: Iterable[str] = (), lads: Iterable[str] = ()) -> list[Figure]:
    """Every figure of a table in the order of its rows, so that nothing is shown by being absent."""
    words = vocabulary()
    make = _GRIDS[table]
    return make(Figure(table, period), units.all(), words, tuple(clients), tuple(lads))


def _with(base: Figure, units: Iterable[str], **parts: Iterable[str]) -> list[Figure]:
    figures = [base._replace(unit=unit) for unit in units]
    for name, values in parts.items():
        listed = tuple(values)
        figures = [f._replace(**{name: value}) for f in figures for value in listed]
    return figures


_PAIR: Final = (_DNA, ATTENDED_OR_NOT)
_QUINTILES_AND_NONE: Final = (*QUINTILES, NO_DECILE)
_Grid = Callable[[Figure, tuple[str, ...], Vocabulary, tuple[str, ...], tuple[str, ...]], list[Figure]]
_GRIDS: Final[Mapping[str, _Grid]] = {
    "specialty_core20": lambda b, u, *_: _with(b, u, core20=CORE20_PARTS),
    "specialty_dna_core20": lambda b, u, *_: _with(b, u, core20=CORE20_PARTS[:2], outcome=_PAIR),
    "specialty_decile": lambda b, u, *_: _with(b, u, imd_decile=(*DECILES, NO_DECILE)),
    "specialty_dna_quintile": lambda b, u, *_: _with(b, u, imd_quintile=QUINTILES, outcome=(*_PAIR, BY_PROVIDER)),
    "specialty_sex": lambda b, u, w, *_: _with(b._replace(dimension="sex"), u, category=w.sex_grid),
    "specialty_age": lambda b, u, w, *_: _with(b._replace(dimension="age_band"), u, category=w.age_grid),
    "organisation_outcome": lambda b, _u, w, *_: _with(
        b, ("",), imd_quintile=_QUINTILES_AND_NONE, outcome=w.outcome_grid
    ),
    "organisation_standardised": lambda b, *_: _with(b, ("",), contact_type=STANDARDISED_TYPES, imd_quintile=QUINTILES),
    "organisation_under18_emergency": lambda b, *_: _with(
        b._replace(contact_type="emergency", dimension="age_band", category="0-17"),
        ("",),
        imd_quintile=_QUINTILES_AND_NONE,
    ),
    "organisation_ethnicity": lambda b, _u, w, *_: _with(
        b._replace(dimension="ethnic_category"), ("",), imd_quintile=_QUINTILES_AND_NONE, category=w.ethnic_grid
    ),
    "organisation_inclusion": lambda b, *_: _with(b._replace(dimension="inclusion"), ("",), category=INCLUSION_GROUPS),
    "organisation_access": lambda b, *_: _with(b._replace(dimension="access"), ("",), category=ACCESS_NEEDS),
    "organisation_lad": lambda b, _u, _w, _c, lads: _with(b._replace(dimension="lad"), ("",), category=lads),
    "waiting_list": lambda b, u, *_: _with(b._replace(dimension="wait"), u, core20=CORE20_PARTS, category=WAITS),
    "completeness": lambda b, _u, _w, clients, _l: _with(
        b._replace(dimension="postcode_status"), ("",), client=clients, category=STATUSES
    ),
    "specialty_new_core20": lambda b, u, *_: _with(
        b._replace(dimension="attendance", category=FIRST), u, core20=CORE20_PARTS
    ),
}
