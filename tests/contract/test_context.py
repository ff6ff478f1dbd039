"""What a clinician may do with a decile, over HTTP: context where it is asked for, groups where they may be seen."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr, ValidationError

from app.context.files import RuleFileError
from app.main import create_app
from app.settings import Settings
from tests.service import bearer, calling, key_for
from tests.unit.context.rule_folders import with_lines

FORM = "application/x-www-form-urlencoded"
NOT_INCLUSION = (("enrich",), ("enrich", "area", "breakdowns", "counts:exact", "admin"))
SIGNALS = {"snomed": ["32911000"], "accommodation_status": "HM01", "interpreter_required": True}


@pytest.fixture(scope="module")
def local(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service with an organisation's own directory, places and group, and a key for groups."""
    folder = tmp_path_factory.mktemp("local")
    with_lines(
        folder,
        "signposts.csv",
        "city,City advice,Help with money,Anyone,,,lad,E06000018,0115 496 0000,,2026-10-01,2099-10-01,the city",
    )
    with_lines(folder, "places.csv", "NG7 2UH,refuge,local,2026-01-01", "NG5 1PB,hospital,ODS,2026-01-01")
    with_lines(folder, "inclusion.toml", "[[group]]", 'id = "carers"', 'name = "Young carers"', 'sentence = "Ask."')
    with_lines(folder, "inclusion_signals.csv", "snomed,,302767002,Cares,carers,yes,yes,no,direct,,local")
    settings = Settings(
        data_dir=starter,
        counts_dir=tmp_path_factory.mktemp("counts"),
        local_dir=folder,
        protected_places=True,
    )
    for scopes in NOT_INCLUSION:
        key_for(settings, *scopes)
    with calling(settings, raise_server_exceptions=False) as client:
        yield client


def ask(client: TestClient, headers: dict[str, str] | None = None, **record: Any) -> dict[str, Any]:
    answer = client.post("/v1/enrich", json={"postcode": "NG1 1AA", **record}, headers=headers or {})
    assert answer.status_code == 200
    return answer.json()  # type: ignore[no-any-return]


def test_context_comes_only_when_it_is_asked_for(client: TestClient) -> None:
    assert all(part in ([], None) for part in ask(client)["context"].values())
    context = ask(client, include=["context"], contact={"specialty": "340", "age": 54})["context"]
    assert [p["kind"] for p in context["prompts"]] == ["cue"] * 3 + ["follow_up"] * 5
    assert {f["kind"] for f in context["area"]} == {"domain", "census"}
    assert [a["id"] for a in context["clinical_areas"]] == ["chronic_respiratory_disease"]
    assert [lead["name"] for lead in context["leads"]] == [None, None]
    assert len(context["signposts"]) == 4


def test_groups_are_null_to_whoever_may_not_see_them(local: TestClient) -> None:
    hidden = {"groups": None, "private_summary": None}
    for scopes in NOT_INCLUSION:
        headers = bearer(key_for(local.app.state.settings, *scopes))  # type: ignore[attr-defined]
        assert ask(local, headers, signals=SIGNALS, postcode="ZZ99 3VZ")["inclusion_health"] == hidden


def test_groups_and_the_private_sentence_are_shown_to_the_scope_that_may_see_them(local: TestClient) -> None:
    shown = ask(local, signals=SIGNALS)["inclusion_health"]
    assert shown["groups"] == [{"id": "homelessness", "name": "Homelessness"}]
    assert "no settled home" in shown["private_summary"]
    assert ask(local)["inclusion_health"] == {"groups": [], "private_summary": None}


def test_access_needs_are_told_to_everybody(client: TestClient) -> None:
    (need,) = ask(client, signals=SIGNALS)["access_needs"]
    assert need["id"] == "interpreter"
    assert need["sentence"] == "Book a trained interpreter, not family or friends."


def test_a_group_a_signpost_and_a_place_are_added_by_editing_data(local: TestClient) -> None:
    answer = ask(local, signals={"snomed": ["302767002"]}, include=["context"])
    assert [g["name"] for g in answer["inclusion_health"]["groups"]] == ["Young carers"]
    assert answer["context"]["signposts"][0]["name"] == "City advice"
    assert ask(local, postcode="NG5 1PB")["cautions"] == ["hospital"]
    assert ask(local, postcode="NG7 2UH", include=["area", "context"])["postcode_status"] == "withheld"
    local_files = {f["name"] for f in local.get("/version").json()["rule_files"] if f["local"]}
    assert local_files == {"signposts.csv", "places.csv", "inclusion.toml", "inclusion_signals.csv"}
    assert answer["data"]["rules"] == local.get("/version").json()["rules"]


def test_a_bad_signal_costs_the_count_and_never_the_answer(client: TestClient) -> None:
    answer = ask(client, contact={"specialty": "340"}, signals={"snomed": ["Homeless"]})
    assert (answer["counted"], answer["counted_reason"]) == (False, "invalid_contact")
    assert answer["warnings"] == [{"field": "signals.snomed", "code": "not_a_code"}]
    assert answer["imd_decile"] == 3


@pytest.mark.parametrize("status", ["MA01", "HM01", "CJ00", "Refuge", "Prison/young offenders institution"])
def test_whether_an_accommodation_status_is_listed_is_told_by_no_warning(client: TestClient, status: str) -> None:
    answer = ask(client, contact={"specialty": "340"}, signals={"accommodation_status": status})
    assert answer["counted"] is True
    assert answer["warnings"] == []


def test_a_batch_answers_each_record_as_it_is_answered_alone(local: TestClient) -> None:
    records: list[dict[str, Any]] = [
        {"postcode": "NG1 1AA", "include": ["context", "area"], "signals": SIGNALS},
        {"postcode": "NG7 2UH", "include": ["context"], "signals": SIGNALS},
        {"postcode": "ZZ99 3VZ"},
        {"postcode": "NG5 1PB", "include": ["context"]},
    ]
    together = local.post("/v1/enrich/batch", json={"records": records}).json()["results"]
    assert together == [local.post("/v1/enrich", json=record).json() for record in records]


def test_homelessness_is_counted_by_postcode_and_by_code_and_only_where_the_rules_say_so(
    starter: Path, tmp_path: Path
) -> None:
    settings = Settings(data_dir=starter, counts_dir=tmp_path)
    with calling(settings) as client:
        for postcode, codes in (
            ("NG1 1AA", ["224226001"]),  # no fixed abode
            ("ZZ99 3VZ", []),
            ("NG1 1AA", ["1077211000000104"]),  # referred by a drop-in centre: shown, not counted
            ("ZZ99 3WZ", []),  # not known
            ("ZZZSECUR", ["224226001"]),
        ):
            ask(client, postcode=postcode, signals={"snomed": codes}, contact={"specialty": "340"})
        ask(client, signals={"snomed": ["15167005"], "interpreter_required": True}, contact={"specialty": "340"})
    with sqlite3.connect(tmp_path / "counts.sqlite") as store:
        rows = store.execute("SELECT dimension, value, n FROM organisation_total WHERE dimension <> 'lad'").fetchall()
    assert sorted(rows) == [("access", "interpreter", 1), ("inclusion", "homelessness", 2)]


# ------------------------------------------------------------------------------------------------- cards


def test_a_card_is_made_from_json_and_opened_by_its_link(local: TestClient) -> None:
    record = {"postcode": "NG1 1AA", "contact": {"specialty": "340", "age": 54}, "signals": SIGNALS}
    made = local.post("/card", json=record)
    assert made.status_code == 201
    assert made.headers["location"] == made.json()["url"]
    assert "NG1" not in made.json()["url"]
    page = local.get(f"/{made.json()['url']}")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self';")
    assert "frame-ancestors 'self'" in policy
    assert "more deprived than about 7 in 10" in page.text
    assert "no settled home" in page.text
    assert "NG1" not in page.text


def test_a_card_counts_nothing(local: TestClient) -> None:
    event = {"specialty": "340", "event_id": "card then enrich"}
    local.post("/card", json={"postcode": "NG1 1AA", "contact": event})
    assert ask(local, contact=event)["counted"] is True


def test_a_form_is_led_to_its_card(client: TestClient) -> None:
    answer = client.post("/card", data={"postcode": "ng1 1aa", "age": "8", "specialty": "258"}, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("card/")
    page = client.get(f"/{answer.headers['location']}")
    assert "What is a typical day like for your child" in page.text
    assert "Asthma" in page.text


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"postcode": " "}, "Enter a postcode"),
        ({}, "Enter a postcode"),
        ({"postcode": "QQ1 1QQ", "specialty": "lungs"}, "Enter a treatment function code"),
        ({"postcode": "QQ1 1QQ", "age": "fifty-QQ"}, "Enter an age in years"),
        ([("postcode", "QQ1 1QQ"), ("postcode", "QQ1 1QZ")], "Enter a postcode"),
        ([("postcode", "QQ1 1QQ"), ("age", "5"), ("age", "50")], "Enter an age in years"),
    ],
)
def test_a_form_that_cannot_be_used_says_why_and_repeats_nothing(client: TestClient, form: Any, said: str) -> None:
    answer = client.post("/card", content=urlencode(form), headers={"Content-Type": FORM})
    assert said in answer.text
    assert "fill it in anew" in answer.text
    assert "QQ" not in answer.text + str(answer.url)


def test_a_link_that_is_no_card_and_one_past_its_time_have_pages_of_their_own(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/card/nonsense").status_code == 404
    assert client.get(f"/card/{'A' * 720}").status_code == 404
    link = client.post("/card", json={"postcode": "NG1 1AA"}).json()["url"]
    now = __import__("time").time()
    monkeypatch.setattr("app.routers.card.time.time", lambda: now + 15 * 60 + 1)
    gone = client.get(f"/{link}")
    assert gone.status_code == 410
    assert "This card has expired" in gone.text


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 422),
        (b'{"postcode": 7}', "application/json", 422),
        (b'{"postcode": "A", "postcode": "B"}', "application/json", 400),
        (b"postcode=NG1", "text/plain", 415),
        pytest.param(b"x" * 70_000, "application/json", 413, id="long"),
    ],
)
def test_a_body_that_is_no_card_is_refused(client: TestClient, content: bytes, kind: str, status: int) -> None:
    assert client.post("/card", content=content, headers={"Content-Type": kind}).status_code == status


def test_a_card_of_one_process_opens_in_another_with_the_same_secret(starter: Path, tmp_path: Path) -> None:
    shared: dict[str, Any] = {"data_dir": starter, "secret": SecretStr("a secret that hosts share")}
    with calling(Settings(counts_dir=tmp_path / "a", **shared)) as one:
        link = one.post("/card", json={"postcode": "NG1 1AA"}).json()["url"]
    with calling(Settings(counts_dir=tmp_path / "b", **shared)) as other:
        assert other.get(f"/{link}").status_code == 200
    with calling(Settings(data_dir=starter, counts_dir=tmp_path / "c")) as stranger:
        assert stranger.get(f"/{link}").status_code == 404


@pytest.mark.parametrize("problem", ["nonsense", "<script>", "", "postcode&problem=age"])
def test_a_problem_that_there_is_not_is_not_shown(client: TestClient, problem: str) -> None:
    page = client.get("/", params={"problem": problem})
    assert page.status_code == 200
    assert "There is a problem" not in page.text
    assert "nonsense" not in page.text


def test_what_was_noticed_is_told_to_whoever_makes_a_card(client: TestClient) -> None:
    made = client.post("/card", json={"postcode": "NG1", "signals": {"snomed": ["Homeless"]}}).json()
    assert made["warnings"] == [
        {"field": "postcode", "code": "partial"},
        {"field": "signals.snomed", "code": "not_a_code"},
    ]


def test_protected_places_are_refused_unless_the_deployer_has_decided(starter: Path, tmp_path: Path) -> None:
    with_lines(tmp_path, "places.csv", "NG7 2UH,refuge,local,2026-01-01")
    with pytest.raises(RuleFileError, match="IMDLENS_PROTECTED_PLACES"):
        create_app(Settings(data_dir=starter, local_dir=tmp_path))


@pytest.mark.parametrize("ancestors", ["https://ł.example", "'self';", "a,b", "a\nb", ""])
def test_frame_ancestors_that_no_header_could_hold_are_refused(ancestors: str) -> None:
    with pytest.raises(ValidationError):
        Settings(card_frame_ancestors=ancestors)
    assert Settings(card_frame_ancestors="https://epr.example.nhs.uk https://*.other.nhs.uk:8443 'self'")


def test_style_sheets_may_be_kept_and_cards_may_not(client: TestClient) -> None:
    assert client.get("/static/card.css").headers["cache-control"] == "public, max-age=86400"
    assert client.get("/").headers["cache-control"] == "no-store"


def test_pages_are_not_in_the_document_of_the_api(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths["/card"]) == {"post"}
    assert "/card/{sealed}" not in paths
    assert json.dumps(paths["/card"]["post"]).count("EnrichRequest") == 1
