"""What may be said of a small area besides its decile: its domains, some Census 2021 shares, rural or urban.

Every sentence is made once, when the rules are read: an area only picks from them.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
    never: str
    census: str  # where shares come from, in a sentence
    overall: tuple[AreaFact, ...]  # the index itself, as the domains are
    domains: Mapping[str, tuple[AreaFact, ...]]  # by decile less one, in the order in which they are shown
    measures: Mapping[str, tuple[AreaFact, ...]]  # by share 0 to 100, and FEW last
    rural: tuple[AreaFact, AreaFact]  # urban, rural
    _in_order: tuple[tuple[int, tuple[AreaFact, ...]], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Where each domain stands among DOMAINS."""
        places = {name: place for place, name in enumerate(DOMAINS)}
        object.__setattr__(self, "_in_order", tuple((places[d], said) for d, said in self.domains.items()))  # type: ignore[index]

    @classmethod
    def load(cls, folder: RuleFolder) -> "AreaRules":
        """The sentences of a folder; RuleFileError where something is missing."""
        words = ("gloss", "second", "never", "overall", "domain_more", "domain_less")
        table = folder.table("area.toml", (*words, "domain", "census", "measure", "rural"))
        domains = {}
        for d in table.each("domain", ("id", "name", "gloss")):
            domains[d.text("id")] = tuple(_domain(table, d, decile) for decile in range(1, 11))
        if set(domains) != set(DOMAINS):
            raise RuleFileError(f"{table.where}: its domains are not the seven of the index.")
        census = table.inner("census")
        measures = {}
        for m in table.each("measure", ("id", "name", "who", "england", "cut_points", "source")):
            measures[m.text("id")] = tuple(_share(census, m, share) for share in (*range(101), FEW))
        said = table.inner("rural")
        urban, rural = (
            AreaFact(kind, "rural", said.text("name"), None, said.text(kind)) for kind in ("urban", "rural")
        )
        overall = tuple(
            AreaFact("overall", "domain", table.text("overall"), None, _stands(table, table.text("overall"), d), d)
            for d in range(1, 11)
        )
        return cls(
            table.text("gloss"),
            table.text("second"),
            table.text("never"),
            census.text("edition"),
            overall,
            domains,
            measures,
            (urban, rural),
        )

    def facts(
        self,
        deciles: Sequence[int] | None,
        shares: Mapping[str, int | None],
        is_rural: bool | None,
    ) -> tuple[AreaFact, ...]:
        """What is known of an area: `deciles` as in DOMAINS, 0 not known; `shares` in percent, FEW or None."""
        facts = [said[d - 1] for place, said in self._in_order if (d := deciles[place])] if deciles else []
        for name, said in self.measures.items():
            if (share := shares.get(name)) is not None:
                facts.append(said[share])
        if is_rural is not None:
            facts.append(self.rural[is_rural])
        return tuple(facts)


def _domain(table: Table, domain: Table, decile: int) -> AreaFact:
    name = domain.text("name")
    sentence = _stands(table, name, decile)
    return AreaFact(domain.text("id"), "domain", name, domain.text("gloss"), sentence, decile=decile)


def _stands(table: Table, name: str, decile: int) -> str:
    side, n = ("more", 10 - decile) if decile <= 5 else ("less", decile - 1)
    return filled(table.text(f"domain_{side}"), f"{table.where}, domain_{side}", name=name, n=n)


def _share(census: Table, measure: Table, share: int) -> AreaFact:
    england, cuts = measure.number("england"), measure.numbers("cut_points")
    if len(cuts) != 9 or sorted(cuts) != list(cuts):
        raise RuleFileError(f"{measure.where}, cut_points: not nine in rising order.")
    measure.text("source")
    tenths = _tenths(share, cuts)
    values = {"who": measure.text("who"), "england": round(england)}
    if share == FEW:
        sentence = filled(census.text("few"), f"{census.where}, few", **values)
    elif share == 0:
        sentence = filled(census.text("least"), f"{census.where}, least", **values)
    elif tenths is None or tenths in (4, 5) or share == round(england):  # neither many nor few
        sentence = filled(census.text("plain"), f"{census.where}, plain", share=share, **values)
    else:
        side, n = ("more", tenths) if tenths >= 5 else ("less", 9 - tenths)
        sentence = filled(census.text(side), f"{census.where}, {side}", share=share, n=n, **values)
    known = {"few": True} if share == FEW else {"share": share}
    return AreaFact(measure.text("id"), "census", measure.text("name"), None, sentence, **known)


def _tenths(share: int, cuts: Sequence[float]) -> int | None:
    """How many tenths of areas have less, 0 to 9; None where rounding to whole percent leaves that open."""
    low, high = bisect_right(cuts, share - 0.5), bisect_right(cuts, share + 0.49)
    return bisect_right(cuts, share) if high - low <= 1 else None
