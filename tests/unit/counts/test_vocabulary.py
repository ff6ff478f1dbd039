"""The lists that counts are made of: complete, consistent, and without gaps."""

import math
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from app.counts import vocabulary as module
from app.counts.vocabulary import ABSENT, UNRECOGNISED, age_band, five_year_band, vocabulary, wait_band

Data = dict[str, Any]
Rows = list[dict[str, str]]


def test_there_are_178_specialties_each_in_one_of_23_groups() -> None:
    words = vocabulary()
    assert len(words.specialties) == 178
    assert len(words.rtt_groups) == 23
    assert {s.rtt_group for s in words.specialties.values()} == set(words.rtt_groups)
    assert all(code == s.code and len(code) == 3 and code.isdigit() for code, s in words.specialties.items())


@pytest.mark.parametrize(
    ("code", "name", "group"),
    [
        ("340", "Respiratory Medicine Service", "C_340"),
        ("108", "Spinal Surgery Service", "C_110"),
        ("145", "Oral and Maxillofacial Surgery Service", "C_140"),
        ("173", "Thoracic Surgery Service", "C_170"),
        ("142", "Paediatric Dentistry Service", "X04"),
        ("920", "Diabetic Education Service", "X06"),
    ],
)
def test_a_specialty_has_its_national_name_and_group(code: str, name: str, group: str) -> None:
    assert vocabulary().specialties[code] == (code, name, group)


@pytest.mark.parametrize("code", ["349", "728", "729", "312", "500", "600", "990"])
def test_a_code_without_a_name_or_no_longer_a_specialty_is_not_listed(code: str) -> None:
    assert code not in vocabulary().specialties


def test_the_old_group_and_the_total_are_not_groups() -> None:
    assert not {"X01", "C_999"} & set(vocabulary().rtt_groups)


def test_the_words_that_a_caller_may_send_are_these() -> None:
    words = vocabulary()
    assert list(words.contact_types) == [
        "outpatient",
        "elective",
        "emergency",
        "emergency_department",
        "maternity",
        "mental_health",
        "community",
        "diagnostic",
    ]
    assert list(words.attendances) == ["new", "follow_up"]
    assert list(words.modes) == ["in_person", "phone", "video"]
    assert list(words.outcomes) == [
        "attended",
        "did_not_attend",
        "cancelled_by_patient",
        "cancelled_by_provider",
        "admitted",
        "referred",
    ]
    assert list(words.sexes) == ["female", "male", "other", "not_known"]


def test_what_stands_for_nothing_sent_cannot_be_sent() -> None:
    words = vocabulary()
    sendable = (words.specialties, words.contact_types, words.attendances, words.modes, words.outcomes, words.sexes)
    assert not [w for listed in sendable for w in (ABSENT, UNRECOGNISED) if w in listed]


# ------------------------------------------------------------------------------------------------- ages


@pytest.mark.parametrize(
    ("age", "broad", "five"),
    [
        (0, "0-17", "0-4"),
        (4, "0-17", "0-4"),
        (5, "0-17", "5-9"),
        (14, "0-17", "10-14"),
        (15, "0-17", "15-17"),
        (17, "0-17", "15-17"),
        (18, "18-39", "18-19"),
        (19, "18-39", "18-19"),
        (20, "18-39", "20-24"),
        (39, "18-39", "35-39"),
        (40, "40-64", "40-44"),
        (64, "40-64", "60-64"),
        (65, "65-79", "65-69"),
        (79, "65-79", "75-79"),
        (80, "80+", "80-84"),
        (89, "80+", "85-89"),
        (90, "80+", "90+"),
        (130, "80+", "90+"),
    ],
)
def test_an_age_is_in_the_band_whose_first_and_last_year_hold_it(age: int, broad: str, five: str) -> None:
    assert (age_band(age), five_year_band(age)) == (broad, five)


def test_no_five_year_band_lies_across_the_age_of_eighteen() -> None:
    assert not {five_year_band(age) for age in range(18)} & {five_year_band(age) for age in range(18, 131)}


def test_every_age_band_is_reached() -> None:
    words = vocabulary()
    assert tuple(dict.fromkeys(map(age_band, range(131)))) == words.age_bands
    assert tuple(dict.fromkeys(map(five_year_band, range(131)))) == words.five_year_bands
    assert len(words.five_year_bands) == 20


@pytest.mark.parametrize("age", [-1, 131])
@pytest.mark.parametrize("band", [age_band, five_year_band])
def test_an_age_that_nobody_has_is_in_no_band(age: int, band: Callable[[int], str]) -> None:
    with pytest.raises(ValueError, match="0 to 130"):
        band(age)


# ------------------------------------------------------------------------------------------------ waits


@pytest.mark.parametrize(
    ("weeks", "band"),
    [
        (0, "to_18"),
        (18.0, "to_18"),
        (math.nextafter(18, 19), "18_to_26"),
        (26, "18_to_26"),
        (26.1, "26_to_40"),
        (40, "26_to_40"),
        (40.1, "40_to_52"),
        (52, "40_to_52"),
        (52.1, "52_to_65"),
        (65, "52_to_65"),
        (math.nextafter(65, 66), "over_65"),
        (5000, "over_65"),
    ],
)
def test_a_wait_band_includes_its_upper_limit(weeks: float, band: str) -> None:
    assert wait_band(weeks) == band


@pytest.mark.parametrize("weeks", [-0.1, math.nan, math.inf, -math.inf])
def test_what_is_no_length_of_time_is_in_no_wait_band(weeks: float) -> None:
    with pytest.raises(ValueError, match="number of weeks"):
        wait_band(weeks)


# ----------------------------------------------------------------------------------- ethnic categories


def test_one_letter_means_different_things_in_different_nations() -> None:
    words = vocabulary()
    assert words.ethnic_categories["england:B"].name == "White - Irish"
    assert words.ethnic_categories["wales:B"].name == "Gypsy or Irish Traveller"


def test_englands_list_is_whole_and_the_others_are_known_to_be_partial() -> None:
    systems = vocabulary().ethnic_systems
    assert {name: "".join(sorted(systems[name].values)) for name in systems} == {
        "england": "99ABCCLCMCNDEFGHJKLMNPRSZ",
        "wales": "BT",
        "scotland": "1K",
        "northern_ireland": "",
    }


def test_not_stated_not_known_and_not_sent_are_three_values() -> None:
    words = vocabulary()
    england = words.ethnic_systems["england"]
    assert (england.value_of("Z"), england.value_of("99")) == ("not_stated", "not_known")
    assert words.ethnic_grid[-3:] == ("not_stated", "not_known", ABSENT)


# ------------------------------------------------------------------------------------------------ grids


def test_a_grid_holds_every_value_of_its_dimension_once_and_ends_with_not_sent() -> None:
    words = vocabulary()
    assert words.outcome_grid == (*words.outcomes, ABSENT)
    assert words.sex_grid == (*words.sexes, ABSENT)
    assert words.age_grid == (*words.age_bands, ABSENT)
    assert words.wait_grid == tuple(words.wait_bands)
    assert len(set(words.ethnic_grid)) == len(words.ethnic_grid) == 22 + 4 + 3
    assert set(words.ethnic_grid) == (
        set(words.ethnic_categories) | {s.unrecognised for s in words.ethnic_systems.values()} | {ABSENT}
    )


def test_every_word_has_a_label() -> None:
    words = vocabulary()
    lists = (words.contact_types, words.attendances, words.modes, words.outcomes, words.sexes, words.wait_bands)
    assert all(label.strip() for labels in (*lists, words.rtt_groups) for label in labels.values())


def test_every_row_names_a_source_that_is_explained() -> None:
    sources = tomllib.loads(module._text("vocabulary.toml"))["sources"]
    for name in ("treatment_functions", "rtt_groups", "ethnic_categories"):
        for row in module._rows(name):
            assert set(row["source"].split("+")) <= set(sources), row


# ------------------------------------------------------------------------------- lists that are broken


def _duplicate_specialty(_: Data, functions: Rows, __: Rows, ___: Rows) -> None:
    functions[1]["code"] = functions[0]["code"]


def _missing_specialty(_: Data, functions: Rows, __: Rows, ___: Rows) -> None:
    functions.pop()


def _missing_group(_: Data, __: Rows, groups: Rows, ___: Rows) -> None:
    groups.pop()


def _unknown_group(_: Data, functions: Rows, __: Rows, ___: Rows) -> None:
    functions[0]["rtt_group"] = "X01"


def _duplicate_group(_: Data, __: Rows, groups: Rows, ___: Rows) -> None:
    groups[1]["code"] = groups[0]["code"]


def _duplicate_category(_: Data, __: Rows, ___: Rows, ethnic: Rows) -> None:
    ethnic.append(dict(ethnic[0]))


def _unknown_system(_: Data, __: Rows, ___: Rows, ethnic: Rows) -> None:
    ethnic[0]["system"] = "jersey"


def _no_not_stated(_: Data, __: Rows, ___: Rows, ethnic: Rows) -> None:
    ethnic[:] = [row for row in ethnic if row["code"] != "Z"]


def _empty_list(data: Data, *_: Rows) -> None:
    data["modes"] = {}


def _no_categories(_: Data, __: Rows, ___: Rows, ethnic: Rows) -> None:
    ethnic.clear()


def _reserved_word(data: Data, *_: Rows) -> None:
    data["sexes"]["absent"] = "Not sent"


def _gap_in_ages(data: Data, *_: Rows) -> None:
    data["ages"]["broad"][1] = "19-39"


def _no_oldest_band(data: Data, *_: Rows) -> None:
    data["ages"]["five_year"].pop()


def _no_ages(data: Data, *_: Rows) -> None:
    data["ages"]["broad"] = []


def _waits_out_of_order(data: Data, *_: Rows) -> None:
    data["wait_bands"][1]["up_to"] = 18


def _limited_last_wait(data: Data, *_: Rows) -> None:
    data["wait_bands"].pop()


def _no_waits(data: Data, *_: Rows) -> None:
    data["wait_bands"] = []


@pytest.mark.parametrize(
    ("breakage", "sentence"),
    [
        (_duplicate_specialty, "treatment_functions holds a code twice"),
        (_missing_specialty, "there are not 178 treatment functions"),
        (_missing_group, "there are not 23 RTT groups"),
        (_unknown_group, "RTT group that is not listed"),
        (_duplicate_group, "rtt_groups holds a code twice"),
        (_duplicate_category, "ethnic_categories holds a code twice"),
        (_unknown_system, "system that is not listed"),
        (_no_not_stated, "counted as not stated"),
        (_empty_list, "modes is empty"),
        (_no_categories, "ethnic_categories is empty"),
        (_reserved_word, "sexes holds a reserved word"),
        (_gap_in_ages, "does not follow the one before"),
        (_no_oldest_band, "do not end at 130"),
        (_no_ages, "broad is empty"),
        (_waits_out_of_order, "out of order"),
        (_limited_last_wait, "the last wait band has a limit"),
        (_no_waits, "wait_bands is empty"),
    ],
)
def test_lists_that_contradict_themselves_are_refused(breakage: Callable[..., None], sentence: str) -> None:
    data = tomllib.loads(module._text("vocabulary.toml"))
    tables = [
        [dict(row) for row in module._rows(n)] for n in ("treatment_functions", "rtt_groups", "ethnic_categories")
    ]
    breakage(data, *tables)
    with pytest.raises(ValueError, match=sentence):
        module._compose(data, *tables)
