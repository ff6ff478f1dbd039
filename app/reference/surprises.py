"""What a new release must not do unnoticed: the limits of the gate before it becomes current, and what passed them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from app.reference.comparison import Comparison, EditionChanges


@dataclass(frozen=True, slots=True)
class Limit:
    """What is still taken without asking: a share, or 0 where nothing is."""

    most: float
    means: str  # what passing it may mean, for the operator
    because: str  # why it lies there


@dataclass(frozen=True, slots=True)
class Surprise:
    """A limit that was passed: its name, by which it is accepted, and a sentence that says by how much."""

    name: str
    sentence: str


# All limits are authored, for a release of the quarter after; those of shares leave room for a year that was missed.
# "Measured" is in benchmarks/RESULTS.md: quarters from 2010 on of 15 postcode areas, by the dates of introduction and
# termination in NSPL; and what moved in two of these areas in eight quarters, in thirteen in eleven, with the change to
# the areas of another census between.
LIMITS: Final = MappingProxyType(
    {
        "part": Limit(
            0,
            "Files of the directory are missing, and `--allow-part` was given.",
            "A release of the whole country is not replaced by one of a part of it by mistake.",
        ),
        "older": Limit(
            0,
            "An old file was named, or a mirror is stale.",
            "Data never goes back by an update; `imdlens data rollback` is for that.",
        ),
        "gone-back": Limit(
            0,
            "Somebody went back from this very release, and the update by timer would bring it again.",
            "What somebody took out of use is not brought back by a timer.",
        ),
        "nothing-compared": Limit(
            0,
            "The current release is damaged, or of another version of IMD Lens.",
            "Without a comparison nothing stands between a wrong file and the record.",
        ),
        "gone": Limit(
            0.001,
            "A part of the directory is missing or damaged; or another product (NSPL, ONSPD) holds fewer postcodes.",
            "ONS keeps ended postcodes, so next to none goes. A copy with a known defect lost 1.3% and"
            " 8.9% of the postcodes measured.",
        ),
        "new": Limit(
            0.01,
            "Quarters were missed; a nation or a part of the country was added.",
            "Measured: 0.16% in the middle quarter and 0.24% in the largest since 2010.",
        ),
        "terminated": Limit(
            0.01,
            "Quarters were missed; the column of termination is read wrongly.",
            "Measured: 0.10% in the middle quarter and 0.53% in the largest since 2010.",
        ),
        "revived": Limit(
            0.005,
            "The file has no column of termination, so that ended postcodes look live.",
            "Royal Mail uses an ended postcode again now and then, after years; how often is not measured.",
        ),
        "nation-size": Limit(
            0.02,
            "A nation was left out or put in, such as Northern Ireland, whose licence is another.",
            "New and ended postcodes together are far below it in each quarter measured.",
        ),
        "moved-nation": Limit(
            0.0001,
            "The column of country or district is read wrongly.",
            "Borders of nations do not move. Measured: 2 postcodes of 76,153 in eleven quarters.",
        ),
        "moved-lsoa": Limit(
            0.005,
            "Postcodes were placed anew in number, or the geography of a new census came.",
            "Measured: 0.21% in eight quarters, 0.40% in eleven.",
        ),
        "moved-lad": Limit(
            0.01,
            "Districts were reorganised, as most Aprils. Look whether the number fits what was announced, and accept.",
            "Measured: 8.6% where districts were reorganised between; otherwise as LSOAs.",
        ),
        "moved-icb": Limit(
            0.01,
            "Integrated care boards merged, or their codes changed. Look whether the number fits, and accept.",
            "Next to none moved in what was measured; boards are merged by announcement.",
        ),
        "lsoas": Limit(
            0.002,
            "The LSOAs of another census, or a part of the country that is missing or new.",
            "LSOAs change with a census alone; between them one appears or goes only with its first or last postcode.",
        ),
        "lost-codes": Limit(
            0.001,
            "A lookup file (LSOA 2011 to 2021, districts, boards) was given last time and not this time.",
            "A code that is known once is known later.",
        ),
        "lost-edition": Limit(
            0,
            "The file of an index of deprivation was given last time and not this time.",
            "Whoever reads an edition must not find it gone.",
        ),
        "changed-deciles": Limit(
            0,
            "A fault of IMD Lens or of its lookups. Do not accept it before its authors have explained it.",
            "An edition is published once: from the same files come the same deciles, ranks and domains.",
        ),
        "revised-edition": Limit(
            0,
            "The publisher corrected an edition, or the file is not what it seems. Read the publisher's notice first.",
            "A correction of a published edition changes what was said of patients, so a person decides.",
        ),
        "lost-deciles": Limit(
            0.001,
            "Areas are missing in a file of deprivation; area codes are missing in the directory.",
            "A postcode that had a decile has one later, in another area at most.",
        ),
        "coverage": Limit(
            0.005,
            "As for lost deciles, also of new postcodes.",
            "Of a nation's live postcodes 100% have a decile of its newest edition in every whole release measured.",
        ),
        "moved-deciles": Limit(
            0.005,
            "Postcodes were placed anew in number.",
            "Measured: 0.37% to 0.44% in eight quarters, 0.39% in eleven.",
        ),
        "core20": Limit(
            0.002,
            "Postcodes were placed anew in number; or the file of the edition changed.",
            "Measured: 0.16% to 0.20% in eight quarters, 0.08% to 0.09% in eleven.",
        ),
        "lost-context": Limit(
            0.01,
            "Census 2021 tables, or rural and urban, were given last time and not this time: add them with `--also`.",
            "What is told of an area must not become unknown by a forgotten file.",
        ),
    }
)


def surprises(found: Comparison, gone_back_from: str | None) -> list[Surprise]:
    """What passed a limit, most weighty first. `gone_back_from` is the release that `rollback` left, if any."""
    told: list[Surprise] = []
    for check in (_whole, _editions, _postcodes, _codes, _context):
        told += check(found)
    if found.after == gone_back_from and found.after != found.before:
        told.insert(0, Surprise("gone-back", f"{found.after} is the release that was gone back from."))
    return told


def nothing_compared(why: str) -> Surprise:
    """The surprise that the current release cannot be compared with."""
    return Surprise("nothing-compared", f"The current release cannot be compared with: {why}")


def _beyond(name: str, count: int, base: int, what: str, of: str) -> Iterator[Surprise]:
    """A surprise where a count is more than the limit's share of its base; any, where the limit is 0."""
    most = LIMITS[name].most
    if count > most * base:
        share = f", {count / base:.3%} of {base:,} {of}" if base else ""
        limit = f"at most {most:.2%} may be" if most else "none may be"
        yield Surprise(name, f"{count:,} {what}{share}; {limit}.")


def _whole(found: Comparison) -> Iterator[Surprise]:
    if found.part == (False, True):
        yield Surprise("part", f"{found.directories[1]} is a part of the country, and the current release is whole.")
    was, now = map(month, found.directories)
    if was and now and now < was:
        yield Surprise("older", f"{found.directories[1]} is older than {found.directories[0]}, which is current.")


def month(directory: str) -> tuple[int, int] | None:
    """Year and month of a postcode directory, by its name; None where it has none."""
    named = re.search(r"\b([A-Z][a-z]+) (\d{4})\b", directory)
    if named is None:
        return None
    try:
        when = datetime.strptime(named[0], "%B %Y")  # noqa: DTZ007 - a month
    except ValueError:
        return None
    return when.year, when.month


def _postcodes(found: Comparison) -> Iterator[Surprise]:
    changes = found.postcodes
    live = sum(place["live"].before for place in found.places.values())
    of = "postcodes of the current release"
    yield from _beyond("gone", changes.gone, changes.total.before, "postcodes are gone", of)
    yield from _beyond("new", changes.new, changes.total.before, "postcodes are new", of)
    yield from _beyond("terminated", changes.terminated, live, "postcodes are newly terminated", "live before")
    yield from _beyond("revived", changes.revived, changes.total.before, "terminated postcodes are live again", of)
    yield from _beyond("moved-nation", changes.moved_nation, changes.both, "postcodes lie in another nation", "in both")
    for nation, place in found.places.items():
        was, now = place["live"].before, place["live"].after
        if nation != "no nation known" and abs(now - was) > LIMITS["nation-size"].most * was:
            by = f"by {abs(now - was) / was:.2%}" if was else "from none"
            limit = f"{LIMITS['nation-size'].most:.2%}"
            sentence = (
                f"{nation} has {now:,} live postcodes and had {was:,}: changed {by}, where at most {limit} may be."
            )
            yield Surprise("nation-size", sentence)


def _codes(found: Comparison) -> Iterator[Surprise]:
    for kind, changes in found.codes.items():
        name = "moved-lsoa" if kind.startswith("lsoa") else f"moved-{kind}"
        yield from _beyond(name, changes.moved, found.postcodes.both, f"postcodes have another {kind} code", "in both")
        yield from _beyond(
            "lost-codes", changes.lost, found.postcodes.both, f"postcodes lost their {kind} code", "in both"
        )
        if kind.startswith("lsoa"):
            apart = changes.new + changes.gone
            yield from _beyond("lsoas", apart, changes.codes.before, f"{kind} codes are new or gone", "held before")


def _editions(found: Comparison) -> Iterator[Surprise]:
    checks: tuple[Callable[[str, EditionChanges], Iterator[Surprise]], ...] = (_published, _deciles, _core20)
    for name, edition in found.editions.items():
        if edition.held == (True, False):
            yield Surprise("lost-edition", f"{name} ({edition.nation}) is not in the new release.")
        elif all(edition.held):
            for check in checks:
                yield from check(name, edition)


def _published(name: str, edition: EditionChanges) -> Iterator[Surprise]:
    apart = f"{edition.deciles_changed:,} areas of {name} have another decile or rank, and {edition.domains_changed:,}"
    if edition.deciles_changed or edition.domains_changed:
        why = "though its files are the same" if edition.same_files else "and its files are others"
        surprise = "changed-deciles" if edition.same_files else "revised-edition"
        yield Surprise(surprise, f"{apart} another decile of a domain, {why}; of {edition.compared:,} areas none may.")


def _deciles(name: str, edition: EditionChanges) -> Iterator[Surprise]:
    had, covered, live = edition.both + edition.lost, edition.covered, edition.live
    yield from _beyond("lost-deciles", edition.lost, had, f"postcodes lost their decile of {name}", "that had one")
    what = f"postcodes have another decile of {name}"
    yield from _beyond("moved-deciles", edition.moved, edition.both, what, "with one in both")
    was, now = covered.before / (live.before or 1), covered.after / (live.after or 1)
    if was - now > LIMITS["coverage"].most:
        most = LIMITS["coverage"].most * 100
        sentence = f"{now:.1%} of {edition.nation}'s live postcodes have a decile of {name}, after {was:.1%};"
        yield Surprise("coverage", f"{sentence} it may fall by {most:g} points at most.")


def _core20(name: str, edition: EditionChanges) -> Iterator[Surprise]:
    changed = edition.into_core20 + edition.out_of_core20
    what = f"postcodes are in Core20 of {name} and were not, or the other way round"
    yield from _beyond("core20", changed, edition.both, what, "with a decile in both")


def _context(found: Comparison) -> Iterator[Surprise]:
    live = [sum(getattr(place["live"], when) for place in found.places.values()) for when in ("before", "after")]
    for name, known in found.context.items():
        was, now = known.before / (live[0] or 1), known.after / (live[1] or 1)
        if was - now > LIMITS["lost-context"].most:
            most = LIMITS["lost-context"].most * 100
            sentence = (
                f"{name} is known of {now:.1%} of live postcodes, after {was:.1%}; it may fall by {most:g} points"
            )
            yield Surprise("lost-context", f"{sentence} at most.")
