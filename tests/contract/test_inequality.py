"""The doors of inequality and of trends."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.contract.inequality import CSV_COLUMNS, InequalityAnswer, RankingAnswer, TrendAnswer
from app.counting import database_url, open_store
from app.database import writing
from app.settings import Settings
from tests.databases import opened
from tests.sealed_store import YEAR, fill, sealed
from tests.service import calling, key_for
from tests.unit.findings.waiting import with_waiting_lists

MEASURES = ("missed", "cancelled_by_provider", "over_18_weeks", "over_52_weeks", "core20_share")
FLOWS = ("missed", "cancelled_by_provider", "core20_share")


@pytest.fixture(scope="module")
def settings(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A store with a sealed year, its last month with a waiting list, and an open month."""
    settings = Settings(data_dir=starter, counts_dir=tmp_path_factory.mktemp("counts"))
    key_for(settings, "breakdowns")
    engine = open_store(settings)
    with_waiting_lists(engine, [YEAR[-1]])
    sealed(engine, YEAR, contacts=1500)
    fill(engine, ["2025-04"], contacts=20)
    engine.dispose()
    return settings


@pytest.fixture(scope="module")
def door(settings: Settings) -> Iterator[TestClient]:
    with calling(settings, "breakdowns", raise_server_exceptions=False) as client:
        yield client


def ask(door: TestClient, path: str = "/v1/inequality", **asked: str) -> Any:
    answer = door.get(path, params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("unit", [{}, {"specialty": "340"}, {"specialty": "all_other"}])
@pytest.mark.parametrize("measure", MEASURES)
def test_every_answer_is_as_the_document_describes_it(door: TestClient, measure: str, unit: dict[str, str]) -> None:
    body = ask(door, measure=measure, **unit)
    found = InequalityAnswer.model_validate(body, strict=True)
    assert found.model_dump() == body
    assert (found.measure.name, found.unit.code) == (measure, unit.get("specialty", ""))
    followed = ask(door, "/v1/trend", measure=measure, **unit)
    assert TrendAnswer.model_validate(followed, strict=True).model_dump() == followed
    for answer in (body, followed):
        assert answer["sentence"].endswith(".")
        assert answer["source"] is None or answer["source"]["edition"] == "IoD2025"


@pytest.mark.parametrize("measure", MEASURES)
def test_all_units_side_by_side_have_a_figure_or_a_reason(door: TestClient, measure: str) -> None:
    body = ask(door, measure=measure, by="specialty")
    found = RankingAnswer.model_validate(body, strict=True)
    assert found.model_dump() == body
    assert (found.refusal is None) or found.rows == []


def test_numbers_or_a_refusal_and_never_both(door: TestClient) -> None:
    for measure in MEASURES:
        for unit in ({}, {"specialty": "340"}, {"specialty": "110"}):
            body = ask(door, measure=measure, **unit)
            numbers = [body["absolute"], body["relative"], body["fewer"], body["direction"]]
            if body["refusal"]:
                assert numbers == [None] * 4
                assert body["refusal"]["sentence"] == body["sentence"]
            elif measure != "core20_share":
                assert None not in (body["absolute"], body["direction"])


def test_missed_appointments_of_the_organisation_are_the_sums_of_what_is_published(door: TestClient) -> None:
    body = ask(door, measure="missed", period="2024-25-Q4")
    rows = door.get("/v1/breakdowns/organisation_outcome", params={"period": "all"}).json()["rows"]

    def added(outcomes: set[str], quintiles: set[str]) -> int:
        return sum(
            row["n"]
            for row in rows
            if row["period"] in ("2025-01", "2025-02", "2025-03")
            and row["outcome"] in outcomes
            and row["imd_quintile"] in quintiles
        )

    missed, held = {"did_not_attend"}, {"did_not_attend", "attended"}
    assert body["core20"]["n"] == added(missed, {"1"})
    assert body["core20"]["total"] == added(held, {"1"})
    assert body["rest"]["n"] == added(missed, {"2", "3", "4", "5"})
    assert body["rest"]["total"] == added(held, {"2", "3", "4", "5"})
    assert body["source"]["tables"] == ["T6 organisation_outcome"]
    assert body["source"]["periods"] == ["2025-01", "2025-02", "2025-03"]


def test_a_month_a_quarter_and_a_year_can_be_asked_for(door: TestClient) -> None:
    for period in ("2025-01", "2024-25-Q3", "2024-25"):
        assert ask(door, period=period)["period"] == period
    assert ask(door, period="2025-M01") == ask(door, period="2025-01")
    assert ask(door)["period"] == "2024-25-Q4"
    assert ask(door, measure="over_18_weeks")["period"] == YEAR[-1]


def test_a_share_stands_beside_all_others_but_itself_and_then_the_catchment(door: TestClient) -> None:
    others, catchment = ask(door, measure="core20_share", specialty="340", period="2024-25")["comparisons"]
    rows = door.get("/v1/breakdowns/specialty_new_core20").json()["rows"]
    shown = {(row["specialty"], row["core20"]): row["n"] for row in rows if row["core20"] != "no_decile"}
    core20 = sum(n for (unit, part), n in shown.items() if unit != "340" and part == "true")
    total = sum(n for (unit, _), n in shown.items() if unit != "340")
    assert others["share"]["n"] == shown["340", "true"]
    assert others["reference"]["kind"] == "others"
    assert others["reference"]["percent"]["value"] == round(100 * core20 / total)
    assert "not yet a fair share" in others["sentence"]
    assert catchment["reference"] is None
    assert catchment["refusal"]["code"] == "no_reference"


def test_the_organisation_has_no_others_to_stand_beside(door: TestClient) -> None:
    found = ask(door, measure="core20_share", period="2024-25")["comparisons"]
    assert [c["refusal"]["code"] for c in found] == ["no_reference"]
    assert ask(door, measure="missed", period="2024-25")["comparisons"] == []


def test_standardised_rates_say_why_no_crude_rate_stands_beside_them(door: TestClient) -> None:
    body = ask(door, measure="core20_share", period="2024-25")
    published = door.get("/v1/breakdowns/organisation_standardised").json()["rows"]
    rates = body["standardised"]["rates"]
    assert [r["rate"] for r in rates] == [row["value"] for row in published]
    assert len(rates) == 15
    assert "neither is published" in body["standardised"]["crude"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/inequality?specialty=999", "specialty"),
        ("/v1/inequality?specialty=C_340", "specialty"),
        ("/v1/inequality?rtt_group=340", "rtt_group"),
        ("/v1/inequality?rtt_group=all_other", "rtt_group"),
        ("/v1/inequality?period=2025-04", "period"),  # the open month
        ("/v1/inequality?specialty=340&period=2024-05", "period"),  # another grain
        ("/v1/inequality?measure=over_18_weeks&period=2024-04", "period"),
        ("/v1/inequality?by=specialty&period=2024-05", "period"),
        ("/v1/inequality?by=specialty&measure=core20_share&period=2024-25-Q1", "period"),
        ("/v1/trend?specialty=999", "specialty"),
        ("/v1/trend?measure=cancelled_by_provider&rtt_group=C_999", "rtt_group"),
    ],
)
def test_what_is_not_published_is_not_found(door: TestClient, path: str, field: str) -> None:
    answer = door.get(path)
    assert answer.status_code == 404
    assert answer.json()["errors"] == [{"field": field, "code": "not_found"}]
    assert ("There is: " in answer.json()["detail"]) == (field == "period")


def test_whoever_asks_for_a_period_that_is_not_there_is_told_which_are(door: TestClient) -> None:
    answer = door.get("/v1/inequality?measure=missed&specialty=340&period=2024-05")
    assert answer.json()["detail"] == (
        "Nothing is published there. There is: 2024-25-Q4, 2024-25-Q3, 2024-25-Q2, 2024-25-Q1, 2024-25."
    )
    assert "2024-05" not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "/v1/inequality?speciality=340",
        "/v1/inequality?measure=dna",
        "/v1/inequality?by=decile",
        "/v1/inequality?specialty=340&rtt_group=C_340",
        "/v1/inequality?specialty=340&by=specialty",
        "/v1/inequality?specialty=NG1%201AA",
        "/v1/inequality?period=" + "9" * 13,
        "/v1/inequality?specialty=",
        "/v1/trend?of=ratio",
        "/v1/trend?measure=core20_share&of=gap",
        "/v1/trend?period=2025-01",
    ],
)
def test_a_parameter_that_means_nothing_is_refused_and_not_ignored(door: TestClient, query: str) -> None:
    answer = door.get(query)
    assert answer.status_code == 422
    assert not re.search("NG1|340", answer.text)


@pytest.mark.parametrize("path", ["/v1/inequality", "/v1/inequality?by=specialty&measure=over_18_weeks", "/v1/trend"])
def test_csv_by_accept_or_by_name_suits_excel_and_holds_the_same_numbers(door: TestClient, path: str) -> None:
    by_accept = door.get(path, headers={"Accept": "text/csv"})
    by_name = door.get(path + ("&" if "?" in path else "?") + "format=csv")
    assert by_name.content == by_accept.content
    assert by_name.headers["content-type"] == "text/csv; charset=utf-8"
    assert by_name.content.startswith(b"\xef\xbb\xbf" + ",".join(CSV_COLUMNS).encode())
    rows = list(csv.DictReader(io.StringIO(by_name.content.decode("utf-8-sig"))))
    assert rows
    assert not any(re.fullmatch(r"\d{4}-\d{2}", row["period"]) for row in rows if row["figure"] == "gap")
    body = door.get(path).json()
    if "points" in body:
        assert [row["value"] for row in rows] == [str(p["value"]) for p in body["points"]]
    elif "rows" in body:
        assert [row["value"] for row in rows] == [str(r["percent"]["value"]) for r in body["rows"]] + [""] * len(
            body["refused"]
        )
    else:
        assert {row["figure"]: row["value"] for row in rows}["absolute_gap"] == str(body["absolute"]["value"])


def test_the_same_question_has_the_same_entity_tag_and_is_not_answered_twice(door: TestClient) -> None:
    for path in ("/v1/inequality", "/v1/trend"):
        first = door.get(path)
        again = door.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_a_stock_has_no_limits_no_flags_and_no_verdict(door: TestClient) -> None:
    body = ask(door, "/v1/trend", measure="over_18_weeks")
    assert (body["verdict"], body["phases"]) == (None, [])
    assert [p["flags"] for p in body["points"]] == [[]]
    assert "stock" in body["sentence"]


def test_the_scope_breakdowns_opens_both_doors_and_no_other_does(settings: Settings) -> None:
    with calling(settings, "enrich", "area", "inclusion", "counts:exact", "admin") as client:
        assert client.get("/v1/inequality").status_code == 403
        assert client.get("/v1/trend").status_code == 403


def test_in_an_empty_store_nothing_is_found_and_nothing_breaks(starter: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=starter, counts_dir=tmp_path)
    with calling(settings, raise_server_exceptions=False) as client:
        for measure in MEASURES:
            for query in (f"inequality?measure={measure}", f"inequality?measure={measure}&by=specialty"):
                answer = client.get(f"/v1/{query}")
                assert (answer.status_code, answer.json()["errors"][0]["field"]) == (404, "period")
            answer = client.get(f"/v1/trend?measure={measure}")
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (404, "measure")


def test_while_the_store_cannot_be_read_the_doors_say_so(starter: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=starter, counts_dir=tmp_path)
    with calling(settings) as client:
        with opened(database_url(settings)) as engine, writing(engine) as connection:
            connection.exec_driver_sql("DROP TABLE publication")
        assert client.get("/v1/inequality").status_code == client.get("/v1/trend").status_code == 503


def test_what_a_deployment_decides_reaches_its_answers(settings: Settings, door: TestClient) -> None:
    other = settings.model_copy(update={"design_effect": 4.0, "unknown_limit": 100, "least_denominator": 100_000})
    with calling(other, "breakdowns") as client:
        assert ask(client)["refusal"]["code"] == "too_few"
        assert "at least 100,000" in ask(client)["sentence"]
        assert "design effect" in ask(client)["notes"][0]
    wide = settings.model_copy(update={"design_effect": 4.0, "unknown_limit": 100})
    with calling(wide, "breakdowns") as client:
        widened, plain = ask(client), ask(door)
        assert widened["absolute"]["value"] == plain["absolute"]["value"]
        assert widened["absolute"]["upper"] > plain["absolute"]["upper"]
        assert ask(client, by="specialty")["design_effect"] == 4.0
        assert ask(door, by="specialty")["refusal"]["code"] == "no_design_effect"
        assert "mind what is missing" in plain["notes"][-1]
        assert "mind what is missing" not in widened["notes"][-1]


def test_notes_say_of_limits_only_what_was_done_to_them(settings: Settings) -> None:
    with calling(settings.model_copy(update={"design_effect": 4.0}), "breakdowns") as client:
        first = ask(client, measure="core20_share", by="specialty")
        assert first["design_effect"] is None
        assert "design effect that is set" not in " ".join(first["notes"])
        assert "First contacts" in first["notes"][0]
        over_time = ask(client, "/v1/trend", measure="missed")
        assert "design effect that is set" not in " ".join(over_time["notes"])
        assert "neighbouring points" in over_time["notes"][0]
        assert "design effect that is set" in ask(client, measure="missed", by="specialty")["notes"][0]


def test_csv_holds_the_comparisons_of_a_share_too(door: TestClient) -> None:
    asked = {"measure": "core20_share", "specialty": "340"}
    answer = ask(door, **asked)["comparisons"]
    found = door.get("/v1/inequality", params={**asked, "format": "csv"}).content.decode("utf-8-sig")
    rows = {row["figure"]: row for row in csv.DictReader(io.StringIO(found))}
    for kind, one in zip(("others", "catchment"), answer, strict=True):
        ratio, refusal = one["ratio"], one["refusal"]
        assert rows[f"ratio_to_{kind}"]["value"] == (str(ratio["value"]) if ratio else "")
        assert rows[f"ratio_to_{kind}"]["refusal"] == (refusal["code"] if refusal else "")
        assert rows[f"compared_with_{kind}"]["n"] == str(one["share"]["n"])
