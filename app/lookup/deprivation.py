"""Deciles, quintiles and the Core20 rule, and the reasons when there is none."""

from dataclasses import dataclass
from typing import Final, Literal

from app.lookup.postcode import Special

Country = Literal["England", "Wales", "Scotland", "Northern Ireland", "Guernsey", "Jersey", "Isle of Man"]
NATIONS: Final[tuple[Country, ...]] = ("England", "Wales", "Scotland", "Northern Ireland")

Domain = Literal["income", "employment", "education", "health", "crime", "barriers", "living_environment"]
# The seven domains of the English indices, in the order of their weight (IoD2025 technical report).
DOMAINS: Final[tuple[Domain, ...]] = (
    "income",
    "employment",
    "education",
    "health",
    "crime",
    "barriers",
    "living_environment",
)

# What a postcode is, once it was looked up.
Status = Literal["live", "terminated", "not_found", Special]

# Why Core20 is null: a status that is no area in the index, or one of these.
Core20Reason = Literal["not_found", Special, "not_in_england", "no_small_area", "edition_unknown"]


@dataclass(frozen=True, slots=True, eq=False)
class Edition:
    """One publication of one nation's index of deprivation, as an index file holds it."""

    id: str
    nation: Country
    computed: bool  # its deciles come from ranks, not from a published decile


def quintile(decile: int) -> int:
    """Decile 1 to 10 (1 the most deprived) to fifth 1 to 5: each fifth is two deciles."""
    return (decile + 1) // 2


def in_core20(decile: int) -> bool:
    """Core20 is the most deprived 20% of the national population: deciles 1 and 2 (NHS England)."""
    return decile <= 2
