"""The gate before a release becomes current: compared with the one that is, and refused where it surprises."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.lookup.layout import IndexFileError, read_index
from app.reference.comparison import Comparison, compare
from app.reference.errors import ReferenceDataError
from app.reference.manifest import Manifest
from app.reference.releases import INDEX_FILE, current_index, named
from app.reference.surprises import LIMITS, Surprise, nothing_compared, surprises


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate found; `comparison` is None where there was nothing to compare with."""

    release: str
    comparison: Comparison | None
    surprises: tuple[Surprise, ...] = ()
    accepted: frozenset[str] = frozenset()

    @property
    def refused(self) -> tuple[Surprise, ...]:
        """The surprises that nobody accepted: with any of them the release does not become current."""
        return tuple(s for s in self.surprises if s.name not in self.accepted)

    @property
    def unchanged(self) -> bool:
        """The release is the current one, built again."""
        return self.comparison is not None and self.comparison.before == self.comparison.after

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "release": self.release,
            "surprises": [asdict(s) | {"accepted": s.name in self.accepted} for s in self.surprises],
            "comparison": self.comparison.as_json() if self.comparison else None,
        }


def judge(folder: Path, made: Path, manifest: Manifest, accepted: Collection[str] = ()) -> Verdict:
    """Compare a built release with the current one of a data folder.

    The first release of a folder has nothing before it, and starter data is nothing to compare with: what `build`
    checks of every release by itself stands alone then.
    """
    names = frozenset(accepted)
    try:
        before = current_index(folder).parent
        if read_index(before / INDEX_FILE).header["starter"]:
            return Verdict(made.name, None)
        found = compare(before, made, manifest)
    except (ReferenceDataError, IndexFileError) as error:
        first = named(folder, "current") is None
        return Verdict(made.name, None, () if first else (nothing_compared(str(error)),), names)
    return Verdict(made.name, found, tuple(surprises(found, named(folder, "previous"))), names)


def check_names(accepted: Collection[str]) -> None:
    """ReferenceDataError where what is to be accepted is no surprise that there is."""
    for name in accepted:
        if name not in LIMITS:
            raise ReferenceDataError(f"{name} is not the name of a surprise. There are: {', '.join(LIMITS)}.")
