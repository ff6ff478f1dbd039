"""What is measured, and of whom: the measures of inequality, and the units that tables have rows for."""

import re
from collections.abc import Mapping
from typing import Final

from app.counts.published import name_of
from app.counts.tables import ALL_OTHER
from app.counts.vocabulary import vocabulary
from app.findings.findings import Measure, MeasureName, Unit

MEASURES: Final[Mapping[MeasureName, Measure]] = {
    m.name: m
    for m in (
        Measure("missed", "Missed appointments", "Missed in 100 appointments", "lower", is_stock=False),
        Measure(
            "cancelled_by_provider",
            "Cancelled by the hospital",
            "Cancelled by the hospital in 100 appointments",
            "lower",
            is_stock=False,
        ),
        Measure(
            "over_18_weeks", "Waiting over 18 weeks", "Over 18 weeks in 100 people waiting", "lower", is_stock=True
        ),
        Measure(
            "over_52_weeks", "Waiting over 52 weeks", "Over 52 weeks in 100 people waiting", "lower", is_stock=True
        ),
        Measure(
            "core20_share",
            "Contacts from the most deprived fifth of areas",
            "From the most deprived fifth of areas in 100 contacts",
            None,
            is_stock=False,
        ),
    )
}

ORGANISATION: Final = ""
"""The code of the whole organisation."""

# Authored: no list says which treatment functions are for children, but their names do.
_CHILDREN: Final = re.compile(
    r"\b(paediatrics?|child(ren)?|neonatal|neonates|newborn|infants?|bab(y|ies))\b", re.IGNORECASE
)


def unit_of(code: str) -> Unit:
    """The unit that rows with this code are of; an unknown code is its own name."""
    if code == ORGANISATION:
        return Unit(code, "The whole organisation", "organisation", is_for_children=False)
    if code == ALL_OTHER:
        return Unit(code, "All other specialties", "all_other", is_for_children=False)
    name = name_of(code) or code
    is_group = code in vocabulary().rtt_groups
    return Unit(code, name, "rtt_group" if is_group else "specialty", bool(_CHILDREN.search(name)))
