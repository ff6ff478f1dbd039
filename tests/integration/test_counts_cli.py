"""The commands that look after counts, run as an operator would."""

import csv
import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pyarrow.parquet as pq
import pytest

from app.counting import open_store
from app.counts.parts import PublishedPages
from app.counts.store import CountStore
from app.counts.tables import QUINTILES, TABLES
from app.database import downgrade
from app.findings.gaps import gap
from app.findings.kinds import MEASURES
from app.findings.options import Options
from app.inequality.measures import ESP2013
from app.settings import Settings
from tests.databases import opened
from tests.integration.running import imdlens, serving
from tests.sealed_store import fill
from tests.service import bearer, key_in
from tests.unit.counts.events import run as run_sql
from tests.unit.counts.events import value

OPEN_MONTH = f"{datetime.now(ZoneInfo('Europe/London')):%Y-%m}"  # the demonstration seals all before it


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `imdlens demo` leaves it."""
    folder = tmp_path_factory.mktemp("demo")
    run = imdlens("demo", "--out", "here", cwd=folder)
    assert run.returncode == 0, run.stderr
    assert "SYNTHETIC" in run.stderr
    assert "IMDLENS_DATA_DIR=here IMDLENS_LOCAL_DIR=here/local" in run.stderr
    return folder


def test_the_demonstration_has_24_sealed_months_and_an_open_one(demo: Path) -> None:
    run = imdlens("counts", "show", "--json", cwd=demo, IMDLENS_DATA_DIR="here")
    months = json.loads(run.stdout)
    assert [m["state"] for m in months] == ["sealed"] * 24 + ["open"]
    assert all(m["contacts"] > 10_000 for m in months)
    assert all(m["waiting"] > 10_000 for m in months[:24])


def test_the_demonstration_shows_a_gradient_and_says_everywhere_that_it_is_invented(demo: Path) -> None:
    key = bearer(key_in(demo, IMDLENS_DATA_DIR="here"))
    table = "/v1/breakdowns/specialty_dna_quintile?period=2025-26&specialty=110"
    with serving(demo, IMDLENS_DATA_DIR="here") as (url, _):
        body = httpx.get(f"{url}{table}", headers=key).json()
        listed = httpx.get(f"{url}/v1/breakdowns", headers=key).json()["tables"]
    assert body["sentence"].startswith("SYNTHETIC DATA")
    assert all(row["synthetic"] for row in body["rows"])
    missed = {row["imd_quintile"]: row["value"] for row in body["rows"] if row["outcome"] == "did_not_attend"}
    assert missed["1"] > missed["5"]
    assert all(table["periods"] for table in listed)


def test_the_demonstration_brings_files_of_its_own_that_say_that_they_are_invented(demo: Path) -> None:
    run = imdlens("rules", "check", "here/local", cwd=demo)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("yours") == 3
    for name in ("catchment.csv", "good_practice.csv", "targets.csv"):
        assert "# source: SYNTHETIC" in (demo / "here" / "local" / name).read_text("utf-8")


def test_targets_of_the_demonstration_begin_where_its_tables_say(demo: Path) -> None:
    with (demo / "here" / "local" / "targets.csv").open(encoding="utf-8") as file:
        targets = list(csv.DictReader(line for line in file if not line.startswith("#")))
    assert len(targets) == 3
    engine = open_store(Settings(data_dir=demo / "here"))
    published = PublishedPages(engine).now()
    for each in targets:
        measure = next(name for name in MEASURES if name == each["measure"])
        unit = "" if each["unit"] == "all" else each["unit"]
        found = gap(published, measure, unit, each["baseline_period"], Options())
        assert found.absolute
        assert found.absolute.value == int(each["baseline_value"]) > int(each["target_value"])
    engine.dispose()


def test_a_demonstration_never_goes_into_a_store_that_holds_counts(demo: Path) -> None:
    run = imdlens("demo", "--out", "here", cwd=demo)
    assert run.returncode == 1
    assert "holds counts already" in run.stderr


def test_counts_of_one_month_are_shown_as_a_table_and_as_json(demo: Path) -> None:
    month = json.loads(imdlens("counts", "show", "--json", cwd=demo, IMDLENS_DATA_DIR="here").stdout)[-1]["month"]
    shown = imdlens("counts", "show", "--month", month, "--by", "outcome", cwd=demo, IMDLENS_DATA_DIR="here").stdout
    assert "did_not_attend" in shown
    assert "not for publication" in shown
    found = json.loads(
        imdlens(
            "counts", "show", "--month", month, "--by", "outcome", "--json", cwd=demo, IMDLENS_DATA_DIR="here"
        ).stdout
    )
    assert found["state"] == "open"
    assert found["total"] == sum(row["n"] for row in found["rows"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("counts", "show", "--month", "2026"), "YYYY-MM"),
        (("counts", "show", "--month", "1999-01"), "no counts of 1999-01"),
        (("counts", "show", "--month", "2025-01", "--by", "postcode"), "--by is one of"),
        (("counts", "seal", "2999-01"), "not over"),
        (("counts", "export", "out", "--table", "patients"), "A table is one of"),
        (("counts", "waiting-list", "missing.csv", "--month", OPEN_MONTH, "--people", "3"), "No such file"),
        (("counts", "waiting-list", "x.csv", "--month", "2026-01", "--people", "3"), "2026-01 is closed"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(demo: Path, arguments: tuple[str, ...], said: str) -> None:
    run = imdlens(*arguments, cwd=demo, IMDLENS_DATA_DIR="here")
    assert run.returncode == 1
    assert said in run.stderr
    assert "Traceback" not in run.stderr


def test_sealing_twice_does_nothing(demo: Path) -> None:
    run = imdlens("counts", "seal", cwd=demo, IMDLENS_DATA_DIR="here")
    assert (run.returncode, run.stdout.strip()) == (0, "No month is due.")
    again = imdlens("counts", "seal", "2025-04", cwd=demo, IMDLENS_DATA_DIR="here")
    assert "2025-04 is sealed already." in again.stdout


def test_published_tables_are_exported_as_csv_and_as_parquet_alike(demo: Path) -> None:
    for extra in ((), ("--parquet",)):
        run = imdlens("counts", "export", "out", *extra, cwd=demo, IMDLENS_DATA_DIR="here")
        assert run.returncode == 0, run.stderr
    assert {p.stem for p in (demo / "out").iterdir()} == set(TABLES)
    with (demo / "out" / "specialty_core20.csv").open(encoding="utf-8-sig", newline="") as file:
        sheet = list(csv.DictReader(file))
    assert len({row["period"] for row in sheet}) == 24
    table = pq.read_table(demo / "out" / "specialty_core20.parquet").to_pylist()
    assert [(row["n"], row["suppressed"]) for row in sheet] == [
        ("" if row["n"] is None else str(row["n"]), row["suppressed"] or "") for row in table
    ]


def test_a_contact_goes_from_the_door_to_the_store_and_out_in_the_exact_counts(tmp_path: Path) -> None:
    key = bearer(key_in(tmp_path))
    with serving(tmp_path) as (url, _):
        for outcome in ("attended", "attended", "did_not_attend"):
            contact = {"specialty": "340", "outcome": outcome, "date": "2026-10-05"}
            asked = {"postcode": "NG1 1AA", "contact": contact}
            answer = httpx.post(f"{url}/v1/enrich", json=asked, headers=key).json()
            assert answer["counted"] is True
        shown = imdlens("counts", "show", "--month", "2026-10", "--by", "outcome", "--json", cwd=tmp_path)
    rows = {row["value"]: row["n"] for row in json.loads(shown.stdout)["rows"]}
    assert rows == {"attended": 2, "did_not_attend": 1}


def test_a_waiting_list_a_population_and_specialties_are_taken_from_files(tmp_path: Path) -> None:
    build = imdlens("data", "build", "--starter", "--out", "data", cwd=tmp_path)
    assert build.returncode == 0, build.stderr
    (tmp_path / "list.csv").write_text("postcode,specialty,weeks\nNG1 1AA,340,20\n,340,3\nNG1 1AA,999,60.5\n", "utf-8")
    (tmp_path / "broken.csv").write_text("postcode,specialty,weeks\nNG1 1AA,340,20\nNG1 1AB,respiratory,3\n", "utf-8")
    residents = [f"IoD2025,{quintile},{band},500,MYE 2024" for quintile in QUINTILES for band in ESP2013]
    (tmp_path / "people.csv").write_text("\n".join(["edition,quintile,age_band,persons,source", *residents]), "utf-8")
    (tmp_path / "activity.csv").write_text("specialty,contacts\n340,5000\n211,20\n", "utf-8")
    environment = {"IMDLENS_DATA_DIR": "data"}
    load = ("counts", "waiting-list", "--month", "2026-09", "--people")
    taken = imdlens(*load, "3", "list.csv", cwd=tmp_path, **environment)
    assert "3 people wait at the end of September 2026" in taken.stdout
    wrong = imdlens(*load, "2", "broken.csv", cwd=tmp_path, **environment)
    assert "Line 3: `specialty` is not a treatment function code." in wrong.stderr
    assert "respiratory" not in wrong.stderr
    short = imdlens(*load, "4", "list.csv", cwd=tmp_path, **environment)
    assert "The list holds 3 people, not 4: nothing was taken." in short.stderr
    shown = imdlens("counts", "show", "--month", "2026-09", "--by", "wait_band", "--json", cwd=tmp_path, **environment)
    assert json.loads(shown.stdout)["rows"] == [
        {"value": "18_to_26", "n": 1},
        {"value": "52_to_65", "n": 1},
        {"value": "to_18", "n": 1},
    ]
    assert "100 rows of population" in imdlens("counts", "population", "people.csv", cwd=tmp_path, **environment).stdout
    declared = imdlens("counts", "specialties", "2026", "activity.csv", cwd=tmp_path, **environment)
    assert "Rows of their own in 2026-27: 340. All others together." in declared.stdout


def test_a_host_is_listed_with_what_waits_on_its_disk_and_given_up_only_by_its_name(
    starter: Path, tmp_path: Path, sqlite_url: str
) -> None:
    with opened(sqlite_url) as engine:
        fill(engine, ["2025-03"], contacts=30)
        store = CountStore(engine, "IoD2025")
        store.beat("host-a", 2)
        store.beat("host-b", 0, stopped=True)
        run_sql(engine, "UPDATE host SET seen_at = seen_at - 1000 WHERE id = 'host-b'")
    environment = {"IMDLENS_DATA_DIR": str(starter), "IMDLENS_COUNTS_DIR": str(tmp_path)}
    listed = json.loads(imdlens("counts", "hosts", "--json", cwd=tmp_path, **environment).stdout)
    assert [(h["host"], h["spooled"], h["state"]) for h in listed] == [
        ("host-a", 2, "running, or lost"),
        ("host-b", 0, "stopped"),
    ]
    assert [int(h["seen"].removesuffix(" s ago")) // 500 for h in listed] == [0, 2]
    seal = ("counts", "seal", "2025-03")
    held = imdlens(*seal, "--without-rates", cwd=tmp_path, **environment)
    assert "Host host-a still holds 2 batches" in held.stderr
    without_residents = imdlens(*seal, "--without", "host-a", cwd=tmp_path, **environment)
    assert "no population on IoD2025" in without_residents.stderr
    sealed = imdlens(*seal, "--without", "host-a", "--without-rates", cwd=tmp_path, **environment)
    assert sealed.stdout.startswith("2025-03 sealed in")


def test_a_population_replaces_the_one_before_and_is_taken_whole_only(tmp_path: Path, sqlite_url: str) -> None:
    environment = {"IMDLENS_COUNTS_DIR": str(tmp_path)}
    heading = "edition,quintile,age_band,persons,source"
    residents = [f"IoD2025,{quintile},{band},500,MYE 2024" for quintile in QUINTILES for band in ESP2013]
    (tmp_path / "whole.csv").write_text("\n".join([heading, *residents]), "utf-8-sig")  # as Excel writes it
    (tmp_path / "part.csv").write_text("\n".join([heading, *residents[1:]]), "utf-8")
    (tmp_path / "twice.csv").write_text("\n".join([heading, *residents[1:], residents[1]]), "utf-8")
    (tmp_path / "narrow.csv").write_text("edition,quintile\nIoD2025,1\n", "utf-8")
    for _ in range(2):
        taken = imdlens("counts", "population", "whole.csv", cwd=tmp_path, **environment)
        assert "100 rows of population replace" in taken.stdout
    for file in ("part.csv", "twice.csv"):
        refused = imdlens("counts", "population", file, cwd=tmp_path, **environment)
        assert "every quintile and age band once" in refused.stderr
    refused = imdlens("counts", "population", "narrow.csv", cwd=tmp_path, **environment)
    assert "lacks the columns age_band, persons, source" in refused.stderr
    with opened(sqlite_url) as engine:
        assert value(engine, "SELECT sum(persons) FROM population") == 50_000


def test_a_year_is_written_with_four_digits(tmp_path: Path, sqlite_url: str) -> None:
    (tmp_path / "activity.csv").write_text("specialty,contacts\n340,5000\n", "utf-8")
    refused = imdlens("counts", "specialties", "26", "activity.csv", cwd=tmp_path, IMDLENS_COUNTS_DIR=str(tmp_path))
    assert "four digits" in refused.stderr
    with opened(sqlite_url) as engine:
        assert value(engine, "SELECT count(*) FROM reporting_unit") == 0


def test_contacts_that_came_too_late_are_told_to_whoever_looks_at_the_month(tmp_path: Path, sqlite_url: str) -> None:
    environment = {"IMDLENS_COUNTS_DIR": str(tmp_path)}
    with opened(sqlite_url) as engine:
        fill(engine, ["2024-04", "2024-05"], contacts=5)
        run_sql(engine, "INSERT INTO late (month, specialty, n) VALUES ('2024-04', '340', 1200)")
    late, none = (
        imdlens("counts", "show", "--month", month, cwd=tmp_path, **environment).stdout
        for month in ("2024-04", "2024-05")
    )
    assert "1,200 more contacts came after the month was closed" in late
    assert "more contacts" not in none


def test_serving_on_postgresql_refuses_an_old_schema_until_it_is_upgraded(tmp_path: Path, postgres_url: str) -> None:
    environment = {"IMDLENS_DATABASE_URL": postgres_url, "IMDLENS_SECRET": "a secret of sixteen or more"}
    with opened(postgres_url, patient=True) as engine:
        downgrade(engine, "base")
    refused = imdlens("serve", "--port", "0", cwd=tmp_path, **environment)
    assert refused.returncode == 1
    assert "imdlens db upgrade" in refused.stderr
    assert imdlens("db", "upgrade", cwd=tmp_path, **environment).returncode == 0
    key = bearer(key_in(tmp_path, **environment))
    with serving(tmp_path, **environment) as (url, _):
        answer = httpx.post(f"{url}/v1/enrich", json={"postcode": "NG1 1AA", "contact": {}}, headers=key).json()
    assert answer["counted"] is True


def test_serving_on_postgresql_needs_a_secret(tmp_path: Path, postgres_url: str) -> None:
    refused = imdlens("serve", "--port", "0", cwd=tmp_path, IMDLENS_DATABASE_URL=postgres_url)
    assert refused.returncode == 1
    assert "IMDLENS_SECRET is needed" in refused.stderr


def test_a_demonstration_ignores_the_databases_that_the_environment_names(tmp_path: Path, postgres_url: str) -> None:
    environment = {
        "IMDLENS_DATABASE_URL": postgres_url,
        "IMDLENS_SECRET": "a secret of sixteen or more",
        "IMDLENS_COUNTS_DIR": "elsewhere",
    }
    (tmp_path / "here").mkdir()
    imdlens("data", "build", "--starter", "--out", "here", cwd=tmp_path)
    run = imdlens("demo", "--out", "here", cwd=tmp_path, **environment)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "here" / "counts" / "counts.sqlite").exists()
    assert not (tmp_path / "elsewhere").exists()
    with opened(postgres_url) as engine, engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM month").scalar() == 0


def test_an_edition_that_the_data_does_not_hold_stops_the_start(tmp_path: Path) -> None:
    refused = imdlens("serve", "--port", "0", cwd=tmp_path, IMDLENS_PUBLICATION_EDITION="IoD2052")
    assert refused.returncode == 1
    assert "IMDLENS_PUBLICATION_EDITION is IoD2052" in refused.stderr


def test_a_store_of_a_newer_version_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    with serving(tmp_path):
        pass
    with opened(f"sqlite:///{tmp_path / 'imdlens-data' / 'counts' / 'counts.sqlite'}") as engine:
        run_sql(engine, "UPDATE alembic_version SET version_num = '9999'")
    refused = imdlens("serve", "--port", "0", cwd=tmp_path)
    assert (refused.returncode, "newer version" in refused.stderr) == (1, True)


def test_a_folder_that_cannot_hold_keys_and_counts_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "in-the-way").write_text("a file where the folder should be", "utf-8")
    refused = imdlens("serve", "--port", "0", cwd=tmp_path, IMDLENS_COUNTS_DIR="in-the-way")
    assert refused.returncode == 1
    assert "IMDLENS_COUNTS_DIR must name a folder that can be written" in refused.stderr
