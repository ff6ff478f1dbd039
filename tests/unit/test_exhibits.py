"""Exhibits say what findings say, in titles, rows and twins, and never more."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from app import exhibits
from app.counts.parts import Part
from app.counts.tables import STANDARDISED_TYPES
from app.findings import words
from app.findings.findings import (
    Comparison,
    Fifths,
    FunnelLimit,
    Gap,
    Phase,
    RankedGap,
    Ranking,
    Ratio,
    Reference,
    Refusal,
    Share,
    Source,
    Trend,
    TrendPoint,
    Waits,
    Whole,
)
from app.findings.kinds import MEASURES, unit_of
from app.findings.quality import Completeness, Inclusion
from app.pages.charts import Chart, as_csv, as_json, svg

UNIT, CHILDREN, YEAR, MONTH = unit_of("340"), unit_of("420"), "2025-26", "2025-10"
MISSED, CANCELLED = MEASURES["missed"], MEASURES["cancelled_by_provider"]
HIDDEN = Share(None, 3000, None, "*")


def source(*tables: str, periods: tuple[str, ...] = (YEAR,), synthetic: bool = False) -> Source:
    return Source(tables, periods, "IoD2025", "2026-04-03T04:00:00+00:00", synthetic)


def share(n: int, total: int) -> Share:
    value = round(100 * n / total)
    return Share(n, total, Whole(value, max(value - 2, 0), min(value + 2, 100)))


SHARES = (share(700, 5000), share(480, 4000), share(330, 3000), share(275, 3000), share(200, 2500))


def fifths(measure: str = "missed", shares: tuple[Share, ...] = SHARES, **more: object) -> Fifths:
    what = MISSED if measure == "missed" else CANCELLED
    whole = {
        "measure": what,
        "unit": UNIT,
        "period": YEAR,
        "shares": shares,
        "sii": Whole(7, 5, 9),
        "rii": Ratio(2.0, 1.6, 2.4),
        "fitted": (14, 12, 10, 9, 8),
        "fewer": 230,
        "sentence": words.slope(what, UNIT, YEAR, (15, 7), Whole(7, 5, 9)),
        "refusal": None,
        "source": source("T4 specialty_dna_quintile"),
    }
    return Fifths(**{**whole, **more})  # type: ignore[arg-type]


def gap(measure: str, core20: Share, rest: Share) -> Gap:
    what, found = MEASURES[measure], Whole(4, 1, 8)  # type: ignore[index]
    said = words.gap(what, UNIT, MONTH, core20, rest, found, 40)
    pages = source("T10 waiting_list", periods=(MONTH,))
    return Gap(what, UNIT, MONTH, core20, rest, found, None, True, 40, said, None, pages)


def waits() -> Waits:
    over_18 = gap("over_18_weeks", share(470, 1000), share(860, 2000))
    over_52 = gap("over_52_weeks", share(40, 1000), share(50, 2000))
    return Waits(MONTH, over_18, over_52, (share(530, 1000), share(1140, 2000)), (1000, 2000, None))


def trend(*flags: tuple[str, ...], values: tuple[int | None, ...] = (5, 6, None, 3), measure: str = "missed") -> Trend:
    given = flags or ((),) * len(values)
    points = tuple(
        TrendPoint(f"2025-{i + 4:02d}", value, "*" if value is None else "", flag)
        for i, (value, flag) in enumerate(zip(values, given, strict=True))
    )
    phases = (Phase(0, len(values), 5, 2, 8, True, "IoD2025"),)
    pages = source("T2 specialty_dna_core20", periods=("2025-04", "2025-07"))
    said = "No sign of change: the gap has moved around 5 points. 1 of 4 months cannot be shown."
    what = MEASURES[measure]  # type: ignore[index]
    return Trend(what, UNIT, "gap", points, phases, "common_cause", said, None, pages)


def comparisons() -> tuple[Comparison, ...]:
    pages = source("T12 specialty_new_core20")
    others = Reference("others", "all other specialties", "published tables", "2026-04-03", False, Whole(19, 18, 20))
    residents = Reference("catchment", "Nottingham", "Census 2021", "2021-03-21", True, Whole(26, 26, 26))
    return (
        Comparison(UNIT, YEAR, SHARES[0], others, Ratio(0.7, 0.6, 0.8), "14 against 19 in 100.", None, pages),
        Comparison(UNIT, YEAR, SHARES[0], residents, Ratio(0.5, 0.5, 0.6), "14 against 26 in 100.", None, pages),
    )


def ranking(count: int = 3) -> Ranking:
    rows = tuple(
        RankedGap(unit_of(str(100 + i)), Whole(9 - i, 5 - i, 13 - i), 500 + 10 * i, stands_out=i == 0)
        for i in range(count)
    )
    refused = ((unit_of("650"), Refusal("too_few", "Too few to say.")),)
    limits = (FunnelLimit(100, 1, 9, -2, 12), FunnelLimit(900, 3, 7, 2, 8))
    said = "In the financial year 2025/26, 1 of 3 units stands out. 1 more has no figure."
    return Ranking(MISSED, YEAR, 5, rows, refused, limits, 2.0, 1.3, said, None, source("T4 specialty_dna_quintile"))


def ten_deciles() -> dict[str, Part]:
    return {**{str(d): Part(1000 - 50 * d) for d in range(1, 11)}, "no_decile": Part(240)}


def clients(*names: str) -> tuple[Completeness, ...]:
    pages = source("T11 completeness", periods=(MONTH,))
    return tuple(Completeness(MONTH, name, (), share(970 - 40 * i, 1000), pages) for i, name in enumerate(names))


def inclusion(*parts: tuple[str, Part]) -> Inclusion:
    pages = source("T9 organisation_inclusion", "T9 organisation_access")
    return Inclusion(YEAR, parts, (("interpreter", Part(1200)),), words.inclusion(YEAR), None, pages)


def rates() -> dict[tuple[str, str], Part]:
    return {(kind, str(q)): Part(None, "", 100 - 5 * q) for kind in STANDARDISED_TYPES for q in range(1, 6)}


EVERY: dict[str, Callable[[], Chart]] = {
    "missed_by_fifth": lambda: exhibits.missed_by_fifth(fifths(), fifths("cancelled_by_provider")),
    "gap_trend": lambda: exhibits.gap_trend(trend()),
    "waits_by_core20": lambda: exhibits.waits_by_core20(waits()),
    "whom_we_see": lambda: exhibits.whom_we_see(comparisons()),
    "slope": lambda: exhibits.slope(fifths()),
    "ranking": lambda: exhibits.ranking(ranking()),
    "funnel": lambda: exhibits.funnel(ranking()),
    "deciles": lambda: exhibits.deciles(UNIT, YEAR, ten_deciles(), source("T3 specialty_decile")),
    "completeness": lambda: exhibits.completeness(clients("EPR", "ED")),
    "inclusion": lambda: exhibits.inclusion(inclusion(("homelessness", Part(240)), ("justice", Part(None, "w")))),
    "standardised": lambda: exhibits.standardised(YEAR, rates(), source("T7 organisation_standardised")),
}


@pytest.mark.parametrize("name", EVERY)
def test_every_chart_says_its_question_its_finding_and_where_it_is_from(name: str) -> None:
    chart = EVERY[name]()
    documented = getattr(exhibits, name).__doc__ or ""
    assert chart.question.endswith("?")
    assert documented.startswith(chart.question)
    assert chart.title.endswith(".")
    assert chart.title != chart.question
    assert chart.source.startswith("Table")
    assert chart.source.endswith(", IoD2025, published 3 April 2026.")
    assert svg(chart, 320)
    assert svg(chart)


@pytest.mark.parametrize("name", EVERY)
def test_every_twin_has_a_row_for_each_row_and_every_key_of_its_columns(name: str) -> None:
    chart = EVERY[name]()
    keys = [column.key for column in chart.twin_columns]
    assert len(keys) == len(set(keys))
    assert all(column.key in row for column in chart.columns for row in chart.rows)
    found = list(csv.DictReader(io.StringIO(as_csv(chart).removeprefix("\ufeff"))))
    assert len(found) == len(chart.rows) == len(as_json(chart)["rows"])
    assert list(found[0]) == [*keys, "source", "synthetic"]
    assert json.loads(json.dumps(as_json(chart))) == as_json(chart)


@pytest.mark.parametrize("name", EVERY)
def test_numbers_of_a_chart_are_whole(name: str) -> None:
    chart = EVERY[name]()
    for row in (*chart.rows, *chart.limits):
        assert not [value for value in row.values() if isinstance(value, float)]


def test_charts_that_may_stand_on_one_page_have_ids_of_their_own() -> None:
    found = [make().id for make in EVERY.values()]
    found += [exhibits.slope(fifths("cancelled_by_provider")).id, exhibits.gap_trend(trend(measure="over_18_weeks")).id]
    assert len(found) == len(set(found))


def test_missed_appointments_stand_beside_those_that_the_hospital_cancelled() -> None:
    chart = EVERY["missed_by_fifth"]()
    assert [row["series"] for row in chart.rows] == ["Missed appointments"] * 5 + ["Cancelled by the hospital"] * 5
    assert [row["value"] for row in chart.rows[:5]] == [14, 12, 11, 9, 8]
    assert [row["is_subject"] for row in chart.rows[:5]] == ["yes", "no", "no", "no", "no"]
    assert chart.title.startswith("In the most deprived fifth of areas, 14 in 100")
    assert "in the least deprived fifth, 8 in 100" in chart.title


def test_a_child_was_not_brought() -> None:
    missed = fifths(unit=CHILDREN)
    chart = exhibits.missed_by_fifth(missed, fifths("cancelled_by_provider", unit=CHILDREN))
    assert chart.rows[0]["series"] == "Was not brought"
    assert words.CHILDREN in chart.notes
    assert exhibits.slope(missed).axis == "Was not brought in 100 appointments"


def test_a_hidden_share_has_its_mark_and_no_number() -> None:
    shares = (SHARES[0], HIDDEN, *SHARES[2:])
    refusal = Refusal("hidden", "A count that this rests on is not shown.")
    chart = exhibits.slope(
        fifths(shares=shares, fitted=(), sii=None, rii=None, refusal=refusal, sentence=refusal.sentence)
    )
    row = chart.rows[1]
    assert (row["mark"], row["suppressed"]) == ("*", "*")
    assert [row[key] for key in ("value", "lower", "upper", "lower_ci", "upper_ci", "fitted")] == [None] * 6
    assert chart.title == refusal.sentence


def test_a_share_of_too_few_is_told_from_a_hidden_one() -> None:
    shares = (Share(3, 40, None), *SHARES[1:])
    row = exhibits.slope(fifths(shares=shares, fitted=())).rows[0]
    assert (row["mark"], row["value"], row["total"]) == ("few", None, 40)


def test_fifths_stand_where_their_appointments_are_and_evenly_where_one_is_hidden() -> None:
    assert [row["position"] for row in exhibits.slope(fifths()).rows] == [14, 40, 60, 77, 93]
    shares = (SHARES[0], Share(None, None, None, "w"), *SHARES[2:])
    even = exhibits.slope(fifths(shares=shares, fitted=())).rows
    assert [row["position"] for row in even] == [10, 30, 50, 70, 90]


@pytest.mark.parametrize(
    ("flags", "values", "expected"),
    [
        (("outside_limits",), (5, 9), "worse"),
        (("outside_limits",), (5, 1), "better"),
        (("shift", "near_limit"), (5, 4), "better"),
        (("shift",), (4, 5), "changed"),  # on the mean, as shown
        (("trend",), (9, 8), "better"),  # above the mean, and falling
        (("trend",), (2, 3), "worse"),
        (("trend",), (3, 3), "changed"),
        ((), (5, 9), ""),
    ],
)
def test_a_flag_says_which_way(flags: tuple[str, ...], values: tuple[int, ...], expected: str) -> None:
    assert exhibits.gap_trend(trend((), flags, values=values)).rows[1]["flag"] == expected


def test_where_neither_more_nor_less_is_better_a_flag_says_changed() -> None:
    one = trend((), ("outside_limits",), values=(5, 9), measure="core20_share")
    assert exhibits.gap_trend(replace(one, of="share")).rows[1]["flag"] == "changed"


def test_a_hidden_period_is_never_flagged() -> None:
    assert exhibits.gap_trend(trend((), ("shift",), values=(5, None))).rows[1]["flag"] == ""


def test_the_edition_is_named_in_a_trend_only_where_it_changes() -> None:
    one = trend()
    assert {row["edition"] for row in exhibits.gap_trend(one).rows} == {""}
    two = (Phase(0, 2, 5, 2, 8, True, "IoD2019"), Phase(2, 4, 3, 1, 5, True, "IoD2025"))
    rows = exhibits.gap_trend(replace(one, phases=two)).rows
    assert [row["edition"] for row in rows] == ["IoD2019", "IoD2019", "IoD2025", "IoD2025"]
    assert [row["phase"] for row in rows] == [0, 0, 1, 1]


def test_a_stock_has_no_limits_and_says_why() -> None:
    chart = exhibits.gap_trend(replace(trend(measure="over_18_weeks"), phases=()))
    assert {(row["mean"], row["lower"], row["upper"], row["flag"]) for row in chart.rows} == {(None, None, None, "")}
    assert words.stock_trend() in chart.notes


def test_those_with_no_decile_on_a_list_are_said_and_in_no_bar() -> None:
    chart = EVERY["waits_by_core20"]()
    assert [row["value"] for row in chart.rows] == [47, 43, 4, 2]
    assert [row["core20"] for row in chart.rows] == ["true", "false", "true", "false"]
    assert any("not shown (no decile)" in note for note in chart.notes)


def test_a_unit_stands_beside_all_others_and_the_catchment() -> None:
    chart = EVERY["whom_we_see"]()
    names = [UNIT.name, "All other specialties", "Residents of Nottingham, at the same ages"]
    assert [row["group"] for row in chart.rows] == names
    assert [row["value"] for row in chart.rows] == [14, 19, 26]
    assert chart.rows[2]["lower"] is None  # known without error
    assert chart.rows[0]["is_subject"] == "yes"


def test_a_comparison_that_was_refused_is_drawn_without_a_figure_and_says_why() -> None:
    refusal = Refusal("no_design_effect", "How often people come is not configured.")
    one = Comparison(UNIT, YEAR, Share(None, None, None), None, None, refusal.sentence, refusal, None)
    chart = exhibits.whom_we_see((one,))
    assert [(row["value"], row["mark"]) for row in chart.rows] == [(None, "none")]
    assert chart.title == refusal.sentence
    assert svg(chart)
    with pytest.raises(ValueError, match="empty"):
        exhibits.whom_we_see(())


def test_a_ranking_names_those_without_a_figure_and_why() -> None:
    chart = EVERY["ranking"]()
    assert chart.title == "In the financial year 2025/26, 1 of 3 units stands out."
    assert chart.notes == ("1 more has no figure.", f"{unit_of('650').name}: Too few to say.")
    assert [row["stands_out"] for row in chart.rows] == ["yes", "no", "no"]
    assert (chart.centre, chart.limits) == (5, ())


def test_a_funnel_holds_its_curves() -> None:
    chart = EVERY["funnel"]()
    assert [row["size"] for row in chart.rows] == [500, 510, 520]
    assert chart.limits[0] == {"size": 100, "lower95": 1, "upper95": 9, "lower998": -2, "upper998": 12}


def test_contacts_without_a_decile_stand_apart_and_are_in_no_share() -> None:
    chart = EVERY["deciles"]()
    assert chart.rows[-1]["group"] == "No decile"
    assert chart.rows[-1]["series"] != chart.rows[0]["series"]
    assert chart.title.startswith("26 in 100")  # 950 + 900 of 7,250


@pytest.mark.parametrize("decile", ["1", "2", "7"])
def test_no_share_is_said_of_deciles_of_which_one_is_hidden(decile: str) -> None:
    parts = {**ten_deciles(), decile: Part(None, "w")}
    chart = exhibits.deciles(UNIT, YEAR, parts, source("T3 specialty_decile"))
    assert "in 100" not in chart.title
    assert chart.rows[int(decile) - 1]["suppressed"] == "w"


def test_a_decile_that_is_not_published_is_not_zero() -> None:
    chart = exhibits.deciles(UNIT, YEAR, {}, None)
    assert {(row["value"], row["mark"]) for row in chart.rows} == {(None, "absent")}
    assert chart.source == "Nothing is published of this."


def test_the_least_complete_client_comes_first_and_what_is_hidden_last() -> None:
    found = (*clients("EPR", "ED", "Maternity"), Completeness(MONTH, "Small", (), HIDDEN, None))
    chart = exhibits.completeness(found)
    assert [row["group"] for row in chart.rows] == ["Maternity", "ED", "EPR", "Small"]
    assert chart.title.startswith("Maternity sends the fewest")
    assert exhibits.completeness(()).rows == ()
    assert exhibits.completeness(found[-1:]).title == "No client's postcodes can be shown."


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "مستشفى", "<b>&\"'", "\tx"])
def test_the_name_of_a_client_stays_a_name(name: str) -> None:
    chart = exhibits.completeness(clients(name))
    assert svg(chart)
    cells = next(csv.DictReader(io.StringIO(as_csv(chart).removeprefix("\ufeff"), newline="")))
    assert not cells["client"].startswith(tuple("=+-@\t"))
    assert cells["client"].removeprefix("'") == name
    assert as_json(chart)["rows"][0]["client"] == name


def test_zero_and_hidden_are_told_apart_in_what_records_say() -> None:
    chart = exhibits.inclusion(inclusion(("homelessness", Part(0)), ("justice", Part(None, "*"))))
    assert [(row["value"], row["mark"]) for row in chart.rows] == [(0, ""), (None, "*"), (1200, "")]
    assert any("not recorded as such" in note for note in chart.notes)


def test_a_standardised_rate_is_a_rate_and_says_that_no_crude_one_is_beside_it() -> None:
    chart = EVERY["standardised"]()
    assert [row["value"] for row in chart.rows[:5]] == [95, 90, 85, 80, 75]
    assert "elective 95 against 75" in chart.title
    assert words.NO_CRUDE_RATE in chart.notes
    none = exhibits.standardised(YEAR, {}, None)
    assert none.title == "No standardised rate can be shown."
    assert {(row["value"], row["mark"]) for row in none.rows} == {(None, "absent")}


def test_a_source_names_all_tables_and_the_newest_day() -> None:
    other = replace(source("T12 specialty_new_core20", "T5 specialty_age"), sealed_at="2026-05-01T00:00:00+00:00")
    first, second = comparisons()
    chart = exhibits.whom_we_see((first, replace(second, source=other)))
    assert chart.source == "Tables T5 and T12, financial year 2025/26, IoD2025, published 1 May 2026."
    assert EVERY["gap_trend"]().source == "Table T2, April 2025 to July 2025, IoD2025, published 3 April 2026."


def test_one_synthetic_page_makes_a_chart_synthetic() -> None:
    made_up = fifths("cancelled_by_provider", source=source("T4 specialty_dna_quintile", synthetic=True))
    chart = exhibits.missed_by_fifth(fifths(), made_up)
    assert chart.is_synthetic
    assert as_json(chart)["synthetic"] is True
    assert not EVERY["missed_by_fifth"]().is_synthetic


def test_a_ranking_of_all_178_specialties_can_be_drawn() -> None:
    chart = exhibits.ranking(ranking(178))
    assert len(chart.rows) == 178
    assert svg(chart)


def test_a_chart_of_fifths_with_bars_never_has_a_title_that_says_that_nothing_is_shown() -> None:
    refused = Refusal("hidden", words.hidden("*", 7))
    last = fifths(shares=(*SHARES[:4], HIDDEN), sentence=refused.sentence, refusal=refused)
    first = fifths(shares=(HIDDEN, *SHARES[1:]), sentence=refused.sentence, refusal=refused)
    none = fifths(shares=(HIDDEN,) * 5, sentence=refused.sentence, refusal=refused)
    cancelled = fifths("cancelled_by_provider")
    assert exhibits.missed_by_fifth(last, cancelled).title == (
        "In the most deprived fifth of areas, 14 in 100 Respiratory Medicine appointments were missed;"
        " the least deprived fifth is not shown, in the financial year 2025/26."
    )
    assert exhibits.missed_by_fifth(first, cancelled).title == (
        "The most deprived fifth of areas is not shown, in the financial year 2025/26."
    )
    assert exhibits.missed_by_fifth(none, cancelled).title == refused.sentence


def test_trial_limits_are_said_once_under_a_chart() -> None:
    said = "No sign of change: the gap has moved around 6 points. These are trial limits, on 8 quarters."
    notes = exhibits.gap_trend(replace(trend(), sentence=said)).notes
    assert sum("trial limits" in note for note in notes) == 1
    notes = exhibits.gap_trend(trend()).notes
    assert sum("trial limits" in note for note in notes) == 1
