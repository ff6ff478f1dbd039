"""The sentence about the area, in the words of `rules/summaries.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Self

from app.lookup.deprivation import Country, Status
from app.lookup.postcode import Problem


@dataclass(frozen=True, slots=True)
class Summaries:
    """The sentences of one version."""

    version: str
    decile: Mapping[str, str]
    no_decile: Mapping[str, str]

    @classmethod
    def load(cls) -> Self:
        """The sentences that this version ships."""
        data = tomllib.loads(resources.files("app.context.rules").joinpath("summaries.toml").read_text("utf-8"))
        return cls(data["version"], data["decile"], data["no_decile"])

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
        return sentence + self.decile["outside_england"] if abroad else sentence
