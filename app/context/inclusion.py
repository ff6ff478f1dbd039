"""Inclusion-health groups and access needs, from the signals that a record holds.

Pure, and on the path of every request with signals. What was sent is read in memory and forgotten; a code
whose rule does not match is dropped unread. Nothing that was sent is repeated in a notice.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple, get_args

from app.context.files import Row, RuleFileError, RuleFolder
from app.context.notices import Notice
from app.context.signals import FLAGS, ROLE, SNOMED, SYSTEMS, Key, normal, read_signals
from app.lookup.deprivation import Status

STRENGTHS: Final = ("direct", "indirect", "related", "weak", "outdated", "never")
# Never shown and never counted, whatever a rules file says: being known for it can cost a person their safety.
NEVER: Final = frozenset({"sex_work", "refuge", "immigration_detention", "modern_slavery"})
# Never read, whatever a rules file says and whatever it would lead to: refuge, sex work, immigration detention, and a
# word that can only harm.
NEVER_READ: Final = frozenset(
    {
        *(("snomed", code) for code in ("864131000000100", "449344001", "159799000", "159800001", "160702009")),
        ("accommodation_status", "REFUGE"),
        ("setting_role", "RO251"),
    }
)
# The one status that says something of a person: whatever else is amiss with a postcode is missing data.
HOMELESS_STATUS: Final = "no_fixed_abode"
# The groups that a published table has a row for: each went through the audit of what is published.
COUNTED: Final = ("homelessness", "drugs_and_alcohol", "vulnerable_migrant", "gypsy_roma_traveller", "justice")
COUNTED_NEEDS: Final = ("interpreter",)

_COLUMNS: Final = (
    "signal", "system", "code", "term", "leads_to", "match", "display", "count", "strength", "note", "source",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """An inclusion-health group. `sentence` must not be overheard."""

    id: str
    name: str
    sentence: str


@dataclass(frozen=True, slots=True, eq=False)
class Need:
    """An access need: not an inclusion group. `count_as` is the published table's row, None where it has none."""

    id: str
    name: str
    sentence: str
    count_as: str | None
    instead_of: str | None  # the general need that this one says more exactly


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """What one signal leads to."""

    signal: str
    system: str
    code: str
    term: str
    leads_to: str  # id of a group or an access need
    match: bool  # read at all
    display: bool  # may be shown to whoever may see groups
    count: bool  # may be counted, by organisation
    strength: str
    note: str
    source: str


class Included(NamedTuple):
    """What the signals of one record say."""

    needs: tuple[Need, ...]
    groups: tuple[Group, ...]  # to be shown to callers with the scope `inclusion` only
    private_summary: str | None  # must not be overheard
    counted: tuple[tuple[str, str], ...]  # (dimension, value) of the published tables
    problems: tuple[Notice, ...]  # values that were bad


NOTHING: Final = Included((), (), None, (), ())


@dataclass(frozen=True, slots=True, eq=False)
class Inclusion:
    """The rules of one version."""

    groups: Mapping[str, Group]
    needs: Mapping[str, Need]
    rules: tuple[Rule, ...]
    no_fixed_abode: str
    _matched: Mapping[Key, Rule] = field(repr=False)
    _rows: Mapping[str, tuple[str, str]] = field(init=False, repr=False)  # of the published tables, by group or need
    silent: Mapping[Status, Included] = field(init=False, repr=False)  # what a record without signals says

    def __post_init__(self) -> None:
        """What each status says by itself, once."""
        rows = {name: ("inclusion", name) for name in self.groups}
        rows |= {name: ("access", need.count_as or "") for name, need in self.needs.items()}
        object.__setattr__(self, "_rows", rows)
        silent: dict[Status, Included] = dict.fromkeys(get_args(Status), NOTHING)
        if rule := self._matched.get(("postcode_status", "", HOMELESS_STATUS)):
            silent[HOMELESS_STATUS] = self.said([rule], HOMELESS_STATUS)
        object.__setattr__(self, "silent", silent)

    @classmethod
    def load(cls, folder: RuleFolder) -> "Inclusion":
        """The rules of a folder; RuleFileError where they contradict themselves or show what must never be."""
        table = folder.table("inclusion.toml", ("group", "access_need"))
        groups, no_fixed_abode = {}, ""
        for g in table.each("group", ("id", "name", "sentence", "no_fixed_abode")):
            groups[g.text("id")] = Group(g.text("id"), g.text("name"), g.text("sentence"))
            no_fixed_abode = g.optional("no_fixed_abode") or no_fixed_abode
        if not no_fixed_abode:
            raise RuleFileError(f"{table.where}: no group has a sentence for no_fixed_abode.")
        needs = {}
        for n in table.each("access_need", ("id", "name", "sentence", "count_as", "instead_of")):
            if (count_as := n.optional("count_as")) not in (None, *COUNTED_NEEDS):
                raise RuleFileError(f"{n.where}, count_as: the published table has no such row.")
            needs[n.text("id")] = Need(
                n.text("id"), n.text("name"), n.text("sentence"), count_as, n.optional("instead_of")
            )
        if unknown := {n.instead_of for n in needs.values()} - {None, *needs}:
            raise RuleFileError(f"{table.where}, instead_of: there is no need {', '.join(map(str, unknown))}.")
        rules = _rules(folder, groups, needs)
        keyed = {(r.signal, r.system, r.code): r for r in rules}
        matched = {normal(key): rule for key, rule in keyed.items() if rule.match}
        return cls(groups, needs, tuple(rules), no_fixed_abode, matched)

    def read(
        self, status: Status, signals: Mapping[str, Any] | None, ethnic_category: Mapping[str, Any] | None = None
    ) -> Included:
        """What a record's signals say; nothing at all where the address is withheld. Never raises for a value.

        `signals` is the request's, its structure already checked. `ethnic_category` is the contact's, a mapping
        of `system` and `code`; the signals may hold another.
        """
        if status == "withheld":
            return NOTHING
        if signals is None and ethnic_category is None:
            return self.silent[status]
        keys, problems = read_signals(signals or {}, ethnic_category)
        if status == HOMELESS_STATUS:
            keys.append(("postcode_status", "", HOMELESS_STATUS))
        get = self._matched.get
        said = _said(self, tuple([rule for key in keys if (rule := get(key))]), status)
        return said._replace(problems=tuple(problems)) if problems else said

    def said(self, matched: Sequence[Rule], status: Status) -> Included:
        """What follows from the rules that matched."""
        if not matched:
            return NOTHING
        shown = {rule.leads_to for rule in matched if rule.display}
        counted = {rule.leads_to for rule in matched if rule.count}
        groups = [self.groups[name] for name in self._in_order(shown) if name in self.groups]
        needs = [self.needs[name] for name in self._in_order(shown) if name in self.needs]
        if len(needs) > 1:
            covered = {need.instead_of for need in needs}
            needs = [need for need in needs if need.id not in covered]
        # A dict, since two kinds of interpreter are one row.
        rows = dict.fromkeys(self._rows[name] for name in self._in_order(counted))
        sentences = [self.sentence(group, status) for group in groups]
        return Included(tuple(needs), tuple(groups), " ".join(sentences) or None, tuple(rows), ())

    def _in_order(self, names: Collection[str]) -> Collection[str]:
        """Names of groups and needs in the order of the rules."""
        return names if len(names) < 2 else [name for name in self._rows if name in names]

    def sentence(self, group: Group, status: Status) -> str:
        """What is said of a group, in private: of homelessness, whether the postcode itself says so."""
        return self.no_fixed_abode if group.id == "homelessness" and status == "no_fixed_abode" else group.sentence


# What is kept is which rules matched together, and not of whom.
@lru_cache(maxsize=4096)
def _said(inclusion: Inclusion, matched: tuple[Rule, ...], status: Status) -> Included:
    return inclusion.said(matched, status)


def _rules(folder: RuleFolder, groups: Mapping[str, Group], needs: Mapping[str, Need]) -> list[Rule]:
    rules: list[Rule] = []
    seen = set()
    for row in folder.rows("inclusion_signals.csv", _COLUMNS):
        rule = Rule(
            row.choice("signal", SYSTEMS),
            row.values["system"],
            row.text("code"),
            row.text("term"),
            row.choice("leads_to", (*groups, *needs)),
            row.flag("match"),
            row.flag("display"),
            row.flag("count"),
            row.choice("strength", STRENGTHS),
            row.values["note"],
            row.text("source"),
        )
        if (key := normal((rule.signal, rule.system, rule.code))) in seen:
            raise row.wrong("code", "stands twice")
        seen.add(key)
        _check_code(rule, row)
        if (rule.display or rule.count) and not rule.match:
            raise row.wrong("match", "is no, so display and count must be no")
        if (rule.display or rule.count) and rule.leads_to in NEVER:
            raise row.wrong("display", "this group is never shown and never counted")
        if rule.match and (rule.signal, key[2]) in NEVER_READ:
            raise row.wrong("match", "this signal is never read")
        if (
            rule.count
            and rule.leads_to not in COUNTED
            and not (rule.leads_to in needs and needs[rule.leads_to].count_as)
        ):
            raise row.wrong("count", "the published tables have no row for it")
        rules.append(rule)
    return rules


_PERMUTATION: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)  # Verhoeff's, one step of it for each place


def _check_code(rule: Rule, row: Row) -> None:
    if rule.system not in SYSTEMS[rule.signal]:
        known = ", ".join(SYSTEMS[rule.signal])
        raise row.wrong("system", f"must be {known}: a bare code means different things" if known else "must be empty")
    if rule.signal == "snomed" and not (SNOMED.fullmatch(rule.code) and has_check_digit(rule.code)):
        raise row.wrong("code", "is not a SNOMED CT concept id: its check digit is wrong")
    if rule.signal == "setting_role" and not ROLE.fullmatch(rule.code.upper()):
        raise row.wrong("code", "is not an ODS role, RO and digits")
    if rule.signal == "flag" and rule.code not in FLAGS:
        raise row.wrong("code", f"is none of {', '.join(FLAGS)}")
    if rule.signal == "postcode_status" and rule.code not in get_args(Status):
        raise row.wrong("code", f"is none of {', '.join(get_args(Status))}")
    if rule.signal == "postcode_status" and rule.match and rule.code != HOMELESS_STATUS:
        raise row.wrong("match", "missing data say nothing of a person")
    if rule.code == HOMELESS_STATUS and not (rule.count and rule.leads_to == "homelessness"):
        raise row.wrong("count", "must be yes, for homelessness: the audit of published tables counts on it")


def has_check_digit(code: str) -> bool:
    """Whether a number's last digit is its Verhoeff check digit, as in every SNOMED CT id."""
    check, permuted = 0, list(range(10))
    for digit in reversed(code):
        check = _composed(check, permuted[int(digit)])
        permuted = [_PERMUTATION[p] for p in permuted]
    return check == 0


def _composed(a: int, b: int) -> int:
    """Two symmetries of a pentagon, one after the other: 0 to 4 turn it, 5 to 9 also turn it over."""
    turned = a % 5 - b % 5 if a >= 5 else a % 5 + b % 5
    return turned % 5 + 5 * ((a >= 5) != (b >= 5))
