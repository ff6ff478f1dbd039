"""Questions that help: three open cues for everybody, and optional follow-ups that the area only puts in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from app.context.files import RuleFileError, RuleFolder, Table
from app.lookup.deprivation import DOMAINS

AUDIENCES: Final = ("parent", "young_person", "adult")
_UNKNOWN: Final = 11  # after every decile


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """One question. `kind` is `cue` or `follow_up`; `topic` is the follow-up's."""

    id: str
    kind: str
    topic: str | None
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Prompts:
    """The questions of one version, by audience."""

    asked: Mapping[str, tuple[str, str | None]]  # by audience: what stands above the questions, and a note to them
    _audience_of_age: tuple[str, ...] = field(repr=False)
    _domains: tuple[tuple[int, ...], ...] = field(repr=False)  # of each follow-up, as places in DOMAINS
    _cues: Mapping[str, tuple[Prompt, ...]] = field(repr=False)
    _follow_ups: Mapping[str, tuple[Prompt, ...]] = field(repr=False)

    @classmethod
    def load(cls, folder: RuleFolder) -> "Prompts":
        """The questions of a folder; RuleFileError where one is missing, or crime would prompt one."""
        table = folder.table("prompts.toml", ("audience", "cue", "follow_up"))
        audiences = table.each("audience", ("id", "from_age", "to_age", "asked", "note"))
        cues = table.each("cue", ("id", *AUDIENCES))
        follow_ups = table.each("follow_up", ("id", "name", "domains", *AUDIENCES))
        if len(cues) != 3:
            raise RuleFileError(f"{table.where}: there are three cues, whoever is asked.")
        ordered_by = []
        for follow_up in follow_ups:
            domains = follow_up.words("domains", DOMAINS)
            if "crime" in domains:
                raise RuleFileError(f"{follow_up.where}, domains: crime in an area prompts no question.")
            ordered_by.append(tuple(DOMAINS.index(d) for d in domains))
        return cls(
            {a.text("id"): (a.text("asked"), a.optional("note")) for a in audiences},
            _audiences(table.where, audiences),
            tuple(ordered_by),
            {a: tuple(Prompt(c.text("id"), "cue", None, c.text(a)) for c in cues) for a in AUDIENCES},
            {
                a: tuple(Prompt(f.text("id"), "follow_up", f.text("name"), f.text(a)) for f in follow_ups)
                for a in AUDIENCES
            },
        )

    def audience(self, age: int | None) -> str:
        """Who is asked: a child's parent, a young person, or an adult; as an adult where the age is not known."""
        return "adult" if age is None else self._audience_of_age[min(age, len(self._audience_of_age) - 1)]

    def ask(self, age: int | None, deciles: tuple[int, ...] | None) -> tuple[Prompt, ...]:
        """Three cues, then every follow-up, the most deprived domains first. `deciles` as in DOMAINS, or None."""
        return self.ask_as(self.audience(age), deciles)

    def ask_as(self, audience: str, deciles: tuple[int, ...] | None) -> tuple[Prompt, ...]:
        """`ask` of an audience; KeyError where there is no such."""
        if deciles is None:
            return self.in_order(audience, range(len(self._domains)))
        return _ordered(self, audience, tuple([_most_deprived(domains, deciles) for domains in self._domains]))

    def in_order(self, audience: str, order: Sequence[int]) -> tuple[Prompt, ...]:
        """Three cues, then the follow-ups in this order."""
        follow_ups = self._follow_ups[audience]
        return (*self._cues[audience], *[follow_ups[place] for place in order])


def _most_deprived(domains: tuple[int, ...], deciles: Sequence[int]) -> int:
    if len(domains) == 1:
        return deciles[domains[0]] or _UNKNOWN
    return min([deciles[d] or _UNKNOWN for d in domains])


# What is kept is no area, only how its domains stand to each other.
@lru_cache(maxsize=8192)
def _ordered(prompts: Prompts, audience: str, stands: tuple[int, ...]) -> tuple[Prompt, ...]:
    """Cues, then follow-ups by how deprived their domains are; in the order of the file where that is alike."""
    return prompts.in_order(audience, sorted(range(len(stands)), key=stands.__getitem__))


def _audiences(where: str, audiences: list[Table]) -> tuple[str, ...]:
    """The audience of each age from 0; the last stands for all older."""
    ages: list[str] = []
    for audience in audiences:
        if audience.text("id") not in AUDIENCES or audience.whole("from_age", 0) != len(ages):
            raise RuleFileError(f"{audience.where}: the audiences are {', '.join(AUDIENCES)}, without gap or overlap.")
        ages += [audience.text("id")] * (audience.whole("to_age", len(ages)) + 1 - len(ages))
    if set(ages) != set(AUDIENCES):
        raise RuleFileError(f"{where}: the audiences are {', '.join(AUDIENCES)}, without gap or overlap.")
    return tuple(ages)
