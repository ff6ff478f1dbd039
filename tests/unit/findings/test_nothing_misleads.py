"""What is said holds: no direction, no certainty, no period and no comparison that the figures do not bear."""

from dataclasses import replace

import pytest

from app import exhibits
from app.counts.parts import Part, Publication, Published
from app.counts.tables import Figure
from app.counts.vocabulary import vocabulary
from app.dashboard.ranks import heading
from app.findings.fifths import fifths
from app.findings.findings import Trend, Whole
from app.findings.gaps import gap
from app.findings.kinds import unit_of
from app.findings.options import Options
from app.findings.overview import headline
from app.findings.quality import inclusion
from app.findings.ranking import ranking
from app.findings.representation import comparisons
from app.findings.shares import core20_share, standardised
from app.findings.trends import trend
from app.report.content import key_figures
from tests.unit.findings.invented import QUARTER, YEAR, Given
from tests.unit.findings.plain import Plain, months
from tests.unit.findings.test_representation import NOBODY, catchment

OPTIONS = Options()
LAST_TWO_YEARS = months("2024-10", 24)
HELD = "Counting began within this period: it holds November 2024 to December 2024 only."


def over_time(*missed: int | None, others: int = 20) -> Trend:
    """The organisation's gap by month: so many missed of 400 in fifth 1, and of 250 in each of the others."""
    store = Plain()
    for month, core20 in zip(months("2024-10", len(missed)), missed, strict=True):
        store.outcomes(month, {q: {"did_not_attend": others, "attended": 250 - others} for q in ("2", "3", "4", "5")})
        first = {"did_not_attend": "*", "attended": 300} if core20 is None else {}
        store.outcomes(month, {"1": first or {"did_not_attend": core20 or 0, "attended": 400 - (core20 or 0)}})
    return trend(store.published(), "missed", "", OPTIONS)


def test_a_gap_that_turned_round_has_changed_and_not_narrowed() -> None:
    found = over_time(*(44, 40, 43, 41, 45, 42) * 3, 5)  # some 2 or 3 points; then 7 points the other way
    assert found.points[-1].value == -7
    assert found.verdict == "changed"
    assert "the gap in missed appointments has changed" in found.sentence.lower()


def test_a_gap_that_comes_to_nothing_has_narrowed() -> None:
    found = over_time(*(84, 80, 83, 81, 85, 82) * 3, 32)
    assert (found.points[-1].value, found.verdict) == (0, "improving")


@pytest.mark.parametrize(
    ("missed", "others", "flag", "verdict"),
    [
        ((*(24, 20, 23, 21, 25, 22) * 3, 44), 60, "better", "improving"),  # 18 points the other way, then 13
        ((*(24, 20, 23, 21, 25, 22) * 3, 4), 60, "worse", "worsening"),
        ((*(32, 33, 31, 32, 34, 30) * 3, 60), 20, "changed", "changed"),  # about none, then 7
        ((*(44, 40, 43, 41, 45, 42) * 3, 5), 20, "changed", "changed"),  # turned round
    ],
)
def test_a_point_is_marked_as_the_verdict_says(missed: tuple[int, ...], others: int, flag: str, verdict: str) -> None:
    found = over_time(*missed, others=others)
    assert found.verdict == verdict
    assert list(exhibits.gap_trend(found).rows)[-1]["flag"] == flag


def test_where_the_newest_months_are_hidden_the_evidence_is_of_the_last_ones_shown() -> None:
    found = over_time(*(84, 80, 83, 81, 85, 82) * 3, 150, None, None)
    assert "the last month that is shown is above the upper limit" in found.sentence


def test_points_without_neighbours_are_not_too_few_but_too_scattered() -> None:
    found = over_time(*(84, None, 80, None, 83, None, 85, None) * 3)
    assert found.verdict == "too_few"
    assert "12 months of the 8" not in found.sentence
    assert "no two months that follow each other are shown" in found.sentence


def begun(store: Plain | Given, *tables: str) -> Published:
    """The same pages, of which some say that counting began within their period."""
    known = store.published() if isinstance(store, Plain) else store.published
    pages = [
        replace_sentence(p, f"Contacts. {HELD} Counts from 1.") if p.table in tables else p for p in known.publications
    ]
    return Published(known.pages, pages)


def replace_sentence(page: Publication, sentence: str) -> Publication:
    return page._replace(sentence=sentence)


def test_a_period_that_is_not_whole_is_said_wherever_its_figures_are() -> None:
    quarter = "2024-25-Q3"
    store = Plain().missed(quarter, "340", (140, 1000), (240, 3000)).missed("2024-25-Q4", "340", (140, 1000), (9, 900))
    known = begun(store, "specialty_dna_core20")
    whole = Published(known.pages, [p for p in known.publications if p.period == quarter])
    known = Published(known.pages, [p if p.period == quarter else p._replace(sentence="") for p in known.publications])
    found = gap(whole, "missed", "340", quarter, OPTIONS)
    assert found.absolute == Whole(6, 4, 8)
    said = [found.sentence, headline([found])[0]]
    over_quarters = trend(known, "missed", "340", OPTIONS).sentence
    in_words = "the quarter October to December 2024"
    said.append(over_quarters.replace(f"Counting began within {in_words}", "Counting began within this period"))
    by_fifths = Plain().by_fifths("2024-25", "340", [(n, 1000) for n in (150, 130, 110, 90, 70)])
    said.append(fifths(begun(by_fifths, "specialty_dna_quintile"), "missed", "340", "2024-25", OPTIONS).sentence)
    first = Given()
    first.first_contacts({"340": (240, 760), "110": (150, 850)})
    first.missed("340", 100, 1000, 200, 3000)
    began = begun(first, "specialty_new_core20", "specialty_dna_core20")
    said += [found.sentence for found in comparisons(began, "340", None, catchment(), OPTIONS)]
    said += [ranking(began, "core20_share", YEAR, OPTIONS).sentence]
    said += [ranking(began, "missed", QUARTER, Options(design_effect=2.0)).sentence]
    assert [sentence.count(HELD) for sentence in said] == [1] * len(said)
    assert "Counting began" not in gap(store.published(), "missed", "340", quarter, OPTIONS).sentence


def test_no_sum_of_two_editions_is_shown_beside_the_refusal() -> None:
    store = Plain(editions={"2026-09": "IoD2030"})
    for month in ("2026-07", "2026-08", "2026-09"):
        store.contacts(month, "340", 200, 600)
        store.outcomes(month, {q: {"did_not_attend": 20, "attended": 300} for q in ("1", "2", "3", "4", "5")})
    quarter, published = "2026-27-Q2", store.published()
    found = gap(published, "missed", "", quarter, OPTIONS)
    by_fifths = fifths(published, "missed", "", quarter, OPTIONS)
    share = core20_share(published, "340", quarter, OPTIONS)
    for refusal in (found.refusal, by_fifths.refusal, share.refusal):
        assert refusal is not None
        assert refusal.code == "other_edition"
    for one in (found.core20, found.rest, *by_fifths.shares, share.share):
        assert (one.n, one.total, one.percent) == (None, None, None)


@pytest.mark.parametrize("many", [1, 2, 9])
def test_under_ten_services_none_can_stand_out_and_that_is_said_not_taken_for_calm(many: int) -> None:
    # Of n units none is further from their centre than the root of n times their spread, and 3.09 is over 3.
    given_ = Given()
    for unit in list(vocabulary().specialties)[:many]:
        given_.missed(unit, 300, 3000, 800, 10000)
    given_.missed(next(iter(vocabulary().specialties)), 1500, 3000, 800, 10000)
    found = ranking(given_.published, "missed", QUARTER, Options(design_effect=2.0))
    assert not any(row.stands_out for row in found.rows)
    assert "none of" not in found.sentence
    assert "fewer than 10" in found.sentence
    assert "that does not mean that all are alike" in found.sentence


@pytest.mark.parametrize(
    ("many", "out", "says"), [(9, 0, "too few services"), (21, 1, "1 of 21 stands"), (21, 2, "2 of 21 stand ")]
)
def test_the_heading_of_a_ranking_says_no_more_than_the_ranking(many: int, out: int, says: str) -> None:
    given_ = Given()
    for i, unit in enumerate(list(vocabulary().specialties)[:many]):
        given_.missed(unit, 1200 if i < out else 300, 3000, 800, 10000)
    assert says in heading(ranking(given_.published, "missed", QUARTER, Options(design_effect=2.0)))


def test_of_a_service_for_children_no_page_says_that_anything_was_missed() -> None:
    store = Plain().missed("2026-27-Q2", "420", (160, 1000), (180, 3000))
    (figure,) = key_figures([gap(store.published(), "missed", "420", "2026-27-Q2", OPTIONS)])
    assert figure.label == "Was not brought: the gap"


def test_all_other_specialties_are_not_set_beside_themselves_in_words() -> None:
    given_ = Given()
    given_.first_contacts({"340": (240, 760), "110": (150, 850), "all_other": (250, 1750)})
    others, _ = comparisons(given_.published, "all_other", None, NOBODY, OPTIONS)
    assert others.reference is not None
    assert others.reference.name == "the specialties with rows of their own"
    assert others.sentence.count("all other specialties") == 1


@pytest.mark.parametrize(("core20", "is_certain"), [(105, False), (100, False), (200, True)])
def test_a_share_whose_ratio_may_be_one_is_not_said_to_differ(core20: int, is_certain: bool) -> None:
    given_ = Given()
    given_.first_contacts({"340": (core20, 900), "110": (1000, 9000)})
    others, _ = comparisons(given_.published, "340", None, NOBODY, OPTIONS)
    assert ("Whether the shares differ is not certain" in others.sentence) != is_certain


def test_a_share_of_deciles_is_of_contacts_that_have_one() -> None:
    parts = {str(d): Part(100) for d in range(1, 11)} | {"no_decile": Part(5000)}
    chart = exhibits.deciles(unit_of("340"), YEAR, parts, None)
    assert chart.title.startswith("20 in 100 contacts in the Respiratory Medicine Service with a decile come from")


def test_of_two_gaps_as_large_neither_is_the_largest() -> None:
    store = Plain().missed("2026-27-Q2", "340", (160, 1000), (180, 3000))
    one = gap(store.published(), "missed", "340", "2026-27-Q2", OPTIONS)
    assert one.is_certain
    assert "the largest" not in headline([one, replace(one)])[0]
    said = "and none of those with more in the most deprived fifth is larger in points."
    assert said in headline([one, replace(one)])[0]


def test_rates_and_counts_of_a_year_that_is_not_whole_say_so() -> None:
    given_ = Given()
    given_.add(Figure("organisation_standardised", YEAR, contact_type="elective", imd_quintile="1"), 40)
    given_.add(Figure("organisation_inclusion", YEAR, category="homelessness"), 40)
    began = begun(given_, "organisation_standardised", "organisation_inclusion")
    rates = standardised(began, YEAR)
    assert rates is not None
    assert rates.what.endswith(HELD)
    assert inclusion(began, YEAR).sentence.endswith(HELD)
    assert exhibits.deciles(unit_of("340"), YEAR, {}, None, f" {HELD}").notes[0] == HELD
    whole = standardised(given_.published, YEAR)
    assert whole is not None
    assert "Counting began" not in whole.what


@pytest.mark.parametrize(("no_age", "is_matched"), [(50, True), (900, False)])
def test_ages_that_most_records_lack_match_nothing(no_age: int, is_matched: bool) -> None:
    given_ = Given()
    given_.first_contacts({"340": (240, 760)})
    given_.ages("340", {"0-17": 100, "18-39": 200, "40-64": 300, "65-79": 300, "80+": 100, "absent": no_age})
    residents = catchment(dict.fromkeys(("0-17", "18-39", "40-64", "65-79", "80+"), (60, 200)))
    (_, found) = comparisons(given_.published, "340", YEAR, residents, OPTIONS)
    assert found.reference is not None
    assert found.reference.is_age_matched == is_matched
    assert ("have no age on record" in found.sentence) != is_matched
