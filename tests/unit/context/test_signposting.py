"""The organisation's directory: the nearest first, nothing past its date, nothing invented."""

from datetime import date
from pathlib import Path

import pytest

from app.context.files import RuleFileError, RuleFolder
from app.context.signposting import Directory
from tests.unit.context.rule_folders import with_lines

DAY = date(2026, 11, 22)
LOCAL = [
    "city,City advice,Help with money,Anyone,,,lad,E06000018,0115 496 0000,,2026-10-01,2027-10-01,the city",
    "icb,Link workers,Social prescribing,Anyone,,,icb,E54000060,,https://example.org/link,2026-10-01,2027-10-01,it",
    "ng,Food bank,Food parcels,Anyone,,,postcode_area,NG,0115 496 0001,,2026-10-01,2027-10-01,the charity",
    "old,Closed,Gone,Anyone,,,lad,E06000018,111,,2024-10-01,2026-11-21,the city",
    "last,Last day,Still here,Anyone,,,lad,E06000018,111,,2024-10-01,2026-11-22,the city",
    "wales,Welsh help,Help,Anyone,,,wales,,,https://example.org/cymru,2026-10-01,2027-10-01,local",
]


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    """The shipped directory and six entries."""
    return Directory.load(RuleFolder(with_lines(tmp_path, "signposts.csv", *LOCAL)))


def test_the_nearest_service_comes_first_and_what_is_elsewhere_is_left_out(directory: Directory) -> None:
    near = [e.id for e in directory.near(DAY, "England", "E54000060", "E06000018", "NG")]
    assert near == ["ng", "city", "last", "icb", "health_costs", "travel_costs", "healthy_start", "streetlink"]
    assert next(e.id for e in directory.near(DAY, "England", "E54000041", "E06000059", "DT")) == "health_costs"


def test_an_entry_past_its_review_date_is_not_shown_and_is_told(directory: Directory) -> None:
    assert [e.id for e in directory.expired(DAY)] == ["old"]
    assert [e.id for e in directory.due(DAY)] == ["last"]
    shown = directory.near(date(2026, 11, 23), "England", None, "E06000018", None)
    assert "last" not in [e.id for e in shown]


def test_another_nation_has_its_own_services_and_an_unknown_home_has_englands(directory: Directory) -> None:
    assert [e.id for e in directory.near(DAY, "Wales", None, None, None)] == ["wales"]
    assert [e.id for e in directory.near(DAY, "Scotland", None, None, None)] == []
    assert len(directory.near(DAY, None, None, None, None)) == 4


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("NG1 1AA", "NG"),
        (" ng11aa", "NG"),
        ("N G1 1AA", "NG"),
        ("NG1 IAA", "NG"),
        ("B1 1BB", "B"),
        ("ZZ99 3VZ", None),
        ("", None),
        (None, None),
    ],
)
def test_the_area_of_a_postcode_is_its_first_letters(directory: Directory, text: str, letters: str | None) -> None:
    assert directory.postcode_area(text) == letters


def test_an_entry_for_an_age_is_shown_at_that_age_and_where_none_is_known(directory: Directory) -> None:
    (healthy_start,) = [e for e in directory.entries if e.id == "healthy_start"]
    assert [healthy_start.is_for(age) for age in (None, 0, 55, 56, 84)] == [True, True, True, False, False]


def test_shipped_entries_have_a_source_and_a_date_and_say_that_nobody_checked_them() -> None:
    entries = Directory.load(RuleFolder()).entries
    assert {e.name for e in entries} == {
        "Help with health costs",
        "Healthcare Travel Costs Scheme",
        "NHS Healthy Start",
        "StreetLink",
    }
    for entry in entries:
        assert entry.reviewed is None
        assert "to be checked" in entry.source


@pytest.mark.parametrize(
    ("line", "column"),
    [
        (
            "city,Twice,x,Anyone,,,lad,E06000018,111,,2026-01-01,2027-01-01,s\ncity,a,b,c,,,uk,,111,,2026-01-01,2027-01-01,s",
            "id",
        ),
        (",a,b,c,,,uk,,111,,2026-01-01,2027-01-01,s", "id"),
        ("x,,b,c,,,uk,,111,,2026-01-01,2027-01-01,s", "name"),
        (f"x,{'a' * 61},b,c,,,uk,,111,,2026-01-01,2027-01-01,s", "name"),
        ("x,a,b,c,,,mars,,111,,2026-01-01,2027-01-01,s", "area"),
        ("x,a,b,c,,,lad,Nottingham,111,,2026-01-01,2027-01-01,s", "area_code"),
        ("x,a,b,c,,,uk,E06000018,111,,2026-01-01,2027-01-01,s", "area_code"),
        ("x,a,b,c,,,uk,,,,2026-01-01,2027-01-01,s", "phone"),
        ("x,a,b,c,,,uk,,call us,,2026-01-01,2027-01-01,s", "phone"),
        ("x,a,b,c,,,uk,,,http://example.org,2026-01-01,2027-01-01,s", "url"),
        ("x,a,b,c,,,uk,,,javascript:alert(1),2026-01-01,2027-01-01,s", "url"),
        ("x,a,b,c,,,uk,,,https://,2026-01-01,2027-01-01,s", "url"),
        ("x,a,b,c,old,,uk,,111,,2026-01-01,2027-01-01,s", "from_age"),
        ("x,a,b,c,,131,uk,,111,,2026-01-01,2027-01-01,s", "to_age"),
        ("x,a,b,c,,,uk,,,https://user@example.org/,2026-01-01,2027-01-01,s", "url"),
        ("x,a,b,c,,,uk,,,https://example.org/our plan,2026-01-01,2027-01-01,s", "url"),
        ("x,a,b,c,,,uk,,111,,01/01/2026,2027-01-01,s", "reviewed"),
        ("x,a,b,c,,,uk,,111,,2026-01-01,,s", "review_by"),
        ("x,a,b,c,,,uk,,111,,2026-01-01,2025-01-01,s", "review_by"),
        ("x,a,b,c,,,uk,,111,,2026-01-01,2027-01-01,", "source"),
    ],
)
def test_an_entry_that_could_not_be_shown_is_refused_with_its_line_and_column(
    tmp_path: Path, line: str, column: str
) -> None:
    local = with_lines(tmp_path, "signposts.csv", line)
    with pytest.raises(RuleFileError, match=rf"^signposts\.csv, line \d+, {column}: "):
        Directory.load(RuleFolder(local))
