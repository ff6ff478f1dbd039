"""Reading a postcode as an EPR sends it."""

import numpy as np
import pytest

from app.lookup import postcode
from app.lookup.postcode import Postcode, parse, sector_name, unit_names


def written(read: Postcode) -> str:
    return f"{sector_name(read.sector)}{unit_names()[read.unit]}" if read.kind == "real" else read.kind


@pytest.mark.parametrize(
    "text",
    [
        "NG1 1AA",
        "ng1 1aa",
        "NG11AA",
        "NG1  1AA",
        " NG1 1AA",
        "NG1 1AA   ",
        "\tNG1\t1AA\r\n",
        "NG1\u00a01AA",
        "NG1\u20031AA",
        "N G 1 1 A A",
        "\ufeffNG1 1AA",
        "NG1\u200b1AA",
        "nG1 1aA",
    ],
)
def test_any_case_and_any_white_space_is_one_postcode(text: str) -> None:
    assert parse(text) == parse("NG1 1AA")
    assert written(parse(text)) == "NG1 1AA"


@pytest.mark.parametrize(
    "text",
    ["M1 1AE", "B33 8TH", "W1A 0AX", "CR2 6XH", "DN55 1PT", "EC1A 1BB", "BS0 1AA", "GIR 0AA", "SE1P 4AA", "N1C 4AA"],
)
def test_every_outward_shape_is_read(text: str) -> None:
    assert written(parse(text)) == text


@pytest.mark.parametrize(
    ("fixed", "usual"),
    [
        ("M1   1AE", "M1 1AE"),
        ("M1  1AE", "M1 1AE"),
        ("NG1  1AA", "NG1 1AA"),
        ("DN551PT", "DN55 1PT"),
        ("DN55 1PT", "DN55 1PT"),
    ],
)
def test_seven_and_eight_character_fixed_forms_are_read(fixed: str, usual: str) -> None:
    assert parse(fixed) == parse(usual)


@pytest.mark.parametrize(
    ("text", "kind", "country"),
    [
        ("ZZ99 3VZ", "no_fixed_abode", None),
        ("zz993vz", "no_fixed_abode", None),
        ("NF1 1AB", "no_fixed_abode", "Scotland"),
        ("ZZ99 3WZ", "address_not_known", None),
        ("ZZ99 3CZ", "country_only", None),
        ("ZZ99 3GZ", "country_only", "Wales"),
        ("ZZ99 1WZ", "country_only", "Scotland"),
        ("ZZ99 2WZ", "country_only", "Northern Ireland"),
        ("ZZ99 4GZ", "overseas", None),
        ("ZZ99 9TZ", "overseas", None),
        ("ZZ99 3HZ", "crown_dependency", None),
        ("ZZ99 3BZ", "crown_dependency", None),
        ("GX11 1AA", "overseas", None),
        ("BF1 3AA", "forces", None),
        ("BFPO 58", "forces", None),
        ("GY1 1AA", "crown_dependency", "Guernsey"),
        ("JE2 3AB", "crown_dependency", "Jersey"),
        ("IM1 1AD", "crown_dependency", "Isle of Man"),
        ("ZZZSECUR", "withheld", None),
        ("zzz secur", "withheld", None),
    ],
)
def test_a_special_postcode_has_its_own_meaning(text: str, kind: str, country: str | None) -> None:
    assert parse(text) == Postcode(kind, country=country)


def test_not_known_is_never_homelessness() -> None:
    assert parse("ZZ99 3WZ").kind != parse("ZZ99 3VZ").kind


@pytest.mark.parametrize("text", ["Z99 3CZ", "ZZ99 3AA", "ZZ99", "ZZ99 3V", "ZZ98 3VZ"])
def test_what_only_resembles_a_pseudo_postcode_is_malformed(text: str) -> None:
    assert parse(text).kind == "malformed"


@pytest.mark.parametrize("text", ["NG1", "NG", "N", "EC1A", "NG1 1", "NG1 1A", "DN55 1P"])
def test_a_partial_postcode_is_refused_as_partial(text: str) -> None:
    assert parse(text) == Postcode("malformed", problem="partial")


@pytest.mark.parametrize("text", [None, "", " ", "\t\n", "\u00a0", "\u200b\ufeff"])
def test_nothing_written_is_empty(text: str | None) -> None:
    assert parse(text) == Postcode("malformed", problem="empty")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("NG1 IAA", "NG1 1AA"),
        ("NGI 1AA", "NG1 1AA"),
        ("NG1 OAA", "NG1 0AA"),
        ("0X1 1AA", "OX1 1AA"),
        ("S01 1AA", "SO1 1AA"),
        ("BS1O 1AA", "BS10 1AA"),
        ("1P1 1AA", "IP1 1AA"),
        ("ng1iaa", "NG1 1AA"),
    ],
)
def test_one_possible_reading_of_o_and_0_or_i_and_1_is_repaired_and_said(text: str, meant: str) -> None:
    assert parse(text) == parse(meant)._replace(repaired=True)
    assert not parse(meant).repaired


@pytest.mark.parametrize("text", ["NG1 1A0", "NG1 1IA", "NG1 1OA", "E0 1AA", "I0I 0I0", "NG1 ZAA"])
def test_without_exactly_one_reading_nothing_is_repaired(text: str) -> None:
    assert parse(text) == Postcode("malformed", problem="not_a_postcode")


@pytest.mark.parametrize(
    "text",
    [
        "ΝG1 1AA",  # a Greek Nu
        "NG1 1АА",  # Cyrillic
        "ＮＧ１ １ＡＡ",  # full width
        "ſG1 1AA",  # a long s, whose capital is S
        "NG١ ١AA",  # Arabic digits
        "NG1\x001AA",
        "NG1 1AA\x07",
        "NG1-1AA",
        "'NG1 1AA'",
        "NG1 1AA NG1 1AB",
        "QN1 1AA",
        "not a postcode",
        "\ud800",
    ],
)
def test_look_alikes_and_rubbish_are_malformed(text: str) -> None:
    assert parse(text) == Postcode("malformed", problem="not_a_postcode")


@pytest.mark.parametrize("text", ["N" * 10_000, " " * 65, "NG1 1AA" + " " * 58])
def test_a_text_that_is_too_long_is_not_read(text: str) -> None:
    assert parse(text) == Postcode("malformed", problem="too_long")


def test_a_repaired_crown_dependency_is_said_to_be_repaired() -> None:
    assert parse("1M1 1AA") == Postcode("crown_dependency", country="Isle of Man", repaired=True)


@pytest.mark.parametrize("letter", "CIKMOV")
def test_letters_that_no_inward_code_has_are_refused(letter: str) -> None:
    assert parse(f"NG1 1A{letter}").kind == "malformed"


def test_packing_is_one_to_one() -> None:
    sectors = np.random.default_rng(7).integers(0, postcode.SECTORS, 20_000)
    names = {sector_name(int(s)) for s in sectors}
    assert len(names) == len(set(sectors.tolist()))
    assert len(set(unit_names())) == postcode.UNITS == 400


def test_every_special_rule_states_its_source() -> None:
    import tomllib
    from importlib import resources

    data = tomllib.loads(resources.files("app.lookup").joinpath("postcode_rules.toml").read_text("utf-8"))
    assert all(rule["source"] for rule in data["special"])
    assert {rule["status"] for rule in data["special"]} <= set(postcode.KINDS)
    assert len({c for rule in data["special"] for c in rule.get("exact", [])}) == sum(
        len(rule.get("exact", [])) for rule in data["special"]
    )
