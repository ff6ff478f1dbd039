"""The sentence about the area, in the words of `rules/summaries.toml`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_args

from app.context.files import RuleFileError, RuleFolder
from app.lookup.deprivation import Country, Status
from app.lookup.postcode import Problem

_DECILE: Final = {"more", "less", "terminated_more", "terminated_less", "outside_england"}
_NO_DECILE: Final = {"live_outside_england", "empty", *get_args(Status)}


@dataclass(frozen=True, slots=True)
class Summaries:
    """The sentences of one version."""

    version: str
    decile: Mapping[str, str]
    no_decile: Mapping[str, str]

    @classmethod
    def load(cls, folder: RuleFolder | None = None) -> "Summaries":
        """The sentences of a folder; RuleFileError where one is missing."""
        folder = folder or RuleFolder()
        table = folder.table("summaries.toml", ("decile", "no_decile"))
        decile, no_decile = table.texts("decile"), table.texts("no_decile")
        missing = sorted((_DECILE - set(decile)) | (_NO_DECILE - set(no_decile)))
        if missing:
            raise RuleFileError(f"{table.where}: there is no sentence for {', '.join(missing)}.")
        for name, sentence in (decile | no_decile).items():
            try:
                sentence.format(n=1, where="England")
            except (KeyError, IndexError, ValueError):
                raise RuleFileError(f"{table.where}, {name}: its places to fill in are {{n}} and {{where}}.") from None
        return cls(folder.files[-1].version, decile, no_decile)

    def sentence(self, status: Status, country: Country | None, decile: int | None, problem: Problem | None) -> str:
        """One sentence, under 140 characters, about the area; `decile` is that of the country's own index."""
        abroad = country is not None and country != "England"
        if decile is None:
            if status == "live" and abroad:
                return self.no_decile["live_outside_england"].format(where=country)
            return self.no_decile["empty" if problem == "empty" else status]
        old = "terminated_" if status == "terminated" else ""
        side, n = ("more", 10 - decile) if decile <= 5 else ("less", decile - 1)
        sentence = self.decile[old + side].format(n=n, where=country)
        return f"{sentence} {self.decile['outside_england']}" if abroad else sentence
