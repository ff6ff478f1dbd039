"""Inclusion-health groups and access needs, from the signals that a record holds.

Pure, and on the path of every request with signals. What was sent is read in memory and forgotten; a code
whose rule does not match is dropped unread. Nothing that was sent is repeated in a notice.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, get_args

from app.context.files import Row, RuleFileError, RuleFolder
from app.context.notices import Notice
from app.lookup.deprivation import Status

SIGNALS: Final = ("snomed", "accommodation_status", "ethnic_category", "setting_role", "postcode_status", "flag")
FLAGS: Final = ("interpreter_required", "accessible_format_required", "travel_support_required")
ETHNIC_SYSTEMS: Final = ("england", "wales", "scotland", "northern_ireland")
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
SYSTEMS: Final[Mapping[str, Collection[str]]] = {
    "snomed": ("",),
    "accommodation_status": ("data_dictionary", "asc_cld"),
    "ethnic_category": ETHNIC_SYSTEMS,
    "setting_role": ("ods",),
    "postcode_status": ("",),
    "flag": ("",),
}
# The groups that a published table has a row for: each went through the audit of what is published.
COUNTED: Final = ("homelessness", "drugs_and_alcohol", "vulnerable_migrant", "gypsy_roma_traveller", "justice")
COUNTED_NEEDS: Final = ("interpreter",)

_SNOMED: Final = re.compile(r"[1-9][0-9]{5,17}")
_ROLE: Final = re.compile(r"RO[0-9]{1,4}")
_LONGEST: Final = 100  # characters of a text that may be a category's name
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


class _Sent(NamedTuple):
    """Signals as keys into the rules."""

    keys: list[tuple[str, str, str]]
    problems: list[Notice]


@dataclass(frozen=True, slots=True, eq=False)
class Inclusion:
    """The rules of one version."""

    groups: Mapping[str, Group]
    needs: Mapping[str, Need]
    rules: tuple[Rule, ...]
    no_fixed_abode: str
    _matched: Mapping[tuple[str, str, str], Rule] = field(repr=False)
    silent: Mapping[Status, Included] = field(init=False, repr=False)  # what a record without signals says

    def __post_init__(self) -> None:
        """What each status says by itself, once."""
        silent: dict[Status, Included] = dict.fromkeys(get_args(Status), NOTHING)
        if rule := self._matched.get(("postcode_status", "", HOMELESS_STATUS)):
            silent[HOMELESS_STATUS] = self._said([rule], HOMELESS_STATUS, ())
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
        matched = {_normal(key): rule for key, rule in keyed.items() if rule.match}
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
        sent = self._sent(signals or {}, ethnic_category)
        matched = [r for key in (("postcode_status", "", status), *sent.keys) if (r := self._matched.get(key))]
        return self._said(matched, status, tuple(sent.problems))

    def _said(self, matched: Sequence[Rule], status: Status, problems: tuple[Notice, ...]) -> Included:
        if not matched and not problems:
            return NOTHING
        shown = {rule.leads_to for rule in matched if rule.display}
        counted = {rule.leads_to for rule in matched if rule.count}
        groups = tuple(g for g in self.groups.values() if g.id in shown)
        sentences = [self.sentence(group, status) for group in groups]
        covered = {self.needs[name].instead_of for name in shown & self.needs.keys()}
        rows = {self.needs[n].count_as for n in counted & self.needs.keys()}
        dimensions = [("inclusion", g) for g in self.groups if g in counted]
        dimensions += [("access", row) for row in COUNTED_NEEDS if row in rows]
        return Included(
            tuple(n for n in self.needs.values() if n.id in shown and n.id not in covered),
            groups,
            " ".join(sentences) or None,
            tuple(dimensions),
            problems,
        )

    def sentence(self, group: Group, status: Status) -> str:
        """What is said of a group, in private: of homelessness, whether the postcode itself says so."""
        return self.no_fixed_abode if group.id == "homelessness" and status == "no_fixed_abode" else group.sentence

    # Each reader below adds keys, and a notice where a value is bad or not known to the rules.

    def _sent(self, signals: Mapping[str, Any], ethnic_category: Mapping[str, Any] | None) -> _Sent:
        sent = _Sent([], [])
        self._read_each(sent, "snomed", signals.get("snomed"), "", _SNOMED)
        self._read_each(sent, "setting_role", signals.get("setting_roles"), "ods", _ROLE)
        self._read_accommodation(sent, signals.get("accommodation_status"))
        self._read_ethnic_category(sent, signals.get("ethnic_category"), quietly=False)
        # The contact's own is judged where contacts are read: here it is only used.
        self._read_ethnic_category(sent, ethnic_category, quietly=True)
        for name in FLAGS:
            value = signals.get(name)
            if value is True:
                sent.keys.append(("flag", "", name))
            elif value is not None and value is not False:
                sent.problems.append(Notice(f"signals.{name}", "not_true_or_false"))
        return sent

    def _read_each(self, sent: _Sent, signal: str, values: Any, system: str, shape: re.Pattern[str]) -> None:
        bad = False
        for value in values or ():
            text = str(value) if type(value) is int and abs(value) < 10**18 else value
            text = text.strip().upper() if isinstance(text, str) and text.isascii() else ""
            if shape.fullmatch(text):
                sent.keys.append((signal, system, text))
            else:
                bad = bad or value is not None
        if bad:
            name = "setting_roles" if signal == "setting_role" else signal
            sent.problems.append(Notice(f"signals.{name}", "not_a_code"))

    def _read_accommodation(self, sent: _Sent, value: Any) -> None:
        if value is None:
            return
        if not isinstance(value, str) or not 0 < len(value.strip()) <= _LONGEST:
            sent.problems.append(Notice("signals.accommodation_status", "not_a_code"))
            return
        word = " ".join(value.split()).upper()
        # No notice where it is not listed: its absence would tell that it is, to whoever may not see groups.
        sent.keys.extend(("accommodation_status", system, word) for system in SYSTEMS["accommodation_status"])

    def _read_ethnic_category(self, sent: _Sent, value: Mapping[str, Any] | None, *, quietly: bool) -> None:
        if value is None or (value.get("code") is None and value.get("system") is None):
            return
        system, code = value.get("system"), value.get("code")
        system = system.strip().lower() if isinstance(system, str) and system.isascii() else None
        if system not in ETHNIC_SYSTEMS:  # one letter means different things in different nations
            problem = "system_missing" if value.get("system") is None else "unknown_value"
            if not quietly:
                sent.problems.append(Notice("signals.ethnic_category.system", problem))
        elif isinstance(code, str) and code.strip() and code.isascii():
            sent.keys.append(("ethnic_category", system, code.strip().upper()))
        elif not quietly and code is not None and type(code) is not int:
            sent.problems.append(Notice("signals.ethnic_category.code", "not_a_code"))


def _normal(key: tuple[str, str, str]) -> tuple[str, str, str]:
    """A rule's key as the readers write it: without regard to case and spaces."""
    signal, system, code = key
    if signal in ("postcode_status", "flag"):
        return key
    return (signal, system, " ".join(code.split()).upper())


def _rules(folder: RuleFolder, groups: Mapping[str, Group], needs: Mapping[str, Need]) -> list[Rule]:
    rules: list[Rule] = []
    seen = set()
    for row in folder.rows("inclusion_signals.csv", _COLUMNS):
        rule = Rule(
            row.choice("signal", SIGNALS),
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
        if (key := _normal((rule.signal, rule.system, rule.code))) in seen:
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
    if rule.signal == "snomed" and not (_SNOMED.fullmatch(rule.code) and has_check_digit(rule.code)):
        raise row.wrong("code", "is not a SNOMED CT concept id: its check digit is wrong")
    if rule.signal == "setting_role" and not _ROLE.fullmatch(rule.code.upper()):
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
