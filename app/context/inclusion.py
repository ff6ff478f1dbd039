"""Inclusion-health groups and access needs, from the signals that a record holds.

Pure, and on the path of every request with signals. What was sent is read in memory and forgotten; a code
whose rule does not match is dropped unread. Nothing that was sent is repeated in a notice.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, get_args

from app.context.files import RuleFileError, RuleFolder
from app.context.notices import Notice
from app.lookup.deprivation import Status

SIGNALS: Final = ("snomed", "accommodation_status", "ethnic_category", "setting_role", "postcode_status", "flag")
FLAGS: Final = ("interpreter_required", "accessible_format_required", "travel_support_required")
ETHNIC_SYSTEMS: Final = ("england", "wales", "scotland", "northern_ireland")
STRENGTHS: Final = ("direct", "indirect", "related", "weak", "outdated", "never")
# Never shown and never counted, whatever a rules file says: being known for it can cost a person their safety.
NEVER: Final = frozenset({"sex_work", "refuge", "immigration_detention", "modern_slavery"})
# Never read, whatever a rules file says: NHS records use it, and naming it can only harm.
NEVER_READ: Final = frozenset({("snomed", "160702009"), ("postcode_status", "address_not_known")})
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
    notices: tuple[Notice, ...]
    problem: bool  # a value was bad


NOTHING: Final = Included((), (), None, (), (), False)


class _Sent(NamedTuple):
    """Signals as keys into the rules."""

    keys: list[tuple[str, str, str]]
    notices: list[Notice]
    problems: list[Notice]


@dataclass(frozen=True, slots=True, eq=False)
class Inclusion:
    """The rules of one version."""

    groups: Mapping[str, Group]
    needs: Mapping[str, Need]
    rules: tuple[Rule, ...]
    no_fixed_abode: str
    _matched: Mapping[tuple[str, str, str], Rule] = field(repr=False)
    _known: frozenset[tuple[str, str, str]] = field(repr=False)
    silent: Mapping[Status, Included] = field(init=False, repr=False)  # what a record without signals says

    def __post_init__(self) -> None:
        """What each status says by itself, once."""
        silent: dict[Status, Included] = dict.fromkeys(get_args(Status), NOTHING)
        for signal, _, code in self._matched:
            if signal == "postcode_status" and code != "withheld":
                status: Any = code
                silent[status] = self._said([self._matched[signal, "", code]], status, (), False)
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
        for n in table.each("access_need", ("id", "name", "sentence", "count_as")):
            if (count_as := n.optional("count_as")) not in (None, *COUNTED_NEEDS):
                raise RuleFileError(f"{n.where}, count_as: the published table has no such row.")
            needs[n.text("id")] = Need(n.text("id"), n.text("name"), n.text("sentence"), count_as)
        rules = _rules(folder, groups, needs)
        keyed = {(r.signal, r.system, r.code): r for r in rules}
        matched = {_normal(key): rule for key, rule in keyed.items() if rule.match}
        return cls(groups, needs, tuple(rules), no_fixed_abode, matched, frozenset(map(_normal, keyed)))

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
        return self._said(matched, status, (*sent.problems, *sent.notices), bool(sent.problems))

    def _said(self, matched: Sequence[Rule], status: Status, notices: tuple[Notice, ...], problem: bool) -> Included:
        if not matched and not notices:
            return NOTHING
        shown = {rule.leads_to for rule in matched if rule.display}
        counted = {rule.leads_to for rule in matched if rule.count}
        groups = tuple(g for g in self.groups.values() if g.id in shown)
        sentences = [self.sentence(group, status) for group in groups]
        rows = {self.needs[n].count_as for n in counted & self.needs.keys()}
        dimensions = [("inclusion", g) for g in self.groups if g in counted]
        dimensions += [("access", row) for row in COUNTED_NEEDS if row in rows]
        return Included(
            tuple(n for n in self.needs.values() if n.id in shown),
            groups,
            " ".join(sentences) or None,
            tuple(dimensions),
            notices,
            problem,
        )

    def sentence(self, group: Group, status: Status) -> str:
        """What is said of a group, in private: of homelessness, whether the postcode itself says so."""
        return self.no_fixed_abode if group.id == "homelessness" and status == "no_fixed_abode" else group.sentence

    # Each reader below adds keys, and a notice where a value is bad or not known to the rules.

    def _sent(self, signals: Mapping[str, Any], ethnic_category: Mapping[str, Any] | None) -> _Sent:
        sent = _Sent([], [], [])
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
        keys = [("accommodation_status", system, word) for system in ("data_dictionary", "asc_cld")]
        if not any(key in self._known for key in keys):
            sent.notices.append(Notice("signals.accommodation_status", "unrecognised"))
        sent.keys.extend(keys)

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
    """A rule's key as the readers write it: names of categories without regard to case."""
    signal, system, code = key
    return (signal, system, code.upper() if signal in ("accommodation_status", "ethnic_category") else code)


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
        if rule.signal == "snomed" and not (_SNOMED.fullmatch(rule.code) and has_check_digit(rule.code)):
            raise row.wrong("code", "is not a SNOMED CT concept id: its check digit is wrong")
        if rule.signal == "ethnic_category" and rule.system not in ETHNIC_SYSTEMS:
            raise row.wrong("system", "must name the code list: a bare letter means different things in each nation")
        if rule.signal == "flag" and rule.code not in FLAGS:
            raise row.wrong("code", f"is none of {', '.join(FLAGS)}")
        if (rule.display or rule.count) and not rule.match:
            raise row.wrong("match", "is no, so display and count must be no")
        if (rule.display or rule.count) and rule.leads_to in NEVER:
            raise row.wrong("display", "this group is never shown and never counted")
        if rule.match and (rule.signal, rule.code) in NEVER_READ:
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
