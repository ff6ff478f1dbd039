"""The schema goes up and down on both databases, equals the code's, and refuses by itself what must not be."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import IntegrityError, OperationalError

import app.access.schema
import app.counts.schema  # noqa: F401
from app.database import DatabaseError, check_schema, downgrade, is_sqlite, metadata, open_engine, upgrade, writing
from tests.databases import Postgres, opened

CELLS = {
    "flow": "(month, specialty, type, attendance, outcome, edition, band, n)"
    " VALUES ('{month}', '{x}', 'b', 'c', 'd', '{edition}', '1', 1)",
    "one_way": "(month, specialty, edition, quintile, dimension, value, n)"
    " VALUES ('{month}', '{x}', '{edition}', '1', 'sex', 'male', 1)",
    "organisation_total": "(month, dimension, value, n) VALUES ('{month}', '{x}', 'b', 1)",
    "age_sex": "(month, type, edition, quintile, age_band, sex, n)"
    " VALUES ('{month}', '{x}', '{edition}', '1', '20-24', 'male', 1)",
    "completeness": "(month, client, status, n) VALUES ('{month}', '{x}', 'live', 1)",
    "waiting_list": "(month, specialty, wait_band, edition, band, n)"
    " VALUES ('{month}', '{x}', 'b', '{edition}', '1', 1)",
    "waiting_list_snapshot": "(month, snapshot, edition, complete, patients, received_on)"
    " VALUES ('{month}', '{x}', '{edition}', true, 1, '2026-05-01')",
}
NUMBER = {table: "patients" if table == "waiting_list_snapshot" else "n" for table in CELLS}
ON_AN_EDITION = ("flow", "one_way", "age_sex", "waiting_list", "waiting_list_snapshot")
OPEN, CLOSED, SEALED, UNKNOWN = "2026-06", "2026-05", "2026-04", "2027-12"
PUBLICATION = "INSERT INTO publication VALUES ('{name}', 'p', '{month}', 'now', 'rule', 'IoD2025', 'r', 'o', 's', true)"
ROW = (
    "INSERT INTO published_row VALUES"
    " ('{name}', 'p', {position}, '', '', '', '', '', '', '', '', '', '', 10, 10, NULL, NULL, '')"
)


def cell(table: str, month: str, edition: str = "IoD2025", x: str = "x") -> str:
    return f"INSERT INTO {table} {CELLS[table].format(month=month, edition=edition, x=x)}"


def run(engine: Engine, *statements: str) -> None:
    with writing(engine) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def value(engine: Engine, statement: str) -> object:
    with engine.connect() as connection:
        return connection.exec_driver_sql(statement).scalar()


def refused(engine: Engine, statement: str) -> None:
    with pytest.raises(IntegrityError):
        run(engine, statement)


@pytest.fixture
def store(store_url: str) -> Iterator[Engine]:
    """A store with an open, a closed and a sealed month, each with a cell of every kind, and a publication."""
    with opened(store_url) as engine:
        run(engine, "INSERT INTO financial_year VALUES (2026, 'IoD2025'), (2028, 'IoD2025')")
        run(engine, "INSERT INTO reporting_unit VALUES (2026, '100', 'counted'), (2028, '100', 'counted')")
        for month in (OPEN, CLOSED, SEALED):
            run(engine, f"INSERT INTO month VALUES ('{month}', 2026, 'IoD2025', 'open', NULL)")
            run(engine, *(cell(table, month) for table in CELLS))
        for month in (SEALED, CLOSED):
            run(engine, f"UPDATE month SET state = 'closed' WHERE month = '{month}'")
        run(engine, PUBLICATION.format(name="t", month=SEALED), ROW.format(name="t", position=1))
        run(engine, "INSERT INTO exact_read (at, who, month, \"by\") VALUES ('now', 'me', '2026-04', 'specialty')")
        run(engine, f"UPDATE month SET state = 'sealed' WHERE month = '{SEALED}'")
        run(engine, PUBLICATION.format(name="u", month=CLOSED), ROW.format(name="u", position=1))
        yield engine


# ------------------------------------------------------------------------------- up, down, and equal


def test_the_schema_goes_up_and_down_and_up_again(store_url: str) -> None:
    with opened(store_url, patient=True) as engine:
        tables = set(inspect(engine).get_table_names())
        downgrade(engine, "base")
        assert inspect(engine).get_table_names() == ["alembic_version"]
        upgrade(engine)
        upgrade(engine)
        assert set(inspect(engine).get_table_names()) == tables
        check_schema(engine)


def test_going_down_leaves_no_function_behind(postgres_url: str) -> None:
    with opened(postgres_url) as engine:
        downgrade(engine, "base")
        assert value(engine, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace") == 0


def test_the_migrations_make_what_the_code_declares(store_url: str) -> None:
    with opened(store_url) as engine, engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
        for name, table in metadata.tables.items():
            key = inspect(connection).get_pk_constraint(name)["constrained_columns"]
            assert key == [column.name for column in table.primary_key]


def test_an_empty_database_is_refused_with_the_command_to_run(postgres: Postgres, tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path}/empty.sqlite") as engine, pytest.raises(DatabaseError, match="db upgrade"):
        check_schema(engine)
    url = postgres.new_database(migrated=False)
    with opened(url) as engine, pytest.raises(DatabaseError, match="db upgrade"):
        check_schema(engine)


def test_a_database_of_a_newer_version_is_refused(store_url: str) -> None:
    with opened(store_url) as engine:
        run(engine, "UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(DatabaseError, match="newer version"):
            check_schema(engine)


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "not an address"])
def test_an_address_that_would_lose_counts_is_refused(url: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        open_engine(url)
    assert url not in str(caught.value)


# ------------------------------------------------------------------------------- cells


@pytest.mark.parametrize("table", CELLS)
@pytest.mark.parametrize("month", [CLOSED, SEALED, UNKNOWN])
def test_no_cell_of_a_month_that_is_not_open_changes(store: Engine, table: str, month: str) -> None:
    refused(store, cell(table, month, x="y"))
    if month != UNKNOWN:
        refused(store, f"UPDATE {table} SET {NUMBER[table]} = 2 WHERE month = '{month}'")
        refused(store, f"DELETE FROM {table} WHERE month = '{month}'")
    assert value(store, f"SELECT sum({NUMBER[table]}) FROM {table}") == 3


@pytest.mark.parametrize("table", CELLS)
def test_a_cell_of_an_open_month_can_be_counted_and_corrected(store: Engine, table: str) -> None:
    run(store, f"UPDATE {table} SET {NUMBER[table]} = 2 WHERE month = '{OPEN}'")
    run(store, f"DELETE FROM {table} WHERE month = '{OPEN}'", cell(table, OPEN))


@pytest.mark.parametrize("table", CELLS)
@pytest.mark.parametrize("to", [SEALED, UNKNOWN, "2026-07"])
def test_a_cell_stays_in_its_month(store: Engine, table: str, to: str) -> None:
    run(store, "INSERT INTO month VALUES ('2026-07', 2026, 'IoD2025', 'open', NULL)")
    refused(store, f"UPDATE {table} SET month = '{to}' WHERE month = '{OPEN}'")


@pytest.mark.parametrize("table", ON_AN_EDITION)
def test_a_cell_has_the_edition_of_its_year(store: Engine, table: str) -> None:
    refused(store, cell(table, OPEN, edition="IoD2019", x="y"))
    refused(store, f"UPDATE {table} SET edition = 'IoD2019' WHERE month = '{OPEN}'")


# ------------------------------------------------------------------------------- months and years


def test_a_month_never_goes_backwards_or_skips(store: Engine) -> None:
    for month, states in {
        SEALED: ["open", "closed", "other"],
        CLOSED: ["open", "other"],
        OPEN: ["sealed", "x"],
    }.items():
        for state in states:
            refused(store, f"UPDATE month SET state = '{state}' WHERE month = '{month}'")


def test_a_month_keeps_its_name_year_and_edition(store: Engine) -> None:
    for change in ("month = '2027-01'", "year = 2027", "edition = 'IoD2019'"):
        for month in (OPEN, CLOSED, SEALED):
            refused(store, f"UPDATE month SET {change} WHERE month = '{month}'")


def test_a_closed_month_is_never_removed(store: Engine) -> None:
    refused(store, f"DELETE FROM month WHERE month = '{CLOSED}'")
    refused(store, f"DELETE FROM month WHERE month = '{SEALED}'")


@pytest.mark.parametrize(
    "values",
    [
        "('2026-08', 2026, 'IoD2025', 'sealed', NULL)",
        "('2026-08', 2026, 'IoD2025', 'closed', NULL)",
        "('2026-08', 2026, 'IoD2019', 'open', NULL)",
        "('2026-08', 2028, 'IoD2025', 'open', NULL)",
        "('2026-03', 2026, 'IoD2025', 'open', NULL)",
        "('2030-04', 2030, 'IoD2025', 'open', NULL)",
    ],
)
def test_a_month_begins_open_in_its_year_on_its_edition(store: Engine, values: str) -> None:
    refused(store, f"INSERT INTO month VALUES {values}")


def test_a_year_keeps_its_edition(store: Engine) -> None:
    refused(store, "UPDATE financial_year SET edition = 'IoD2019'")
    refused(store, "DELETE FROM financial_year")


def test_the_specialties_of_a_published_year_stay_as_they_are(store: Engine) -> None:
    refused(store, "INSERT INTO reporting_unit VALUES (2026, '340', 'counted')")
    refused(store, "UPDATE reporting_unit SET basis = 'declared' WHERE year = 2026")
    refused(store, "DELETE FROM reporting_unit WHERE year = 2026")
    refused(store, "UPDATE reporting_unit SET year = 2026, specialty = '340' WHERE year = 2028")
    refused(store, "UPDATE reporting_unit SET year = 2029 WHERE year = 2026")
    run(store, "DELETE FROM reporting_unit WHERE year = 2028")


# ------------------------------------------------------------------------------- publications


@pytest.mark.parametrize("table", ["publication", "published_row", "exact_read", "financial_year"])
def test_what_was_published_or_recorded_never_changes(store: Engine, table: str) -> None:
    with store.connect() as connection:
        names = [column["name"] for column in inspect(connection).get_columns(table)]
    before = value(store, f"SELECT count(*) FROM {table}")
    for name in names:
        refused(store, f'UPDATE {table} SET "{name}" = "{name}"')
    refused(store, f"DELETE FROM {table}")
    assert value(store, f"SELECT count(*) FROM {table}") == before


@pytest.mark.parametrize("month", [OPEN, SEALED, UNKNOWN])
def test_only_a_closed_month_takes_publications(store: Engine, month: str) -> None:
    refused(store, PUBLICATION.format(name="v", month=month))


def test_a_sealed_month_takes_no_further_row(store: Engine) -> None:
    refused(store, ROW.format(name="t", position=2))
    refused(store, ROW.format(name="nowhere", position=1))
    run(store, ROW.format(name="u", position=2))


# ------------------------------------------------------------------------------- ways round a trigger


@pytest.mark.parametrize(
    "table", [*CELLS, "month", "financial_year", "reporting_unit", "publication", "published_row", "exact_read"]
)
def test_truncating_is_refused_on_postgresql(postgres_url: str, table: str) -> None:
    with opened(postgres_url) as engine:
        refused(engine, f"TRUNCATE {table}")


def test_replacing_changes_nothing_on_sqlite(sqlite_url: str) -> None:
    with opened(sqlite_url) as engine:
        run(engine, "INSERT INTO financial_year VALUES (2026, 'IoD2025')")
        run(engine, f"INSERT INTO month VALUES ('{CLOSED}', 2026, 'IoD2025', 'open', NULL)")
        run(engine, cell("flow", CLOSED), f"UPDATE month SET state = 'closed' WHERE month = '{CLOSED}'")
        run(engine, PUBLICATION.format(name="u", month=CLOSED), ROW.format(name="u", position=1))
        run(engine, "INSERT INTO exact_read (at, who, month, \"by\") VALUES ('now', 'me', '2026-04', 'specialty')")
        before = _all(engine)
        for statement in (
            "REPLACE INTO financial_year VALUES (2026, 'IoD2019')",
            f"REPLACE INTO month VALUES ('{CLOSED}', 2026, 'IoD2025', 'open', NULL)",
        ):
            run(engine, statement)
        for statement in (
            cell("flow", CLOSED).replace("INSERT", "REPLACE"),
            PUBLICATION.format(name="u", month=CLOSED).replace("INSERT", "REPLACE").replace("rule", "another"),
            ROW.format(name="u", position=1).replace("INSERT", "REPLACE").replace("10, 10", "20, 20"),
            "REPLACE INTO exact_read SELECT id, 'later', who, month, \"by\" FROM exact_read",
        ):
            refused(engine, statement)
        assert _all(engine) == before


def _all(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    tables = ("financial_year", "month", "flow", "publication", "published_row", "exact_read")
    with engine.connect() as connection:
        return {table: [tuple(r) for r in connection.exec_driver_sql(f"SELECT * FROM {table}")] for table in tables}


def test_a_month_cannot_be_sealed_under_a_batch_that_is_being_written(postgres_url: str) -> None:
    """The batch holds a share of its month until it ends; the one who closes the month waits for it."""
    with opened(postgres_url) as engine:
        run(engine, "INSERT INTO financial_year VALUES (2026, 'IoD2025')")
        run(engine, f"INSERT INTO month VALUES ('{OPEN}', 2026, 'IoD2025', 'open', NULL)")
        with engine.connect() as writer, writer.begin(), engine.connect() as sealer:
            writer.exec_driver_sql(cell("completeness", OPEN))
            assert _locked(sealer)
        with engine.connect() as sealer:
            assert not _locked(sealer)


def _locked(connection: Connection) -> bool:
    assert not is_sqlite(connection)
    try:
        connection.exec_driver_sql(f"SELECT 1 FROM month WHERE month = '{OPEN}' FOR UPDATE NOWAIT")
    except OperationalError:
        return True
    finally:
        connection.rollback()
    return False


def test_a_month_closes_only_after_those_before_it(store: Engine) -> None:
    run(store, "INSERT INTO month VALUES ('2026-07', 2026, 'IoD2025', 'open', NULL)")
    refused(store, "UPDATE month SET state = 'closed' WHERE month = '2026-07'")
    run(store, f"UPDATE month SET state = 'closed' WHERE month = '{OPEN}'")
    run(store, "UPDATE month SET state = 'closed' WHERE month = '2026-07'")


def test_no_month_is_opened_before_one_that_is_closed(store: Engine) -> None:
    run(store, "INSERT INTO financial_year VALUES (2025, 'IoD2025')")
    refused(store, "INSERT INTO month VALUES ('2026-03', 2025, 'IoD2025', 'open', NULL)")
