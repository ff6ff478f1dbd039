"""What to offer when an appointment is booked: the same to everybody, whatever the area."""

from dataclasses import dataclass
from typing import Final

from app.context.files import RuleFileError, RuleFolder

OFFERS: Final = ("travel", "time", "interpreter", "format")
_LONGEST: Final = 139  # characters: a card of CDS Hooks holds fewer than 140


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """One thing to offer."""

    id: str
    name: str
    sentence: str


@dataclass(frozen=True, slots=True, eq=False)
class Offers:
    """The offers of one version."""

    summary: str
    everybody: str  # that they are for every patient
    needed: str  # said where the record asks for an interpreter
    each: tuple[Offer, ...]

    @classmethod
    def load(cls, folder: RuleFolder) -> "Offers":
        """The offers of a folder; RuleFileError where one is missing or the summary is too long for a card."""
        table = folder.table("offers.toml", ("summary", "everybody", "needed", "offer"))
        each = tuple(
            Offer(o.text("id"), o.text("name"), o.text("sentence"))
            for o in table.each("offer", ("id", "name", "sentence"))
        )
        if tuple(offer.id for offer in each) != OFFERS:
            raise RuleFileError(f"{table.where}: its offers are {', '.join(OFFERS)}.")
        summary = table.text("summary")
        if len(summary) > _LONGEST:
            raise RuleFileError(f"{table.where}, summary: longer than {_LONGEST} characters.")
        return cls(summary, table.text("everybody"), table.text("needed"), each)
