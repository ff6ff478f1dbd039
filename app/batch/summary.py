"""What became of a file's rows, as a data manager pastes it into a report.

Every row stands in one published part: a decile, or why it has none. All else is a sum of what is shown, so that no
two figures can be taken from each other to learn a small one. The only exception says how many postcodes are
terminated; see `_terminated`.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from app.batch.columns import Answer, Answers, Enricher
from app.counts.disclosure import SUPPRESSED, Rule
from app.lookup.deprivation import NATIONS

_FOUND: Final = "Found in the directory, no decile"
_WHY: Final = {
    "no_small_area": "England, small area not known",
    "edition_unknown": "England, decile not in this edition",
}
# That an address is withheld is protected: it is said with those not known.
_NOT_FOUND: Final = {
    "not_found": "A postcode's shape, not in the directory",
    "malformed": "No postcode, or none that can be read",
    "no_fixed_abode": "No fixed abode (pseudo-postcode)",
    "address_not_known": "Not known or withheld (pseudo-postcode)",
    "country_only": "Country only (pseudo-postcode)",
    "overseas": "Overseas (pseudo-postcode)",
    "forces": "British Forces",
    "crown_dependency": "Jersey, Guernsey or Isle of Man",
}
_SAME: Final = {"withheld": "address_not_known"}
_ENDS: Final = {1: " (most deprived)", 10: " (least deprived)"}
_IN_CORE20: Final = 2  # deciles 1 and 2


class Line(NamedTuple):
    """One figure as it is shown, and its share in percent; None where there is none to show."""

    name: str
    n: int | None
    share: float | None = None


class Section(NamedTuple):
    """Lines under one heading."""

    title: str
    lines: list[Line]


class Summary:
    """Observes a run: how many rows got which answer."""

    columns: Sequence[str] = ()

    def __init__(self, enricher: Enricher) -> None:
        self._enricher = enricher
        self._counts = np.zeros(0, np.int64)

    def observe(self, answers: Answers, column: Callable[[str], pa.Array]) -> None:
        """Count some rows."""
        counts = np.bincount(answers.number, minlength=len(self._counts))
        counts[: len(self._counts)] += self._counts
        self._counts = counts

    def _each(self) -> Iterator[tuple[Answer, int]]:
        return zip(self._enricher.answers, self._counts.tolist(), strict=False)

    def _parts(self) -> tuple[list[int], dict[str, int], dict[str, int]]:
        """Rows by decile, by why there is none though the postcode was found, and by why it was not."""
        deciles, found = [0] * 10, dict.fromkeys([*NATIONS[1:], *_WHY.values()], 0)
        missing = dict.fromkeys(_NOT_FOUND.values(), 0)
        for answer, n in self._each():
            if answer.imd_decile is not None:
                deciles[answer.imd_decile - 1] += n
            elif answer.postcode_status in ("live", "terminated"):
                nation = answer.country if answer.core20_reason == "not_in_england" else None
                found[nation or _WHY[answer.core20_reason or ""]] += n
            else:
                missing[_NOT_FOUND[_SAME.get(answer.postcode_status, answer.postcode_status)]] += n
        return deciles, found, missing

    def _terminated(self) -> int:
        return sum(n for answer, n in self._each() if answer.postcode_status == "terminated")

    def sections(self, rule: Rule | None) -> list[Section]:
        """Every figure; exact without a rule."""
        show: Callable[[int], int | None] = rule.published if rule else lambda n: n
        least = rule.least_denominator if rule else 1
        deciles, found, missing = self._parts()
        shown = [show(n) for n in deciles]
        core20 = _added(shown[:_IN_CORE20])
        known = _added(shown)
        no_decile = {name: show(n) for name, n in found.items() if n}
        others = {name: show(n) for name, n in missing.items()}
        matched = _in_all([*shown, *no_decile.values()])
        terminated = self._terminated()
        return [
            Section(
                "Decile",
                [
                    *(Line(f"{d}{_ENDS.get(d, '')}", n, _share(n, known, least)) for d, n in enumerate(shown, start=1)),
                    Line("Core20: 1 and 2 together", core20, _share(core20, known, least)),
                ],
            ),
            Section(_FOUND, [Line(name, n) for name, n in no_decile.items()]),
            Section("Not found, so not known", [Line(name, n) for name, n in others.items()]),
            Section(
                "Together",
                [
                    Line("Found in the directory", matched),
                    Line("Of these terminated, their last area taken", _beside(terminated, matched or 0, rule)),
                    Line("Not found", _in_all(others.values())),
                ],
            ),
        ]

    def text(self, rule: Rule, on: date, *, exact: bool = False) -> str:
        """The summary as lines of text. Disclosure-controlled, unless `exact`: for whoever made the file alone."""
        release, edition = self._enricher.index.release, self._enricher.rules.core20_edition
        starter = " (starter data only)" if release.starter else ""
        lines = [
            f"Deprivation of the rows of a file, {on.isoformat()}",
            f"Postcodes: {release.postcodes}{starter}, data {release.id}.",
            f"Deciles: {edition}, England; 1 is the most deprived.",
        ]
        if exact:
            lines.append("EXACT FIGURES: not to be shared.")
        else:
            lines.append(
                f"1 to {rule.suppress_up_to} are shown as {SUPPRESSED}, others to the nearest 5."
                " Sums and shares are made of what is shown."
            )
        for section in self.sections(None if exact else rule):
            if section.lines:
                lines += ["", section.title]
            for line in section.lines:
                share = "" if line.share is None else f"{line.share:.1f}%" if exact else f"{line.share:.0f}%"
                n = SUPPRESSED if line.n is None else f"{line.n:,}"
                lines.append(f"  {line.name:<50}{n:>12}{share:>8}".rstrip())
        return "\n".join([*lines, ""])


def _added(parts: Sequence[int | None]) -> int | None:
    """Their sum; None where one is hidden, or it could be told from the others."""
    return None if None in parts else sum(part or 0 for part in parts)


def _in_all(parts: Collection[int | None]) -> int | None:
    """The sum of the parts that are shown; None where all that there is is hidden, since 0 would say that none is."""
    return sum(part or 0 for part in parts) or (None if None in parts else 0)


def _share(n: int | None, whole: int | None, least: int) -> float | None:
    """Percent of a whole, made of what is shown; None where a part is hidden or the whole too small to say it."""
    return None if n is None or whole is None or whole < least else 100 * n / whole


def _beside(terminated: int, matched: int, rule: Rule | None) -> int | None:
    """How many postcodes are terminated: the one figure that overlaps with others.

    That it is at most the sum of the parts says nothing of any part while it is less than half of what is shown.
    """
    if rule is None:
        return terminated
    shown = rule.published(terminated)
    if shown == 0:
        return 0
    return shown if shown is not None and 2 * shown <= matched and matched >= rule.least_denominator else None
