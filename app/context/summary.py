"""The sentence about the area, in the words of `rules/summaries.toml`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_args

from app.context.files import RuleFileError, RuleFolder, Table, filled
from app.lookup.deprivation import Core20Reason, Country, Status
from app.lookup.postcode import Problem

_DECILE: Final = {
    "more",
    "less",
    "terminated_more",
    "terminated_less",
    "not_home_more",
    "not_home_less",
    "outside_england",
}
_LONGEST: Final = 140  # characters: what is read at a glance, and what a card of CDS Hooks holds
_ELSEWHERE: Final = {"not_in_england", "crown_dependency"}
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
        core20 = _complete(table, "core20", {"yes", "no", "unknown", "elsewhere", "edition"})
        reasons = _complete(table, "core20_reason", set(get_args(Core20Reason)))
        editions = {
            e.text("id"): filled(core20["edition"], e.where, title=e.text("title"), published=e.text("published"))
            for e in table.each("edition", ("id", "title", "published"))
        }
        for name, sentence in decile.items():
            values = {} if name == "outside_england" else {"n": 1, "where": "Northern Ireland"}
            _fits(filled(sentence, f"{table.where}, {name}", **values), f"{table.where}, {name}")
        for name, sentence in no_decile.items():
            values = {"where": "Northern Ireland"} if name == "live_outside_england" else {}
            _fits(filled(sentence, f"{table.where}, {name}", **values), f"{table.where}, {name}")
        return cls(folder.files[-1].version, decile, no_decile, core20, reasons, editions)

    def core20_heading(self, core20: bool | None, reason: Core20Reason | None) -> str:
        """Whether an area is in Core20, that it is not known, or that Core20 is not for it."""
        if core20 is None:
            return self.core20["elsewhere" if reason in _ELSEWHERE else "unknown"]
        return self.core20["yes" if core20 else "no"]

    def core20_detail(self, edition: str, reason: Core20Reason | None) -> str:
        """Why it is not known; where it is, which edition says so and when that was published."""
        return self.core20_reason[reason] if reason else self.editions.get(edition, edition)

    def sentence(
        self,
        status: Status,
        country: Country | None,
        decile: int | None,
        problem: Problem | None,
        *,
        is_home: bool = True,
    ) -> str:
        """One sentence, under 140 characters, about the area; `decile` is that of the country's own index."""
        abroad = country is not None and country != "England"
        if decile is None:
            if status == "live" and abroad:
                return self.no_decile["live_outside_england"].format(where=country)
            return self.no_decile["empty" if problem == "empty" else status]
        old = "terminated_" if status == "terminated" else "" if is_home else "not_home_"
        side, n = ("more", 10 - decile) if decile <= 5 else ("less", decile - 1)
        sentence = self.decile[old + side].format(n=n, where=country)
        return f"{sentence} {self.decile['outside_england']}" if abroad else sentence


def _complete(table: Table, key: str, names: set[str]) -> dict[str, str]:
    texts = table.texts(key)
    if missing := sorted(names - set(texts)):
        raise RuleFileError(f"{table.where}, {key}: there is no sentence for {', '.join(missing)}.")
    return texts


def _fits(sentence: str, where: str) -> None:
    if len(sentence) > _LONGEST:
        raise RuleFileError(f"{where}: longer than {_LONGEST} characters.")
