"""The one finding that is said first, and what stands around it."""

import re

from app.counts.tables import Figure
from app.findings.findings import Whole
from app.findings.kinds import unit_of
from app.findings.options import Options
from app.findings.overview import headline, overview, quarters, units, year_by
from app.findings.quality import completeness, inclusion, quality
from tests.unit.findings.plain import Number, Plain, months

Q = "2026-27-Q2"
MONTHS = months("2026-07", 3)
OPTIONS = Options()


def store(core20: tuple[Number, Number] = (140, 1000), over_18: int = 400) -> Plain:
    made = Plain().missed(Q, "340", core20, (240, 3000))
    for month in MONTHS:
        made.contacts(month, "340", 500, 1500, unknown=60)
    made.waiting("2026-08", "340", core20=(600, 300, 50), rest=(1400, 600, 100))
    return made.waiting(
        "2026-09", "340", core20=(1000 - over_18, over_18, 50), rest=(1400, 600, 100), unknown=(5, 0, 0)
    )


def test_the_largest_certain_gap_comes_first_and_says_of_how_many_it_is() -> None:
    found = overview(store().published(), "340", options=OPTIONS)
    assert found.quarter == Q
    assert [g.absolute for g in found.gaps] == [Whole(6, 4, 8), Whole(10, 6, 14), Whole(0, -2, 2)]
    assert found.behind is found.gaps[1]
    assert found.headline.startswith(
        "Of people waiting in the Respiratory Medicine Service who live in the most deprived"
    )
    assert found.headline.endswith(
        "Of 3 gaps looked at it is one of 2 certain ones, and the largest in points with more in the most deprived"
        " fifth."
    )
    assert (found.waits and found.waits.month, found.organisation, found.is_synthetic) == ("2026-09", "RX1", False)
    assert found.waits is not None
    assert found.waits.list_size == (1000, 2000, 5)
    assert [s.n for s in found.waits.within_18] == [600, 1400]


def test_a_gap_the_other_way_comes_after_any_with_more_in_the_most_deprived_fifth() -> None:
    found = overview(store(over_18=100).published(), "340", options=OPTIONS)
    assert found.gaps[1].absolute is not None
    assert found.gaps[1].absolute.value == -20
    assert found.behind is found.gaps[0]
    assert "the largest in points with more" in found.headline
    alone = overview(store((80, 1000), over_18=100).published(), "340", options=OPTIONS)
    assert alone.behind is alone.gaps[1]
    assert "the other way" in alone.headline


def test_where_no_gap_is_certain_that_is_said() -> None:
    found = overview(store((82, 1000), over_18=300).published(), "340", options=OPTIONS)
    assert found.behind is None
    assert found.headline.startswith(
        "None of 3 gaps is certain. In the most deprived fifth of areas: missed appointments from "
    )


def test_where_nothing_can_be_worked_out_the_reason_is_said() -> None:
    found = overview(Plain().missed(Q, "340", ("*", 1000), (240, 3000)).published(), "340", options=OPTIONS)
    assert found.behind is None
    assert found.headline.startswith("Too few to say anything. Not shown: a count that this rests on is from 1 to 7")
    assert found.waits is None
    assert {g.refusal.code for g in found.gaps if g.refusal} == {"hidden", "not_published"}
    assert headline(())[1] is None


def test_a_headline_of_a_service_for_children_never_says_missed() -> None:
    for pair in ((82, 1000), (140, 1000)):
        made = Plain().missed(Q, "420", pair, (240, 3000)).published()
        found = overview(made, "420", options=OPTIONS).headline
        assert "children were not brought" in found
        assert "missed" not in found


def test_a_reason_is_said_once() -> None:
    made = Plain().missed(Q, "340", (10, 90), (240, 3000)).published()
    said = "Too few to say: each part needs at least 100 appointments, as published."
    assert overview(made, "340", options=OPTIONS).headline == said


def test_an_only_gap_is_said_to_be_the_only_one() -> None:
    found = overview(Plain().missed(Q, "340", (140, 1000), (240, 3000)).published(), "340", options=OPTIONS)
    assert found.behind is found.gaps[0]
    assert found.headline.endswith("It is the only gap that could be looked at.")


def test_a_store_with_nothing_published_has_an_empty_overview_and_the_reason() -> None:
    found = overview(Plain().published(), "")
    assert found.refusal is not None
    assert (found.quarter, found.quarters, found.gaps, found.trend) == (None, (), (), None)
    assert found.headline == "Nothing is published yet: the first month is sealed when it is over."
    of_a_month = overview(Plain().outcomes("2026-07", {"1": {"attended": 100}}).published(), "", "2026-27-Q1")
    assert of_a_month.refusal is not None
    assert (of_a_month.quarter, of_a_month.organisation) == ("2026-27-Q1", "RX1")


def test_quarters_are_the_newest_first_and_an_older_one_knows_nothing_of_what_came_after() -> None:
    made = store()
    made.missed("2026-27-Q3", "340", (300, 1000), (240, 3000)).editions = {"2026-10": "IoD2030"}
    published = made.published()
    assert quarters(published) == ("2026-27-Q3", Q)
    older = overview(published, "340", Q, OPTIONS)
    assert older.trend is not None
    assert [p.period for p in older.trend.points] == [Q]
    assert older.sealed_at == "2026-09-28T00:00:00+00:00"
    assert overview(published, "340", options=OPTIONS).quarter == "2026-27-Q3"


def test_fifths_are_of_the_newest_year_that_was_over() -> None:
    made = Plain().missed("2025-26-Q4", "340", (140, 1000), (240, 3000)).missed(Q, "340", (140, 1000), (240, 3000))
    made.by_fifths("2024-25", "340", [(100, 1000)] * 5).by_fifths("2025-26", "340", [(100, 1000)] * 5)
    published = made.published()
    assert year_by(published, Q) == year_by(published, "2025-26-Q4") == "2025-26"
    assert year_by(published, "2025-26-Q3") == "2024-25"
    assert year_by(published, "2024-25-Q3") is None
    found = overview(published, "340", Q, OPTIONS)
    assert found.missed is not None
    assert found.missed.period == "2025-26"
    assert found.cancelled is not None
    assert found.cancelled.refusal is not None


def test_an_edition_that_changed_in_the_two_years_is_a_break() -> None:
    made = Plain(editions={"2026-04": "IoD2030"}).missed(Q, "340", (140, 1000), (240, 3000))
    for month in months("2024-01", 33):
        made.outcomes(month, {"1": {"attended": 100}})
    (found,) = overview(made.published(), "340", options=OPTIONS).breaks
    assert found.period == "2026-04"
    assert "must not be compared" in found.sentence
    assert overview(Plain().missed(Q, "340", (1, 2), (3, 4)).published(), "340").breaks == ()


def test_units_are_those_with_rows_of_their_own_in_the_quarter_with_their_names() -> None:
    made = store().missed(Q, "X04", (9, 100), (9, 100)).missed(Q, "all_other", (9, 100), (9, 100))
    found = units(made.published(), Q)
    assert [(u.code, u.kind, u.is_for_children) for u in found] == [
        ("340", "specialty", False),
        ("X04", "rtt_group", True),
        ("all_other", "all_other", False),
    ]
    assert units(made.published(), "2026-27-Q1") == ()
    assert unit_of("").kind == "organisation"


def test_contacts_without_a_decile_are_a_share_of_all_contacts_and_warned_of_over_the_limit() -> None:
    made = store().published()
    found = quality(made, "340", Q, OPTIONS)
    assert (found.unknown.n, found.unknown.total) == (180, 6180)
    assert found.unknown.percent == Whole(3, 3, 3)
    assert (found.is_over_limit, "mind what is missing" in found.sentence) == (False, False)
    at_limit = quality(made, "340", Q, Options(unknown_limit=3))
    assert (at_limit.is_over_limit, "limit" in at_limit.sentence) == (False, False)
    strict = quality(made, "340", Q, Options(unknown_limit=2))
    assert "over the limit of 2 in 100" in strict.sentence
    assert (strict.is_over_limit, "mind what is missing" in strict.sentence) == (True, True)
    assert len(set(re.findall(r"\d+ in 100", strict.sentence))) == len(re.findall(r"\d+ in 100", strict.sentence))
    organisation = quality(made, "", Q, OPTIONS)
    assert (organisation.unknown.n, organisation.unknown.total) == (180, 6180)


def test_a_hidden_number_of_contacts_without_a_decile_is_not_said_to_be_none() -> None:
    made = store().contacts(MONTHS[1], "340", 500, 1500, unknown="*").published()
    found = quality(made, "340", Q, OPTIONS)
    assert (found.unknown.percent, found.unknown.mark) == (None, "*")
    assert "does not mean none" in found.sentence
    missing = quality(made, "340", "2026-27-Q3", OPTIONS)
    assert missing.unknown.mark == "absent"


def test_the_organisation_s_unknown_are_counted_over_all_outcomes() -> None:
    made = Plain()
    for month in MONTHS:
        made.outcomes(month, {"1": {"attended": 100, "referred": 50}, "no_decile": {"attended": 30, "referred": 20}})
    found = quality(made.published(), "", Q, OPTIONS)
    assert (found.unknown.n, found.unknown.total) == (150, 600)


def test_completeness_is_told_for_each_client_and_hidden_where_a_part_is() -> None:
    made = Plain()
    for client, numbers in {"ward": (900, 50, 50), "clinic": (900, "*", 50)}.items():
        for status, number in zip(("live", "terminated", "not_found"), numbers, strict=True):
            figure = Figure("completeness", "2026-09", dimension="postcode_status", category=status, client=client)
            made.put(figure, number)
    ward, clinic = completeness(made.published(), "2026-09", OPTIONS)
    assert (ward.client, ward.found.n, ward.found.total, ward.found.percent) == ("ward", 950, 1000, Whole(95, 93, 96))
    assert (clinic.found.percent, clinic.found.mark) == (None, "*")
    assert [status for status, _ in ward.statuses] == ["live", "terminated", "not_found"]
    assert completeness(made.published(), "2026-08", OPTIONS) == ()


def test_inclusion_counts_are_given_as_published_and_said_to_be_of_records_alone() -> None:
    made = Plain()
    made.put(Figure("organisation_inclusion", "2025-26", dimension="inclusion", category="homelessness"), "*")
    made.put(Figure("organisation_access", "2025-26", dimension="access", category="interpreter"), 40)
    found = inclusion(made.published(), "2025-26")
    assert [(name, part.n, part.mark) for name, part in found.groups] == [("homelessness", None, "*")]
    assert [(name, part.n) for name, part in found.needs] == [("interpreter", 40)]
    assert "not recorded as such" in found.sentence
    nothing = inclusion(made.published(), "2024-25")
    assert nothing.refusal is not None
    assert (nothing.groups, nothing.source) == ((), None)
