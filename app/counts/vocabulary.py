"""Every word that a count may be made of, from the versioned lists in `rules/`.

Pure data, read once and checked when first asked for. What the lists do not hold is counted as
`UNRECOGNISED`, and what was not sent as `ABSENT`; neither is a word that a caller can send.
"""

import csv
import math
import tomllib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from typing import Any, Final, NamedTuple

from app.context.core20plus5 import OLDEST

ABSENT: Final = "absent"
UNRECOGNISED: Final = "unrecognised"
NOT_STATED: Final = "not_stated"
NOT_KNOWN: Final = "not_known"

_TREATMENT_FUNCTIONS: Final = 178
_RTT_GROUPS: Final = 23

Row = Mapping[str, str]


class TreatmentFunction(NamedTuple):
    """A specialty: three digits, its name, and the code of the RTT group it is published under."""

    code: str
    name: str
    rtt_group: str


class EthnicCategory(NamedTuple):
    """One listed ethnic category. `value` is what is stored: `england:H`, `not_stated` or `not_known`."""

    value: str
    system: str
    code: str
    name: str
    high_level_group: str


@dataclass(frozen=True, slots=True)
class EthnicSystem:
    """The codes of one nation, each with the value that is stored for it."""

    values: Mapping[str, str]
    local_second_character: bool
    unrecognised: str

    def value_of(self, code: str) -> str | None:
        """The stored value of an upper-case code, or None if this system does not list it."""
        listed = self.values.get(code)
        if listed is None and self.local_second_character and len(code) == 2 and code.isascii() and code.isalnum():
            return self.values.get(code[0])
        return listed


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """The lists of one version. Mappings go from a code to its label or record, in the order of the lists.

    A grid is every value that a table may hold in that dimension, in the order in which it is shown: a
    table has a row for each, whether or not anything was counted in it.
    """

    version: str
    specialties: Mapping[str, TreatmentFunction]
    rtt_groups: Mapping[str, str]
    contact_types: Mapping[str, str]
    attendances: Mapping[str, str]
    modes: Mapping[str, str]
    outcomes: Mapping[str, str]
    sexes: Mapping[str, str]
    age_bands: tuple[str, ...]
    five_year_bands: tuple[str, ...]
    bands_of_age: tuple[tuple[str, str], ...]  # by age 0 to OLDEST: the broad band, the five-year band
    wait_bands: Mapping[str, str]
    wait_limits: tuple[float, ...]  # weeks, included in the band; the last band has none
    ethnic_systems: Mapping[str, EthnicSystem]
    ethnic_categories: Mapping[str, EthnicCategory]  # by stored value
    outcome_grid: tuple[str, ...]
    sex_grid: tuple[str, ...]
    age_grid: tuple[str, ...]
    ethnic_grid: tuple[str, ...]
    wait_grid: tuple[str, ...]


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """The lists that this version ships, read once. ValueError if they contradict themselves."""
    data = tomllib.loads(_text("vocabulary.toml"))
    return _compose(data, *(_rows(name) for name in ("treatment_functions", "rtt_groups", "ethnic_categories")))


def age_band(age: int) -> str:
    """The broad band, such as `40-64`, of an age in whole years. ValueError outside 0 to 130."""
    return _bands_of(age)[0]


def five_year_band(age: int) -> str:
    """The band for age standardisation, such as `50-54`, of an age in whole years. ValueError outside 0 to 130."""
    return _bands_of(age)[1]


def wait_band(weeks: float) -> str:
    """The band, such as `to_18`, of a wait in weeks; a band includes its upper limit. ValueError if not 0 or more."""
    if not 0 <= weeks < math.inf:  # also refuses NaN, which would be found within 18 weeks
        raise ValueError("a wait is a number of weeks, 0 or more")
    words = vocabulary()
    return words.wait_grid[bisect_left(words.wait_limits, weeks)]


def _bands_of(age: int) -> tuple[str, str]:
    if not 0 <= age <= OLDEST:  # a negative index would find the oldest
        raise ValueError(f"an age is 0 to {OLDEST}")
    return vocabulary().bands_of_age[age]


# -------------------------------------------------------------------------------- reading the lists


def _text(name: str) -> str:
    return resources.files("app.counts").joinpath("rules", name).read_text("utf-8")


def _rows(name: str) -> list[Row]:
    return list(csv.DictReader(_text(f"{name}.csv").splitlines()))


def _compose(
    data: Mapping[str, Any], functions: Sequence[Row], groups: Sequence[Row], ethnic: Sequence[Row]
) -> Vocabulary:
    rtt_groups = _rtt_groups(groups)
    broad, five_year = _listed(data["ages"]["broad"], "broad"), _listed(data["ages"]["five_year"], "five_year")
    categories = _ethnic_categories(ethnic, data["ethnic_systems"])
    systems = _ethnic_systems(categories, data["ethnic_systems"])
    waits = {band["code"]: band["label"] for band in data["wait_bands"]}
    outcomes, sexes = _labels(data, "outcomes"), _labels(data, "sexes")
    return Vocabulary(
        version=data["version"],
        specialties=_specialties(functions, rtt_groups),
        rtt_groups=rtt_groups,
        contact_types=_labels(data, "contact_types"),
        attendances=_labels(data, "attendances"),
        modes=_labels(data, "modes"),
        outcomes=outcomes,
        sexes=sexes,
        age_bands=broad,
        five_year_bands=five_year,
        bands_of_age=tuple(zip(_bands_by_age(broad), _bands_by_age(five_year), strict=True)),
        wait_bands=waits,
        wait_limits=_wait_limits(data["wait_bands"]),
        ethnic_systems=systems,
        ethnic_categories={category.value: category for category in categories},
        outcome_grid=(*outcomes, ABSENT),
        sex_grid=(*sexes, ABSENT),
        age_grid=(*broad, ABSENT),
        ethnic_grid=_ethnic_grid(categories, systems.values()),
        wait_grid=tuple(waits),
    )


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(f"the vocabulary is broken: {otherwise}")


def _listed(codes: Iterable[str], what: str) -> tuple[str, ...]:
    """The codes, of which there is at least one and none twice, and none that stands for something else."""
    listed = tuple(codes)
    _require(bool(listed), f"{what} is empty")
    _require(len(set(listed)) == len(listed), f"{what} holds a code twice")
    _require(not {ABSENT, UNRECOGNISED} & set(listed), f"{what} holds a reserved word")
    return listed


def _labels(data: Mapping[str, Any], name: str) -> dict[str, str]:
    return {code: data[name][code] for code in _listed(data[name], name)}


def _rtt_groups(rows: Sequence[Row]) -> dict[str, str]:
    codes = _listed((row["code"] for row in rows), "rtt_groups")
    _require(len(codes) == _RTT_GROUPS, f"there are not {_RTT_GROUPS} RTT groups")
    return {row["code"]: row["name"] for row in rows}


def _specialties(rows: Sequence[Row], groups: Mapping[str, str]) -> dict[str, TreatmentFunction]:
    codes = _listed((row["code"] for row in rows), "treatment_functions")
    _require(len(codes) == _TREATMENT_FUNCTIONS, f"there are not {_TREATMENT_FUNCTIONS} treatment functions")
    _require(
        all(row["rtt_group"] in groups for row in rows), "a treatment function has an RTT group that is not listed"
    )
    return {row["code"]: TreatmentFunction(row["code"], row["name"], row["rtt_group"]) for row in rows}


def _bands_by_age(bands: Sequence[str]) -> list[str]:
    """The band of every age, 0 to OLDEST, of bands that follow each other without gap or overlap."""
    by_age: list[str] = []
    for band in bands:
        first, _, last = band.removesuffix("+").partition("-")
        _require(int(first) == len(by_age), f"the age band {band} does not follow the one before")
        by_age += [band] * (int(last or OLDEST) - int(first) + 1)
    _require(len(by_age) == OLDEST + 1, f"the age bands do not end at {OLDEST}")
    return by_age


def _wait_limits(bands: Sequence[Mapping[str, Any]]) -> tuple[float, ...]:
    _listed((band["code"] for band in bands), "wait_bands")
    limits = tuple(float(band["up_to"]) for band in bands[:-1])
    _require("up_to" not in bands[-1], "the last wait band has a limit")
    _require(all(a < b for a, b in pairwise(limits)), "the wait bands are out of order")
    return limits


def _ethnic_categories(rows: Sequence[Row], systems: Mapping[str, Any]) -> tuple[EthnicCategory, ...]:
    _require(all(row["system"] in systems for row in rows), "an ethnic category has a system that is not listed")
    _listed((f"{row['system']}:{row['code']}" for row in rows), "ethnic_categories")
    return tuple(
        EthnicCategory(
            systems[row["system"]].get("counted_as", {}).get(row["code"], f"{row['system']}:{row['code']}"),
            *(row[column] for column in ("system", "code", "name", "high_level_group")),
        )
        for row in rows
    )


def _ethnic_systems(categories: Sequence[EthnicCategory], systems: Mapping[str, Any]) -> dict[str, EthnicSystem]:
    return {
        name: EthnicSystem(
            values={category.code: category.value for category in categories if category.system == name},
            local_second_character=systems[name].get("local_second_character", False),
            unrecognised=f"{name}:{UNRECOGNISED}",
        )
        for name in _listed(systems, "ethnic_systems")
    }


def _ethnic_grid(categories: Sequence[EthnicCategory], systems: Iterable[EthnicSystem]) -> tuple[str, ...]:
    findings = (NOT_STATED, NOT_KNOWN)
    values = {category.value for category in categories}
    _require(values.issuperset(findings), "no ethnic category is counted as not stated, or as not known")
    listed = (category.value for category in categories if category.value not in findings)
    return (*listed, *(system.unrecognised for system in systems), *findings, ABSENT)
