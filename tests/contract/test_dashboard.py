"""The dashboard's doors: who may open them, what is not there, and that every number is the API's."""

import csv
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from app.counting import open_store
from app.counts.seal import declare_units, seal
from app.counts.store import Batch, CountStore
from app.database import writing
from app.doors import DOORS
from app.pages import charts
from app.settings import Settings
from tests.sealed_store import PUBLISHER, YEAR, event, sealed
from tests.service import bearer, calling, key_for

UNIT = "/dashboard/specialties/340"
PAGES = (
    "/dashboard",
    UNIT,
    f"{UNIT}/detail",
    "/dashboard/ranking",
    "/dashboard/ranking?measure=missed",
    "/dashboard/ranking?measure=over_18_weeks",
    "/dashboard/completeness",
    "/dashboard/inclusion-health",
    "/dashboard/editions",
    "/dashboard/practice",
    "/dashboard/help",
)
MISSING = (
    "/dashboard?period=NG1",
    "/dashboard?period=2019-20-Q1",
    "/dashboard/specialties/NG11AA",
    "/dashboard/specialties/999",
    f"{UNIT}?period=2024-07",
    f"{UNIT}/detail?period=NG1",
    f"{UNIT}/brief?period=NG1",
    "/dashboard/ranking?measure=NG1",
    "/dashboard/practice?specialty=NG1",
    "/dashboard/practice?format=NG1",
    "/dashboard/figures/NG1",
    "/dashboard/figures/missed-by-fifth?format=NG1",
    "/dashboard/figures/missed-by-fifth?unit=NG1",
    "/dashboard/figures/missed-by-fifth?unit=340&measure=NG1",
)
CELLS = ("flow", "one_way", "organisation_total", "age_sex", "completeness", "waiting_list", "waiting_list_snapshot")
TWIN = re.compile(r'href="([^"]*dashboard/figures/[^"]*)"')


@pytest.fixture(scope="module")
def settings(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A store with a sealed year, large enough that something can be said of it."""
    settings = Settings(data_dir=starter, counts_dir=tmp_path_factory.mktemp("counts"))
    key_for(settings, "breakdowns")
    key_for(settings, "enrich")
    key_for(settings)
    engine = open_store(settings)
    sealed(engine, YEAR, contacts=3000)
    engine.dispose()
    return settings


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    with calling(settings, raise_server_exceptions=False, follow_redirects=False) as client:
        yield client


def twins(client: TestClient, path: str) -> list[str]:
    """The addresses of the CSV and JSON of every chart on a page."""
    html = client.get(path).text
    up = "../" * (path.partition("?")[0].count("/") - 1)
    return [found.replace("&amp;", "&").removeprefix(f"{up}./") for found in TWIN.findall(html)]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_for_the_scope_of_published_tables_and_for_no_other(
    client: TestClient, settings: Settings, path: str
) -> None:
    may, may_not = key_for(settings, "breakdowns"), key_for(settings, "enrich")
    assert client.get(path, headers=bearer(may)).status_code == 200
    assert client.get(path, headers=bearer(may_not)).status_code == 403
    assert client.get(path, headers=bearer("imdl_nobodys")).status_code == 401


def test_every_door_of_the_dashboard_needs_that_scope() -> None:
    doors = [door for door in DOORS if door.path.startswith("/dashboard")]
    assert len(doors) == 11
    assert {(door.method, door.scope, door.kind) for door in doors} == {("GET", "breakdowns", "page")}


@pytest.mark.parametrize(
    ("path", "to"), [("/dashboard", "dashboard"), (UNIT, "dashboard"), ("/dashboard/help", "dashboard_help")]
)
def test_whoever_is_not_signed_in_is_led_to_the_sign_in_and_back(client: TestClient, path: str, to: str) -> None:
    del_key = {name: value for name, value in client.headers.items() if name != "authorization"}
    with TestClient(client.app, headers=del_key, follow_redirects=False) as nobody:
        answer = nobody.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].endswith(f"sign-in?to={to}")


@pytest.mark.parametrize("path", MISSING)
def test_what_is_not_there_is_said_without_repeating_what_was_asked(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "NG1" not in answer.text + str(answer.headers)
    assert "999" not in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_no_script_asks_nobody_else_and_is_kept_by_its_tag(client: TestClient, path: str) -> None:
    answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; style-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "private, no-cache"
    assert "<script" not in answer.text
    assert " style=" not in answer.text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', answer.text)
    again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == policy


def test_each_page_holds_ids_once_and_links_that_lead_to_something(client: TestClient) -> None:
    for path in PAGES:
        html = client.get(path).text
        ids = re.findall(r' id="([^"]+)"', html)
        assert len(ids) == len(set(ids)), path
        for href in re.findall(r'href="#([^"]+)"', html):
            assert href in ids, (path, href)
        up = path.partition("?")[0].rpartition("/")[0]
        for href in re.findall(r'href="([^"#]+)"', html):
            target = href.replace("&amp;", "&")
            found = client.get(str(client.base_url.join(f"{up}/").join(target)))
            assert found.status_code in (200, 303), (path, href)


def test_csv_and_json_of_a_chart_hold_the_numbers_of_the_api(client: TestClient) -> None:
    fifths = next(t for t in twins(client, UNIT) if "missed-by-fifth" in t and "format=json" in t)
    rows = [row for row in client.get(f"/{fifths}").json()["rows"] if row["measure"] == "missed"]
    api = client.get(
        "/v1/inequality", params={"measure": "missed", "specialty": "340", "period": rows[0]["period"]}
    ).json()
    assert len(rows) == 5
    assert [row["value"] for row in rows] == [
        share["percent"]["value"] if share["percent"] else None for share in api["fifths"]["shares"]
    ]
    written = next(t for t in twins(client, UNIT) if "missed-by-fifth" in t and "format=csv" in t)
    answer = client.get(f"/{written}")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment;")
    table = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["value"] for row in table if row["measure"] == "missed"] == [
        "" if row["value"] is None else str(row["value"]) for row in rows
    ]


def test_the_chart_over_time_holds_the_points_of_the_api(client: TestClient) -> None:
    twin = next(t for t in twins(client, UNIT) if "gap-trend" in t and "format=json" in t)
    rows = client.get(f"/{twin}").json()["rows"]
    api = client.get("/v1/trend", params={"measure": "missed", "specialty": "340"}).json()
    assert [(row["period"], row["value"]) for row in rows] == [(p["period"], p["value"]) for p in api["points"]]


@pytest.mark.parametrize("path", PAGES)
def test_every_twin_on_every_page_can_be_read(client: TestClient, path: str) -> None:
    for twin in twins(client, path):
        assert client.get(f"/{twin}").status_code == 200, twin


def test_the_numbers_of_a_chart_are_told_without_drawing_it(settings: Settings, client: TestClient) -> None:
    twin = next(t for t in twins(client, UNIT) if "missed-by-fifth" in t)
    charts._drawn.cache_clear()
    with calling(settings) as fresh:
        assert fresh.get(f"/{twin}").status_code == 200
    assert charts._drawn.cache_info().currsize == 0


@pytest.mark.parametrize("twin", ["missed-by-fifth?unit=340", "groups", "gap-trend?unit=340"])
def test_what_is_asked_for_in_vain_makes_no_page_anew(client: TestClient, twin: str) -> None:
    """Else whoever may read a page could have pages made, and kept, without end."""
    with_measure = f"/dashboard/figures/{twin}{'&' if '?' in twin else '?'}measure="
    client.get(with_measure)
    made = client.app.state.dashboard._screens._made  # type: ignore[attr-defined]
    before = set(made)
    answers = {client.get(f"{with_measure}NG{number}").status_code for number in range(3)}
    assert set(made) == before
    assert answers == {404}


def test_pages_whose_charts_cannot_be_drawn_show_their_numbers_and_are_not_kept(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    charts._drawn.cache_clear()
    charts._DRAWER.close()
    with calling(settings) as fresh:
        with monkeypatch.context() as nowhere:
            nowhere.setattr(sys, "executable", "/nonexistent/python")
            bare = fresh.get(UNIT)
        whole = fresh.get(UNIT)
    assert (bare.status_code, whole.status_code) == (200, 200)
    assert "cannot be drawn now" in bare.text
    assert "<svg" not in bare.text
    assert "cannot be drawn now" not in whole.text
    assert bare.text.count("<table") == whole.text.count("<table")


def test_a_brief_is_one_file(client: TestClient) -> None:
    answer = client.get(f"{UNIT}/brief")
    assert answer.status_code == 200
    assert answer.content.startswith(b"%PDF")
    assert client.get("/dashboard/specialties/999/brief").status_code == 404


def test_the_bank_of_good_practice_is_a_file_too(client: TestClient) -> None:
    answer = client.get("/dashboard/practice?format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.decode("utf-8-sig").splitlines()[0].startswith("specialty,title,what")


def test_a_signed_in_person_sees_who_they_are_and_may_leave(settings: Settings, client: TestClient) -> None:
    key = key_for(settings, "breakdowns")
    bare = {name: value for name, value in client.headers.items() if name != "authorization"}
    with TestClient(client.app, base_url="http://localhost", headers=bare, follow_redirects=False) as visitor:
        signed = visitor.post(
            "/sign-in", data={"key": key, "to": "dashboard"}, headers={"Sec-Fetch-Site": "same-origin"}
        )
        assert signed.headers["location"] == "./dashboard"
        page = visitor.get(f"{UNIT}/detail")
        assert page.status_code == 200
        assert 'action="../../../sign-out"' in page.text
        assert "Signed in as tests" in page.text
        missing = visitor.get("/dashboard?period=NG1")
        assert missing.status_code == 404
        assert "There is no such page" in missing.text
        assert "NG1" not in missing.text


def test_pages_are_the_same_when_every_cell_is_gone(settings: Settings, client: TestClient) -> None:
    before = {path: client.get(path).content for path in PAGES}
    assert b"chart-svg" in before[UNIT]
    engine = open_store(settings)
    with engine.begin() as connection:
        for name in CELLS:
            connection.execute(text(f"DROP TABLE {name}"))
    engine.dispose()
    with calling(settings, raise_server_exceptions=False) as anew:  # nothing is kept from before
        assert {path: anew.get(path).content for path in PAGES} == before


def test_a_store_that_is_away_is_said_to_be(starter: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=starter, counts_dir=tmp_path / "counts")
    key_for(settings, "breakdowns")
    with calling(settings, raise_server_exceptions=False) as client:
        (tmp_path / "counts" / "counts.sqlite").rename(tmp_path / "elsewhere")
        client.app.state.counts.close()  # type: ignore[attr-defined]
        (tmp_path / "counts" / "counts.sqlite").mkdir()
        answer = client.get("/dashboard")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"


def test_a_new_store_says_how_counting_begins(starter: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=starter, counts_dir=tmp_path / "counts")
    with calling(settings, raise_server_exceptions=False) as client:
        for path in ("/dashboard", "/dashboard/ranking", "/dashboard/completeness", "/dashboard/editions"):
            html = client.get(path).text
            assert "Nothing is published yet" in html
            assert "imdlens counts seal" in html
        assert client.get(UNIT).status_code == 404


def test_what_nothing_can_be_shown_of_says_so_once(starter: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=starter, counts_dir=tmp_path / "counts")
    key_for(settings, "breakdowns")
    engine = open_store(settings)
    with writing(engine) as connection:
        declare_units(connection, 2024, ["340"], "declared")
    store = CountStore(engine, "IoD2025")
    for month in YEAR:
        store.commit(Batch.of([event(month, band="1"), event(month, band="9")]))
        seal(engine, month, PUBLISHER)
    engine.dispose()
    with calling(settings, raise_server_exceptions=False) as client:
        for path in ("/dashboard", UNIT):
            html = client.get(path).text
            assert "Nothing can be shown of this quarter" in html
            assert html.count("Not shown: a count that this rests on") == 1, path
            assert "What to do next" in html


@pytest.mark.parametrize("path", PAGES)
def test_no_paragraph_repeats_the_title_of_a_chart_or_stands_twice(client: TestClient, path: str) -> None:
    html = client.get(path).text
    titles = re.findall(r'd-figure__title"[^>]*>([^<]+)<', html)
    paragraphs = re.findall(r"<p(?: class=\"d-lead\")?>([^<]+)</p>", html)
    assert not set(titles) & set(paragraphs)
    assert len(paragraphs) == len(set(paragraphs))


def test_a_large_count_of_a_table_is_written_alike_on_every_page(client: TestClient) -> None:
    for path in PAGES:
        for cell in re.findall(r'cell--numeric">([^<]+)<', client.get(path).text):
            assert not re.search(r"\d{4}", cell), (path, cell)
            assert not cell.startswith("-"), (path, cell)
