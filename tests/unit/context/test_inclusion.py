"""Signal in, groups and needs out: for every rule of the data, and for every known trap."""

from pathlib import Path
from typing import Any, get_args

import pytest

from app.context.files import RuleFileError, RuleFolder
from app.context.inclusion import COUNTED, NEVER, NOTHING, Inclusion, Rule, has_check_digit
from app.context.signals import ETHNIC_SYSTEMS, FLAGS
from app.counts.tables import ACCESS_NEEDS, INCLUSION_GROUPS
from app.counts.vocabulary import vocabulary
from app.lookup.deprivation import Status
from tests.unit.context.rule_folders import changed, with_lines

INCLUSION = Inclusion.load(RuleFolder())


def signals_of(rule: Rule) -> tuple[Status, dict[str, Any] | None]:
    """A request's status and signals that hold exactly this one signal."""
    match rule.signal:
        case "postcode_status":
            return rule.code, None  # type: ignore[return-value]
        case "snomed":
            return "live", {"snomed": [rule.code]}
        case "setting_role":
            return "live", {"setting_roles": [rule.code]}
        case "ethnic_category":
            return "live", {"ethnic_category": {"system": rule.system, "code": rule.code}}
        case "flag":
            return "live", {rule.code: True}
    return "live", {rule.signal: rule.code}


@pytest.mark.parametrize("rule", INCLUSION.rules, ids=lambda r: f"{r.signal} {r.system} {r.code}".replace("/", " "))
def test_each_rule_says_what_its_signal_leads_to(rule: Rule) -> None:
    status, signals = signals_of(rule)
    said = INCLUSION.read(status, signals)
    shown = [group.id for group in said.groups] + [need.id for need in said.needs]
    assert shown == ([rule.leads_to] if rule.display else [])
    row = INCLUSION.needs[rule.leads_to].count_as if rule.leads_to in INCLUSION.needs else rule.leads_to
    assert [value for _, value in said.counted] == ([row] if rule.count else [])
    assert not said.problems
    assert bool(said.private_summary) == bool(said.groups)


# ------------------------------------------------------------------------------------------------ traps


def groups(signals: dict[str, Any] | None, status: Status = "live", **contact: Any) -> list[str]:
    return [group.id for group in INCLUSION.read(status, signals, contact.get("ethnic")).groups]


@pytest.mark.parametrize(
    ("system", "code", "expected"),
    [
        ("england", "B", []),  # White Irish
        ("wales", "B", ["gypsy_roma_traveller"]),
        ("wales", "b", ["gypsy_roma_traveller"]),
        ("England", " cn ", ["gypsy_roma_traveller"]),
        ("england", "C", []),
        ("scotland", "1K", ["gypsy_roma_traveller"]),
        ("england", "1K", []),
        ("wales", "T", []),  # Arab
        ("england", "T", []),  # Traveller in local lists only
        ("england", "Z", []),
        ("england", "99", []),
    ],
)
def test_an_ethnic_category_is_read_within_its_code_system_only(system: str, code: str, expected: list[str]) -> None:
    assert groups({"ethnic_category": {"system": system, "code": code}}) == expected
    assert groups(None, ethnic={"system": system, "code": code}) == expected


def test_a_bare_letter_matches_nothing_and_says_that_its_system_is_missing() -> None:
    said = INCLUSION.read("live", {"ethnic_category": {"code": "B"}})
    assert not said.groups
    assert said.problems == (("signals.ethnic_category.system", "system_missing"),)


def test_the_code_for_white_british_that_is_often_copied_for_travellers_matches_nothing() -> None:
    assert groups({"snomed": ["976631000000101"]}) == []
    assert groups({"snomed": ["976671000000104"]}) == ["gypsy_roma_traveller"]


@pytest.mark.parametrize("status", [s for s in get_args(Status) if s != "no_fixed_abode"])
def test_no_status_but_no_fixed_abode_means_homelessness(status: Status) -> None:
    assert INCLUSION.read(status, None) == NOTHING
    assert groups({}, status) == []


def test_no_fixed_abode_is_homelessness_and_says_so_only_in_private() -> None:
    said = INCLUSION.read("no_fixed_abode", None)
    assert [g.id for g in said.groups] == ["homelessness"]
    assert said.counted == (("inclusion", "homelessness"),)
    assert said.private_summary == (
        "The record says 'no fixed abode': ask where they are staying now and how best to reach them."
    )


def test_a_withheld_address_leaves_every_signal_unread() -> None:
    everything = {"snomed": [r.code for r in INCLUSION.rules if r.signal == "snomed"], "interpreter_required": True}
    assert INCLUSION.read("withheld", everything, {"system": "wales", "code": "B"}) is NOTHING


@pytest.mark.parametrize("code", ["449344001", "159799000", "159800001", "864131000000100", "160702009"])
def test_sex_work_refuge_and_illegal_migrant_are_never_shown_and_never_counted(code: str) -> None:
    said = INCLUSION.read("live", {"snomed": [code]})
    assert said == NOTHING


@pytest.mark.parametrize(
    "signals",
    [
        {"snomed": ["105568001"]},
        {"setting_roles": ["RO175", "RO82", "RO251", "RO257", "RO260"]},
        {"accommodation_status": "CJ00"},
        {"accommodation_status": "Prison/young offenders institution/detention centre"},
    ],
)
def test_prison_is_left_unread_by_default(signals: dict[str, Any]) -> None:
    assert INCLUSION.read("live", signals) == NOTHING


def test_an_organisation_may_decide_to_read_prison(tmp_path: Path) -> None:
    note = "criminal-offence data: off unless the organisation decides otherwise"
    line = f"snomed,,105568001,In prison,justice,no,no,no,direct,{note}"
    local = changed(tmp_path, "inclusion_signals.csv", (line, line.replace("no,no,no", "yes,yes,yes")))
    said = Inclusion.load(RuleFolder(local)).read("live", {"snomed": ["105568001"]})
    assert [g.id for g in said.groups] == ["justice"]
    assert said.counted == (("inclusion", "justice"),)


def test_migrant_and_higher_risk_drinking_are_no_group() -> None:
    assert groups({"snomed": ["224619008", "777651000000101"]}) == []


def test_a_drug_service_is_no_diagnosis() -> None:
    assert not [r for r in INCLUSION.rules if r.code == "721"]


def test_modern_slavery_has_no_signal() -> None:
    assert "modern_slavery" in NEVER
    assert not [r for r in INCLUSION.rules if r.leads_to == "modern_slavery"]


def test_use_that_is_not_dependence_is_shown_and_not_counted() -> None:
    said = INCLUSION.read("live", {"snomed": ["15167005"]})
    assert [g.id for g in said.groups] == ["drugs_and_alcohol"]
    assert said.counted == ()


def test_an_access_need_is_no_inclusion_group_and_asks_for_a_trained_interpreter() -> None:
    said = INCLUSION.read("live", {"interpreter_required": True})
    assert not said.groups
    assert said.private_summary is None
    (need,) = said.needs
    assert "trained interpreter, not family" in need.sentence


def test_that_no_interpreter_is_needed_is_no_need() -> None:
    assert INCLUSION.read("live", {"snomed": ["315595002"], "interpreter_required": False}) == NOTHING


def test_several_signals_of_one_group_say_it_once() -> None:
    said = INCLUSION.read(
        "no_fixed_abode", {"snomed": ["32911000", "224228000", "191816009"], "accommodation_status": "HM01"}
    )
    assert [g.id for g in said.groups] == ["homelessness", "drugs_and_alcohol"]
    assert said.counted == (("inclusion", "homelessness"), ("inclusion", "drugs_and_alcohol"))
    assert said.private_summary is not None
    assert said.private_summary.count("settled home") == 0
    assert said.private_summary.startswith("The record says 'no fixed abode'")


def test_two_kinds_of_interpreter_are_counted_once() -> None:
    said = INCLUSION.read("live", {"snomed": ["204331000000107"], "interpreter_required": True})
    assert [need.id for need in said.needs] == ["bsl_interpreter"]  # it says more exactly what is needed
    assert said.counted == (("access", "interpreter"),)


# ------------------------------------------------------------------------------------------- bad values


@pytest.mark.parametrize(
    ("signals", "field", "code"),
    [
        ({"snomed": ["Homeless"]}, "signals.snomed", "not_a_code"),
        ({"snomed": [True]}, "signals.snomed", "not_a_code"),
        ({"snomed": [3.5]}, "signals.snomed", "not_a_code"),
        ({"snomed": ["3291100000000000000"]}, "signals.snomed", "not_a_code"),
        ({"snomed": ["３２９１１０００"]}, "signals.snomed", "not_a_code"),
        ({"snomed": [10**30]}, "signals.snomed", "not_a_code"),
        ({"setting_roles": ["prison"]}, "signals.setting_roles", "not_a_code"),
        ({"accommodation_status": 7}, "signals.accommodation_status", "not_a_code"),
        ({"accommodation_status": ""}, "signals.accommodation_status", "not_a_code"),
        ({"accommodation_status": "x" * 101}, "signals.accommodation_status", "not_a_code"),
        ({"interpreter_required": "yes"}, "signals.interpreter_required", "not_true_or_false"),
        ({"interpreter_required": 1}, "signals.interpreter_required", "not_true_or_false"),
        ({"ethnic_category": {"system": "france", "code": "B"}}, "signals.ethnic_category.system", "unknown_value"),
        ({"ethnic_category": {"system": "wales", "code": True}}, "signals.ethnic_category.code", "not_a_code"),
    ],
)
def test_a_bad_value_is_named_by_its_field_and_not_repeated(signals: dict[str, Any], field: str, code: str) -> None:
    said = INCLUSION.read("live", signals)
    assert said.problems == ((field, code),)
    assert not said.groups


def test_a_code_that_no_rule_knows_is_left_alone() -> None:
    assert INCLUSION.read("live", {"snomed": ["22298006", None]}) == NOTHING
    assert INCLUSION.read("live", {"accommodation_status": "MA01"}) == NOTHING


def test_one_bad_code_does_not_hide_a_good_one() -> None:
    said = INCLUSION.read("live", {"snomed": ["nonsense", 32911000]})
    assert [g.id for g in said.groups] == ["homelessness"]
    assert said.problems


# ---------------------------------------------------------------------------------------- the rules file


def test_a_group_and_its_signal_are_added_without_code(tmp_path: Path) -> None:
    local = with_lines(
        tmp_path,
        "inclusion.toml",
        "[[group]]",
        'id = "young_carers"',
        'name = "Young carers"',
        'sentence = "The record says that this person cares for somebody: ask what would help."',
    )
    with_lines(
        local, "inclusion_signals.csv", "snomed,,302767002,Cares for a relative,young_carers,yes,yes,no,direct,,local"
    )
    said = Inclusion.load(RuleFolder(local)).read("live", {"snomed": ["302767002"]})
    assert [g.name for g in said.groups] == ["Young carers"]
    assert not said.counted


@pytest.mark.parametrize("after", ["homelessness,yes,yes,no", "drugs_and_alcohol,yes,yes,yes"])
def test_no_fixed_abode_is_counted_as_homelessness_whatever_a_file_says(tmp_path: Path, after: str) -> None:
    before = "no_fixed_abode,No fixed abode (ZZ99 3VZ),homelessness,yes,yes,yes"
    changes = (before, f"no_fixed_abode,No fixed abode (ZZ99 3VZ),{after}")
    local = changed(tmp_path, "inclusion_signals.csv", changes)
    with pytest.raises(RuleFileError, match="the audit of published tables counts on it"):
        Inclusion.load(RuleFolder(local))


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("snomed,,449344002,x,homelessness,yes,yes,yes,direct,,local", "code"),  # a wrong check digit
        ("snomed,,32911000,x,homelessness,yes,yes,yes,direct,,local", "code"),  # twice
        ("accommodation_status,data_dictionary,hm01,x,homelessness,yes,yes,yes,direct,,local", "code"),
        ("ethnic_category,,B,x,gypsy_roma_traveller,yes,yes,yes,direct,,local", "system"),
        ("setting_role,ods,RO999,x,sex_work,yes,yes,no,direct,,local", "display"),
        ("setting_role,ods,RO999,x,refuge,yes,no,yes,direct,,local", "display"),
        ("setting_role,ods,RO999,x,immigration_detention,yes,no,yes,direct,,local", "display"),
        ("setting_role,ods,RO999,x,homelessness,no,yes,no,direct,,local", "match"),
        ("setting_role,ods,RO999,x,easy_read,yes,yes,yes,direct,,local", "count"),
        ("setting_role,ods,RO999,x,nothing,yes,yes,yes,direct,,local", "leads_to"),
        ("setting_role,ods,RO999,x,homelessness,true,yes,yes,direct,,local", "match"),
        ("setting_role,ods,RO999,x,homelessness,yes,yes,yes,direct,,", "source"),
        ("flag,,is_poor,x,homelessness,yes,yes,yes,direct,,local", "code"),
        ("postcode_status,,overseas,x,homelessness,yes,yes,no,direct,,local", "match"),
        ("postcode_status,,malformed,x,homelessness,yes,yes,yes,direct,,local", "match"),
        ("postcode_status,,nowhere,x,homelessness,no,no,no,direct,,local", "code"),
        ("setting_role,ods,prison,x,homelessness,yes,yes,no,direct,,local", "code"),
        ("setting_role,,RO999,x,homelessness,yes,yes,no,direct,,local", "system"),
        ("accommodation_status,datadictionary,HM08,x,homelessness,yes,yes,no,direct,,local", "system"),
        ("snomed,http://snomed.info/sct,302767002,x,homelessness,yes,yes,no,direct,,local", "system"),
    ],
)
def test_a_rule_that_must_not_be_is_refused_with_its_line_and_column(tmp_path: Path, line: str, column: str) -> None:
    local = with_lines(tmp_path, "inclusion_signals.csv", line)
    with pytest.raises(RuleFileError, match=rf"^inclusion_signals\.csv, line \d+, {column}: "):
        Inclusion.load(RuleFolder(local))


@pytest.mark.parametrize(
    ("signal", "code"),
    [
        *(("snomed", code) for code in ("160702009", "864131000000100", "449344001", "159799000", "159800001")),
        ("accommodation_status", "Refuge"),
        ("setting_role", "RO251"),
        ("postcode_status", "address_not_known"),
    ],
)
def test_what_is_never_read_stays_unread_whatever_a_file_says_it_leads_to(
    tmp_path: Path, signal: str, code: str
) -> None:
    (rule,) = [r for r in INCLUSION.rules if (r.signal, r.code) == (signal, code)]
    before = f"{signal},{rule.system},{code},{rule.term},{rule.leads_to},no,no,no"
    after = f"{signal},{rule.system},{code},{rule.term},homelessness,yes,yes,no"
    local = changed(tmp_path, "inclusion_signals.csv", (before, after))
    with pytest.raises(RuleFileError, match=r"match: (this signal is never read|missing data say nothing)"):
        Inclusion.load(RuleFolder(local))


def test_every_counted_row_is_one_of_a_published_table() -> None:
    assert {rule.leads_to for rule in INCLUSION.rules if rule.count} <= {*COUNTED, *INCLUSION.needs}
    for dimension, row in ((d, v) for r in INCLUSION.rules for d, v in INCLUSION.read(*signals_of(r)).counted):
        assert row in {"inclusion": INCLUSION_GROUPS, "access": ACCESS_NEEDS}[dimension]


def test_ethnic_categories_are_of_the_same_systems_as_those_that_are_counted() -> None:
    assert set(ETHNIC_SYSTEMS) == set(vocabulary().ethnic_systems)


def test_every_flag_has_a_rule() -> None:
    assert {r.code for r in INCLUSION.rules if r.signal == "flag"} == set(FLAGS)


@pytest.mark.parametrize("code", [r.code for r in INCLUSION.rules if r.signal == "snomed"][:5])
def test_any_other_last_digit_is_not_the_check_digit(code: str) -> None:
    assert has_check_digit(code)
    assert not any(has_check_digit(code[:-1] + d) for d in "0123456789" if d != code[-1])
