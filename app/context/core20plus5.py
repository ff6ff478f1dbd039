"""Clinical areas of Core20PLUS5 that a specialty meets, for adults and for children and young people.

Core20PLUS5 names no treatment function code: which leads to which is authored, and says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from app.context.files import RuleFileError, RuleFolder, Table

PROGRAMMES: Final = ("adult", "cyp")
STRENGTHS: Final = ("direct", "related", "weak")
_COLUMNS: Final = ("specialty", "programme", "area", "strength", "rationale")
OLDEST: Final = 130  # years; an age above it is taken for a mistake


@dataclass(frozen=True, slots=True, eq=False)
class ClinicalArea:
    """One clinical area as a specialty meets it. `strength` is direct, related or weak."""

    programme: str
    id: str
    name: str
    aim: str
    strength: str
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class Core20Plus5:
    """The areas of one version, by specialty and age."""

    always: str  # what runs through all areas of the adult programme
    _areas: Mapping[str, tuple[tuple[int, int, ClinicalArea], ...]] = field(repr=False)
    _each: Mapping[tuple[str, str, str], ClinicalArea] = field(repr=False)

    @classmethod
    def load(cls, folder: RuleFolder) -> "Core20Plus5":
        """The areas of a folder; RuleFileError where a specialty leads to none that there is."""
        table = folder.table("core20plus5.toml", ("always", "strength", "area"))
        strengths = table.texts("strength")
        if set(strengths) != set(STRENGTHS):
            raise RuleFileError(f"{table.where}, strength: must be {', '.join(STRENGTHS)}.")
        keys = ("programme", "id", "name", "from_age", "to_age", "aim")
        known = {(area.text("programme"), area.text("id")): area for area in table.each("area", keys)}
        each = {
            (*key, strength): _met(area, strength, why)
            for key, area in known.items()
            for strength, why in strengths.items()
        }
        areas: dict[str, list[tuple[int, int, ClinicalArea]]] = {}
        for row in folder.rows("core20plus5.csv", _COLUMNS):
            key = (row.choice("programme", PROGRAMMES), row.text("area"))
            if key not in known:
                raise row.wrong("area", "is none of core20plus5.toml")
            specialty = row.text("specialty")
            if not (len(specialty) == 3 and specialty.isdigit()):
                raise row.wrong("specialty", "is not a treatment function code of three digits")
            strength = row.choice("strength", STRENGTHS)
            row.text("rationale")
            met = areas.setdefault(specialty, [])
            if any((a.programme, a.id) == key for _, _, a in met):
                raise row.wrong("area", "stands twice for this specialty")
            met.append((known[key].whole("from_age", 0), known[key].whole("to_age", OLDEST), each[*key, strength]))
        for met in areas.values():
            met.sort(key=lambda m: STRENGTHS.index(m[2].strength))
        return cls(table.text("always"), {specialty: tuple(met) for specialty, met in areas.items()}, each)

    def areas(self, specialty: str | None, age: int | None) -> tuple[ClinicalArea, ...]:
        """The areas that a specialty meets at this age in years, the strongest first; none where one is not known."""
        if specialty is None or age is None:
            return ()
        return tuple(area for first, last, area in self._areas.get(specialty, ()) if first <= age <= last)

    def area(self, programme: str, name: str, strength: str) -> ClinicalArea | None:
        """One area by its names, None where there is no such."""
        return self._each.get((programme, name, strength))


def _met(area: Table, strength: str, why: str) -> ClinicalArea:
    return ClinicalArea(area.text("programme"), area.text("id"), area.text("name"), area.text("aim"), strength, why)


def read_specialty(value: Any) -> str | None:
    """A treatment function code as sent, if it has the shape of one: three digits. Never raises."""
    if type(value) is int and 100 <= value <= 999:
        return str(value)
    if isinstance(value, str) and len(code := value.strip()) == 3 and code.isascii() and code.isdigit():
        return code
    return None


def read_age(value: Any) -> int | None:
    """An age in whole years as sent, 0 to 130, else None. Never raises: a bad one is told where contacts are read."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and len(text := value.strip()) <= 3 and text.isascii() and text.isdigit():
        value = int(text)
    return value if type(value) is int and 0 <= value <= OLDEST else None
