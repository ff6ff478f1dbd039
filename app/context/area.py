"""What may be said of a small area besides its decile: its domains, some Census 2021 shares, rural or urban.

Every sentence is made once, when the rules are read: an area only picks from them.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.context.files import RuleFileError, RuleFolder, Table, filled
from app.lookup.deprivation import DOMAINS
from app.lookup.index import FEW


@dataclass(frozen=True, slots=True, eq=False)
class AreaFact:
    """One thing about an area, in a plain sentence. `decile` is a domain's; `share` is in whole percent."""

    id: str
    kind: str  # domain, census or rural
    name: str
    gloss: str | None
    sentence: str
    decile: int | None = None
    share: int | None = None
    few: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class AreaRules:
    """The sentences of one version."""

    gloss: str
    second: str
    domains: Mapping[str, tuple[AreaFact, ...]]  # by decile less one, in the order in which they are shown
    measures: Mapping[str, tuple[AreaFact, ...]]  # by share 0 to 100, and FEW last
    rural: tuple[AreaFact, AreaFact]  # urban, rural

    @classmethod
    def load(cls, folder: RuleFolder) -> "AreaRules":
        """The sentences of a folder; RuleFileError where something is missing."""
        keys = ("gloss", "second", "domain_more", "domain_less", "domain", "census", "measure", "rural")
        table = folder.table("area.toml", keys)
        domains = {}
        for d in table.each("domain", ("id", "name", "gloss")):
            domains[d.text("id")] = tuple(_domain(table, d, decile) for decile in range(1, 11))
        if set(domains) != set(DOMAINS):
            raise RuleFileError(f"{table.where}: its domains are not the seven of the index.")
        census = table.inner("census")
        measures = {}
        for m in table.each("measure", ("id", "name", "who", "england", "cut_points", "source")):
            measures[m.text("id")] = tuple(_share(census, m, share) for share in (*range(101), FEW))
        words = table.inner("rural")
        urban, rural = (
            AreaFact(kind, "rural", words.text("name"), None, words.text(kind)) for kind in ("urban", "rural")
        )
        return cls(table.text("gloss"), table.text("second"), domains, measures, (urban, rural))

    def facts(
        self,
        deciles: Sequence[int] | None,
        shares: Mapping[str, int | None],
        is_rural: bool | None,
    ) -> tuple[AreaFact, ...]:
        """What is known of an area: `deciles` as in DOMAINS, 0 not known; `shares` in percent, FEW or None."""
        facts = []
        if deciles is not None:
            known: dict[str, int] = dict(zip(DOMAINS, deciles, strict=True))
            facts = [said[d - 1] for name, said in self.domains.items() if (d := known[name])]
        for name, said in self.measures.items():
            if (share := shares.get(name)) is not None:
                facts.append(said[share])
        if is_rural is not None:
            facts.append(self.rural[is_rural])
        return tuple(facts)


def _domain(table: Table, domain: Table, decile: int) -> AreaFact:
    side, n = ("more", 10 - decile) if decile <= 5 else ("less", decile - 1)
    name = domain.text("name")
    sentence = filled(table.text(f"domain_{side}"), table.where, name=name, n=n)
    return AreaFact(domain.text("id"), "domain", name, domain.text("gloss"), sentence, decile=decile)


def _share(census: Table, measure: Table, share: int) -> AreaFact:
    cuts, england = measure.values.get("cut_points"), measure.values.get("england")
    if not isinstance(england, int | float) or not isinstance(cuts, list) or len(cuts) != 9 or sorted(cuts) != cuts:
        raise RuleFileError(f"{measure.where}: england is a percentage, and cut_points are nine in rising order.")
    measure.text("source")
    tenths = _tenths(share, cuts)
    if share == FEW:
        words = census.text("few")
    elif share == 0:
        words = census.text("least")
    elif tenths is None or tenths in (4, 5):  # neither many nor few: England's own share says enough
        words = census.text("plain")
    else:
        words = census.text("more" if tenths >= 5 else "less")
    n = tenths if tenths is None or tenths >= 5 else 9 - tenths
    sentence = filled(words, census.where, share=share, who=measure.text("who"), england=round(england), n=n)
    name = measure.text("name")
    if share == FEW:
        return AreaFact(measure.text("id"), "census", name, None, sentence, few=True)
    return AreaFact(measure.text("id"), "census", name, None, sentence, share=share)


def _tenths(share: int, cuts: list[float]) -> int | None:
    """How many tenths of areas have less, 0 to 9; None where rounding to whole percent leaves that open."""
    low, high = bisect_right(cuts, share - 0.5), bisect_right(cuts, share + 0.49)
    return bisect_right(cuts, share) if high - low <= 1 else None
