"""The sentence about the area, in the words of `rules/summaries.toml`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_args

from app.context.files import RuleFileError, RuleFolder, Table, filled
from app.lookup.deprivation import Core20Reason, Country, Status
from app.lookup.postcode import Problem

_DECILE: Final = {"more", "less", "terminated_more", "terminated_less", "outside_england"}
_NO_DECILE: Final = {"live_outside_england", "empty", *get_args(Status)}


@dataclass(frozen=True, slots=True)
class Summaries:
    """The sentences of one version."""

    version: str
    decile: Mapping[str, str]
    no_decile: Mapping[str, str]
    core20: Mapping[str, str]  # yes, no, unknown
    core20_reason: Mapping[str, str]
    editions: Mapping[str, str]  # which edition Core20 is read from, in a sentence

    @classmethod
    def load(cls, folder: RuleFolder | None = None) -> "Summaries":
        """The sentences of a folder; RuleFileError where one is missing."""
        folder = folder or RuleFolder()
        table = folder.table("summaries.toml", ("decile", "no_decile", "core20", "core20_reason", "edition"))
        decile, no_decile = _complete(table, "decile", _DECILE), _complete(table, "no_decile", _NO_DECILE)
        core20 = _complete(table, "core20", {"yes", "no", "unknown", "edition"})
        reasons = _complete(table, "core20_reason", set(get_args(Core20Reason)))
        editions = {
            e.text("id"): filled(core20["edition"], e.where, title=e.text("title"), published=e.text("published"))
            for e in table.each("edition", ("id", "title", "published"))
        }
        for name, sentence in (decile | no_decile).items():
            filled(sentence, f"{table.where}, {name}", n=1, where="England")
        return cls(folder.files[-1].version, decile, no_decile, core20, reasons, editions)

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


def _complete(table: Table, key: str, names: set[str]) -> dict[str, str]:
    texts = table.texts(key)
    if missing := sorted(names - set(texts)):
        raise RuleFileError(f"{table.where}, {key}: there is no sentence for {', '.join(missing)}.")
    return texts
