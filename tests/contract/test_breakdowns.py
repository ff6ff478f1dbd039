"""The doors of published tables and of exact counts."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.contract.breakdowns import Breakdown, Breakdowns, ExactCounts
from app.counting import database_url, open_store
from app.counts.published import COLUMNS
from app.counts.tables import TABLES
from app.database import writing
from app.settings import Settings
from tests.databases import opened
from tests.sealed_store import YEAR, fill, sealed
from tests.service import bearer, calling, key_for
from tests.unit.counts.events import value

ALL_BUT_EXACT = ("enrich", "area", "inclusion", "breakdowns", "admin")


@pytest.fixture(scope="module")
def settings(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A store with a sealed year and an open month."""
    settings = Settings(data_dir=starter, counts_dir=tmp_path_factory.mktemp("counts"))
    key_for(settings, *ALL_BUT_EXACT)
    engine = open_store(settings)
    sealed(engine, YEAR)
    fill(engine, ["2025-04"], contacts=20)
    engine.dispose()
    return settings


@pytest.fixture(scope="module")
def tables(settings: Settings) -> Iterator[TestClient]:
    with calling(settings, raise_server_exceptions=False) as client:
        yield client


def test_the_closed_list_names_every_table_and_its_periods(tables: TestClient) -> None:
    listed = Breakdowns.model_validate(tables.get("/v1/breakdowns").json())
    assert [t.table for t in listed.tables] == list(TABLES)
    assert {t.number for t in listed.tables} == {f"T{n}" for n in range(1, 13)}
    assert next(t.periods for t in listed.tables if t.table == "specialty_core20") == YEAR
    assert next(t.periods for t in listed.tables if t.table == "waiting_list") == []


@pytest.mark.parametrize("table", [name for name in TABLES if name != "waiting_list"])
def test_every_table_is_as_the_document_describes_it(tables: TestClient, table: str) -> None:
    body = tables.get(f"/v1/breakdowns/{table}", params={"period": "all"}).json()
    found = Breakdown.model_validate(body, strict=True)
    assert found.model_dump() == body
    assert all(tuple(row) == COLUMNS for row in body["rows"])
    assert TABLES[table].shows in found.sentence
    assert TABLES[table].leaves_out in found.sentence


def test_rows_come_in_the_order_of_their_periods_and_within_one_of_the_table(tables: TestClient) -> None:
    deciles = [row["imd_decile"] for row in tables.get("/v1/breakdowns/specialty_decile").json()["rows"]]
    assert deciles == [*map(str, range(1, 11)), "no_decile"] * 3
    rows = tables.get("/v1/breakdowns/specialty_core20", params={"period": "all"}).json()["rows"]
    assert [row["period"] for row in rows[::9]] == YEAR


def test_zero_hidden_and_shown_can_be_told_apart(tables: TestClient) -> None:
    rows = tables.get("/v1/breakdowns/organisation_outcome").json()["rows"]
    kinds = {(row["n"] == 0, row["n"] is None, row["suppressed"]) for row in rows}
    assert (True, False, None) in kinds
    assert (False, True, "*") in kinds
    assert (False, False, None) in kinds
    assert all((row["n"] is None) == (row["suppressed"] is not None) for row in rows)
    assert all(row["n"] is None or row["n"] % 5 == 0 for row in rows)


def test_unknown_has_its_own_row_and_is_in_no_share(tables: TestClient) -> None:
    rows = tables.get("/v1/breakdowns/specialty_core20").json()["rows"]
    unknown = [row for row in rows if row["core20"] == "no_decile"]
    assert len(unknown) == 3
    assert all(row["value"] is None for row in unknown)
    shares = [row["value"] for row in rows if row["specialty"] == "340" and row["core20"] != "no_decile"]
    assert sum(shares) == 100


def test_the_newest_period_is_the_default_and_filters_only_choose_rows(tables: TestClient) -> None:
    whole = tables.get("/v1/breakdowns/specialty_core20", params={"period": "all"}).json()["rows"]
    newest = tables.get("/v1/breakdowns/specialty_core20").json()["rows"]
    assert newest == [row for row in whole if row["period"] == "2025-03"]
    chosen = tables.get("/v1/breakdowns/specialty_core20", params={"period": "2024-07", "specialty": "340"}).json()
    assert chosen["rows"] == [row for row in whole if (row["period"], row["specialty"]) == ("2024-07", "340")]


def test_filters_are_said_in_the_sentence_and_what_matches_nothing_is_not_repeated(tables: TestClient) -> None:
    asked = {"specialty": "340", "core20": "true"}
    body = tables.get("/v1/breakdowns/specialty_core20", params=asked).json()
    assert body["sentence"].endswith("Only the rows for specialty 340 (Respiratory Medicine Service), Core20 true.")
    assert [(row["core20"], row["specialty_name"]) for row in body["rows"]] == [
        ("true", "Respiratory Medicine Service")
    ]
    nothing = tables.get("/v1/breakdowns/specialty_core20", params={"specialty": "NG1 1AA"}).json()
    assert nothing["rows"] == []
    assert "NG1" not in nothing["sentence"]


def test_csv_by_accept_or_by_name_holds_the_same_rows_and_suits_excel(tables: TestClient) -> None:
    by_name = tables.get("/v1/breakdowns/specialty_core20", params={"format": "csv", "period": "all"})
    by_accept = tables.get("/v1/breakdowns/specialty_core20", params={"period": "all"}, headers={"Accept": "text/csv"})
    assert by_name.content == by_accept.content
    assert by_name.headers["content-type"] == "text/csv; charset=utf-8"
    assert by_name.content.startswith(b"\xef\xbb\xbfperiod,organisation,specialty,rtt_group,")
    rows = list(csv.DictReader(io.StringIO(by_name.content.decode("utf-8-sig"))))
    json_rows = tables.get("/v1/breakdowns/specialty_core20", params={"period": "all"}).json()["rows"]
    assert [(r["n"], r["suppressed"]) for r in rows] == [
        ("" if r["n"] is None else str(r["n"]), r["suppressed"] or "") for r in json_rows
    ]
    assert all(re.fullmatch(r"\d{4}-M\d{2}", r["period"]) for r in rows)  # Excel takes 2024-04 for a date


def test_a_month_as_csv_writes_it_can_be_asked_for(tables: TestClient) -> None:
    answers = [tables.get("/v1/breakdowns/completeness", params={"period": p}).json() for p in ("2024-05", "2024-M05")]
    assert answers[0] == answers[1]


def test_the_same_question_has_the_same_entity_tag_and_is_not_answered_twice(tables: TestClient) -> None:
    first = tables.get("/v1/breakdowns/specialty_core20")
    again = tables.get("/v1/breakdowns/specialty_core20", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == again.headers["cache-control"] == "private, no-cache"
    other = tables.get("/v1/breakdowns/specialty_core20", params={"period": "2024-05"})
    assert other.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/breakdowns/patients", "table"),
        ("/v1/breakdowns/flow", "table"),
        ("/v1/breakdowns/waiting_list", "period"),
        ("/v1/breakdowns/specialty_core20?period=2025-04", "period"),  # the open month
        ("/v1/breakdowns/specialty_core20?period=2024-25", "period"),  # another grain
        ("/v1/breakdowns/specialty_decile?period=2024-04", "period"),
    ],
)
def test_what_is_not_published_is_not_found(tables: TestClient, path: str, field: str) -> None:
    answer = tables.get(path)
    assert answer.status_code == 404
    assert answer.json()["errors"] == [{"field": field, "code": "not_found"}]


@pytest.mark.parametrize(
    "query", ["speciality=340", "format=xlsx", "period=" + "9" * 41, "specialty=%00", "from=2024-04-01"]
)
def test_a_parameter_that_is_not_known_is_refused_and_not_ignored(tables: TestClient, query: str) -> None:
    answer = tables.get(f"/v1/breakdowns/specialty_core20?{query}")
    assert answer.status_code == 422
    assert "340" not in answer.text


def test_exact_counts_need_their_scope(tables: TestClient, settings: Settings) -> None:
    asked = {"month": "2024-04", "by": "outcome"}
    key = key_for(settings)
    for wrong in ("Bearer wrong", f"Basic {key}", "Bearer", f"Bearer {key}x", "Bearer é"):
        answer = tables.get("/v1/counts", params=asked, headers=[(b"Authorization", wrong.encode("latin-1"))])
        assert answer.status_code == 401, wrong
        assert answer.headers["www-authenticate"] == "Bearer"
    other = bearer(key_for(settings, *ALL_BUT_EXACT))
    assert tables.get("/v1/counts", params=asked, headers=other).status_code == 403


def test_exact_counts_are_exact_and_each_read_is_on_record(tables: TestClient, settings: Settings) -> None:
    answer = tables.get("/v1/counts?month=2024-06&by=sex")
    found = ExactCounts.model_validate(answer.json(), strict=True)
    assert found.total == sum(row.n for row in found.rows) == 300
    assert answer.headers["cache-control"] == "no-store"
    engine = open_store(settings)
    reads = "SELECT count(*) FROM exact_read WHERE month = '2024-06' AND \"by\" = 'sex' AND who = 'tests'"
    assert value(engine, reads) == 1
    engine.dispose()


@pytest.mark.parametrize(
    "by",
    ["specialty", "type", "attendance", "outcome", "band", "age_band", "ethnic_category", "five_year_age", "status"],
)
def test_a_month_has_the_same_total_whatever_it_is_counted_by(tables: TestClient, by: str) -> None:
    answer = tables.get(f"/v1/counts?month=2024-07&by={by}").json()
    assert answer["total"] == 300


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("month=2025-04&by=sex", 404),  # open
        ("month=2031-04&by=sex", 404),
        ("month=2024-4&by=sex", 422),
        ("month=2024-04&by=postcode", 422),
        ("month=2024-04", 422),
        ("month=2024-04&by=sex&specialty=340", 422),
    ],
)
def test_exact_counts_of_anything_else_are_refused(tables: TestClient, query: str, status: int) -> None:
    assert tables.get(f"/v1/counts?{query}").status_code == status


def test_while_the_store_cannot_be_read_the_tables_say_so_and_enrichment_goes_on(starter: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=starter, counts_dir=tmp_path)
    with calling(settings) as client:
        with opened(database_url(settings)) as engine, writing(engine) as connection:
            for table in ("publication", "flow"):
                connection.exec_driver_sql(f"DROP TABLE {table}")
        assert client.get("/v1/breakdowns").status_code == 503
        assert client.get("/v1/breakdowns/specialty_core20").status_code == 503
        answer = client.post("/v1/enrich", json={"postcode": "NG1 1AA", "contact": {}}).json()
        assert (answer["imd_decile"], answer["counted"]) == (3, False)
