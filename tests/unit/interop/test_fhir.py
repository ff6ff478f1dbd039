"""A Parameters or a Patient is read into one question, and an answer is written with every unknown left out."""

from datetime import date
from typing import Any, get_args

import pytest

from app.enrichment import Question, Rules, enrich
from app.interop.fhir import Fault, observation, parameters, read_question
from app.interop.fhir_definitions import CODE_SYSTEMS, OUT, Declared, code_system, operation_definition
from app.interop.patient import INTERPRETER as INTERPRETER_REQUIRED
from app.lookup.index import Index
from tests import starter_data

DAY = date(2026, 11, 22)
BASE = "https://imd-lens.example/fhir"
PATIENT = {
    "resourceType": "Patient",
    "birthDate": "1972-03-14",
    "address": [{"use": "home", "postalCode": "NG1 1AA"}],
    "extension": [{"url": INTERPRETER_REQUIRED, "valueBoolean": True}],
}
SIGNALS = {"snomed": ["32911000"], "interpreter_required": True}


def asked(*sent: Any) -> Question | Fault:
    return read_question({"resourceType": "Parameters", "parameter": list(sent)}, DAY)


def postcode(text: Any = "NG1 1AA") -> dict[str, Any]:
    return {"name": "postcode", "valueString": text}


def test_a_postcode_is_enough() -> None:
    assert asked(postcode()) == Question("NG1 1AA")


def test_a_patient_by_itself_is_read_as_one_in_parameters() -> None:
    question = Question("NG1 1AA", {"age": 54}, {"interpreter_required": True})
    assert read_question(PATIENT, DAY) == question
    assert asked({"name": "patient", "resource": PATIENT}) == question


def test_every_parameter_is_read() -> None:
    sent = [
        {"name": "include", "valueCode": "context"},
        {"name": "include", "valueCode": "area"},
        {"name": "signal-snomed", "valueCode": "32911000"},
        {"name": "signal-snomed", "valueCode": "15167005"},
        {"name": "age", "valueInteger": 7},
        {"name": "specialty", "valueCode": "258"},
        postcode("DT1 1AA"),
        {"name": "patient", "resource": PATIENT},
        {"name": "something-else", "valueString": "x"},
    ]
    assert asked(*sent) == Question(
        "DT1 1AA",
        {"specialty": "258", "age": 7},
        {"snomed": ["32911000", "15167005"], "interpreter_required": True},
        True,
        DAY,
    )


def test_a_specialty_may_be_a_string_too() -> None:
    assert asked(postcode(), {"name": "specialty", "valueString": "340"}) == Question("NG1 1AA", {"specialty": "340"})


@pytest.mark.parametrize("odd", [7, None, [], {}, True, {"valueString": "NG1 1AA"}])
def test_odd_values_are_taken_for_absent(odd: Any) -> None:
    names = ("specialty", "age", "include", "signal-snomed")
    kinds = ("valueCode", "valueString", "valueBoolean")
    sent = [{"name": name, **dict.fromkeys(kinds, odd)} for name in names]
    assert asked(postcode(odd), *sent, odd) == Question(None)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (None, ("Parameters", "not_parameters_or_patient")),
        ([], ("Parameters", "not_parameters_or_patient")),
        ({}, ("resourceType", "not_parameters_or_patient")),
        ({"resourceType": "Bundle"}, ("resourceType", "not_parameters_or_patient")),
        ({"resourceType": ["Patient"]}, ("resourceType", "not_parameters_or_patient")),
        ({"resourceType": "Parameters"}, ("Parameters.parameter", "required")),
        ({"resourceType": "Parameters", "parameter": {}}, ("Parameters.parameter", "required")),
        ({"resourceType": "Parameters", "parameter": []}, ("Parameters.parameter", "postcode_or_patient_required")),
    ],
)
def test_a_body_that_asks_nothing_is_told_where_it_is_wrong(body: Any, fault: tuple[str, str]) -> None:
    assert read_question(body, DAY) == fault


@pytest.mark.parametrize("name", ["postcode", "patient", "specialty", "age"])
def test_what_there_is_one_of_is_refused_when_sent_twice(name: str) -> None:
    fault = asked(postcode(), {"name": name}, {"name": name})
    assert fault == ("Parameters.parameter[2]" if name != "postcode" else "Parameters.parameter[1]", "too_many")


@pytest.mark.parametrize("modifier", ["modifierExtension", "implicitRules"])
def test_what_may_mean_the_opposite_is_refused(modifier: str) -> None:
    modified = {**PATIENT, modifier: [{"url": "https://elsewhere.example/not-this-patient"}]}
    fault = Fault(modifier, "modifier_not_understood")
    assert read_question(modified, DAY) == fault
    assert asked({"name": "patient", "resource": modified}) == fault
    assert asked(postcode(), {"name": "patient", "resource": {**PATIENT, modifier: []}}) == asked(
        postcode(), {"name": "patient", "resource": PATIENT}
    )


# ------------------------------------------------------------------------------------------------- answers


def answered(index: Index, rules: Rules, text: str | None, *, may_see_groups: bool = False, **asked: Any) -> list[Any]:
    answer = enrich(Question(text, **asked), index, rules)
    written = parameters(answer, index.release, rules, may_see_groups=may_see_groups)
    assert written["resourceType"] == "Parameters"
    return written["parameter"]  # type: ignore[no-any-return]


def values(written: list[Any], name: str) -> list[Any]:
    return [value for p in written if p["name"] == name for key, value in p.items() if key != "name"]


def test_a_known_area_is_answered_in_full(index: Index, rules: Rules) -> None:
    written = answered(index, rules, "NG1 1AA")
    assert values(written, "imd-decile") == [3]
    assert values(written, "core20") == [False]
    assert values(written, "core20-reason") == []
    assert len(values(written, "domain")) == 7
    assert values(written, "second") == ["This is about the area. Ask what matters to this person."]
    assert values(written, "inclusion-groups-shown") == [False]


@pytest.mark.parametrize(
    ("text", "reason"), [("ZZ99 3VZ", "no_fixed_abode"), (None, "malformed"), ("ZZZSECUR", "withheld")]
)
def test_what_is_unknown_is_absent_with_its_reason(index: Index, rules: Rules, text: str | None, reason: str) -> None:
    written = answered(index, rules, text)
    assert values(written, "core20-reason") == [reason]
    for name in ("imd-decile", "imd-quintile", "core20", "domain"):
        assert values(written, name) == []
    assert values(written, "summary")


def test_a_domain_that_is_not_known_is_left_out(index: Index, rules: Rules) -> None:
    answer = enrich(Question("NG1 1AA"), index, rules)._replace(domains=(0, 3, 0, 10, 1, 2, 5))
    written = parameters(answer, index.release, rules, may_see_groups=False)["parameter"]
    assert [p["valueInteger"] for d in values(written, "domain") for p in d if p["name"] == "decile"] == [
        3,
        10,
        1,
        2,
        5,
    ]


def test_an_edition_without_a_value_stands_by_its_name(index: Index, rules: Rules) -> None:
    editions = values(answered(index, rules, "NG1 1AA"), "edition")
    assert [{"name": "id", "valueCode": "IoD2019"}] in editions


def test_groups_are_shown_only_to_whoever_may_see_them(index: Index, rules: Rules) -> None:
    hidden = answered(index, rules, "NG1 1AA", signals=SIGNALS)
    assert values(hidden, "inclusion-group") == values(hidden, "private-summary") == []
    assert len(values(hidden, "access-need")) == 1
    shown = answered(index, rules, "NG1 1AA", signals=SIGNALS, may_see_groups=True)
    assert values(shown, "inclusion-groups-shown") == [True]
    assert values(shown, "inclusion-group")[0][0] == {"name": "id", "valueCode": "homelessness"}
    assert "no settled home" in values(shown, "private-summary")[0]


def test_context_and_area_come_only_when_asked_for(index: Index, rules: Rules) -> None:
    plain = answered(index, rules, "NG1 1AA")
    assert values(plain, "context") == values(plain, "area") == []
    contact = {"specialty": "340", "age": 54}
    full = answered(index, rules, "NG1 1AA", contact=contact, with_area=True, context_on=DAY)
    (context,), (area,) = values(full, "context"), values(full, "area")
    assert len(values(context, "prompt")) == 8
    assert len(values(context, "signpost")) == 4
    assert len(values(context, "clinical-area")) == 1
    assert len(values(context, "lead")) == 2
    assert len(values(area, "lad")) == 1


def test_a_warning_names_a_parameter_and_no_value(index: Index, rules: Rules) -> None:
    written = answered(index, rules, "NG1", signals={"snomed": ["Homeless"]})
    assert [[p[key] for p in parts for key in p if key != "name"] for parts in values(written, "warning")] == [
        ["postcode", "partial"],
        ["signal-snomed", "not_a_code"],
    ]


def test_every_answer_is_as_the_operation_declares(index: Index, rules: Rules) -> None:
    texts = [*starter_data.postcodes()[::7], "ZZ99 3VZ", "ZZZSECUR", "JE1 1AA", "nonsense", "QQ1 1QQ", None]
    for text in texts:
        contact = {"specialty": "340", "age": 54}
        written = answered(
            index, rules, text, contact=contact, signals=SIGNALS, with_area=True, context_on=DAY, may_see_groups=True
        )
        check(written, OUT)
        assert bool(values(written, "core20")) != bool(values(written, "core20-reason"))


def check(written: list[Any], declared: tuple[Declared, ...]) -> None:
    by_name = {d.name: d for d in declared}
    for parameter in written:
        d = by_name[parameter["name"]]
        (content,) = (key for key in parameter if key != "name")
        assert content == (f"value{d.type[0].upper()}{d.type[1:]}" if d.type else "part"), d.name
        if d.parts:
            assert parameter["part"]
            check(parameter["part"], d.parts)
    for d in declared:
        count = sum(p["name"] == d.name for p in written)
        assert count >= d.least, d.name
        assert d.most == "*" or count <= int(d.most), d.name


# --------------------------------------------------------------------------------------------- Observation


def test_an_observation_is_of_the_area_and_of_nobody(index: Index, rules: Rules) -> None:
    written = observation(enrich(Question("NG1 1AA"), index, rules), rules, DAY, BASE)
    assert not {"subject", "value", "valueInteger", "derivedFrom", "dataAbsentReason"} & set(written)
    assert written["effectiveDateTime"] == "2026-11-22"
    assert written["status"] == "final"
    assert "area" in written["note"][0]["text"]
    assert [c.get("valueInteger", c.get("valueBoolean", c.get("valueString"))) for c in written["component"]] == [
        3,
        False,
        "IoD2025",
    ]


def test_an_observation_of_the_unknown_has_a_reason_and_no_value(index: Index, rules: Rules) -> None:
    written = observation(enrich(Question("ZZ99 3VZ"), index, rules), rules, DAY, BASE)
    assert written["dataAbsentReason"]["coding"][0]["code"] == "unknown"
    decile, core20, _ = written["component"]
    for component in (decile, core20):
        assert set(component) == {"code", "dataAbsentReason"}


# --------------------------------------------------------------------------------------------- definitions


def test_code_systems_hold_every_code_that_an_answer_may_hold(index: Index, rules: Rules) -> None:
    from app.context.cautions import Caution

    assert set(CODE_SYSTEMS["caution"].codes) == set(get_args(Caution))
    assert {"live", "terminated", "not_found", "withheld", "no_fixed_abode"} <= set(
        CODE_SYSTEMS["postcode-status"].codes
    )
    assert {"not_in_england", "edition_unknown", "overseas"} <= set(CODE_SYSTEMS["core20-reason"].codes)
    written = observation(enrich(Question("NG1 1AA"), index, rules), rules, DAY, BASE)
    concepts = [written["code"], written["method"], *(c["code"] for c in written["component"])]
    for concept in concepts:
        (coding,) = concept["coding"]
        system = code_system("area-measure", BASE, "1")
        assert system
        assert coding["system"] == system["url"]
        assert coding["code"] in {c["code"] for c in system["concept"]}


def test_no_code_stands_twice_in_its_system() -> None:
    for codes in CODE_SYSTEMS.values():
        assert len(set(codes.codes)) == len(codes.codes)


def test_definitions_stand_under_the_base_of_the_deployer() -> None:
    base = "https://fhir.trust.example"
    assert operation_definition(base, "1")["url"] == f"{base}/OperationDefinition/enrich"
    assert code_system("nothing", base, "1") is None
