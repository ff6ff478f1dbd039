"""Published tables, exact counts and sealing, over stores of a million cells and more.

    python -m benchmarks.tables [--cells 1 10] [--requests 300] [--url postgresql://...]

Cells are written by SQL, as dense as they can be: every specialty, type, attendance, outcome and decile in each
month, one financial year after another. `--cells 1 10 50` measures growth; 50 million take some 5 GB and minutes.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles

from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from app.counting import open_store
from app.counts.periods import months_of_year
from app.counts.seal import Publisher, declare_units, seal
from app.counts.tables import STATUSES
from app.counts.vocabulary import ABSENT, vocabulary
from app.database import writing
from app.settings import Settings
from benchmarks import national, report
from tests.service import calling

UNITS = 60
_TYPES = 3  # of the nine, times all else: about 225,000 flow cells a month


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--cells", type=int, nargs="+", default=[1, 10], help="millions")
    arguments.add_argument("--requests", type=int, default=300)
    report.add_option(arguments)
    options = arguments.parse_args()
    machine = f"{national.machine('fastapi', 'sqlalchemy', 'numpy')}; SQLite"
    print(f"Measured {machine}\n")
    rows = []
    for millions in options.cells:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(_measure(Path(folder), millions, options.requests))
    headings = (
        "cells",
        "file",
        "one table, one period: p50, p95",
        "one table, all periods: p95",
        "CSV, all periods: p95",
        "exact counts of a month: p95",
        "sealing a month",
        "sealing a year's last",
    )
    print(national.table(headings, rows))
    figures = [
        report.Figure(
            f"one published table over {cells} cells, one period: p50, p95",
            one,
            f"all periods: p95 {every}",
            "p95 ≤ 200 ms",
        )
        for cells, _, one, every, *_ in rows
    ]
    report.write(options.json, machine, figures)


def _measure(folder: Path, millions: int, requests: int) -> tuple[str, ...]:
    settings = Settings(data_dir=folder, counts_dir=folder / "counts")
    engine = open_store(settings, patient=True)
    publisher = Publisher(edition="IoD2025", without_rates=True)
    months = fill_cells(engine, millions * 1_000_000)
    ordinary, last = [], []
    for month in months:
        sealed = seal(engine, month, publisher)
        assert sealed
        (last if month.endswith("-03") else ordinary).append(sealed.seconds)
    with engine.connect() as connection:
        cells = sum(
            connection.execute(text(f"SELECT count(*) FROM {t}")).scalar_one() for t in ("flow", "one_way", "age_sex")
        )
    size = sum(f.stat().st_size for f in (folder / "counts").iterdir()) / 1e9
    with calling(settings) as client:
        one = _times(client, "/v1/breakdowns/specialty_core20", requests)
        every = _times(client, "/v1/breakdowns/specialty_core20?period=all", requests // 5)
        sheet = _times(client, "/v1/breakdowns/specialty_core20?period=all&format=csv", requests // 5)
        exact = _times(client, f"/v1/counts?month={months[-1]}&by=specialty", requests // 15)
    engine.dispose()
    return (
        f"{cells / 1e6:.1f} M",
        f"{size:.1f} GB",
        f"{one[49]:.1f} ms, {one[94]:.1f} ms",
        f"{every[94]:.0f} ms",
        f"{sheet[94]:.0f} ms",
        f"{exact[94]:.0f} ms",
        f"{sum(ordinary) / len(ordinary):.2f} s" if ordinary else "",
        f"{max(last):.1f} s" if last else "",
    )


def _times(client: TestClient, path: str, requests: int) -> list[float]:
    """Percentiles 1 to 99 in milliseconds."""
    times = []
    for _ in range(requests):
        started = time.perf_counter()
        answer = client.get(path)
        times.append(1000 * (time.perf_counter() - started))
        assert answer.status_code == 200, answer.text
    return quantiles(times, n=100)


def fill_cells(engine: Engine, cells: int, *, whole_years: bool = False) -> list[str]:
    """Write at least so many cells, whole months at a time, or whole financial years; the months."""
    words = vocabulary()
    lists = {
        "s": [*words.specialties],
        "t": [*words.contact_types][:_TYPES],
        "a": ["new", "follow_up", ABSENT],
        "o": list(words.outcome_grid),
        "b": [*map(str, range(1, 11)), "not_found", "no_fixed_abode", "malformed", "not_in_england"],
        "q": [*map(str, range(1, 6)), "no_decile"],
        "age": list(words.age_grid),
        "sex": list(words.sex_grid),
        "eth": list(words.ethnic_grid),
        "five": [*words.five_year_bands, ABSENT],
    }
    months: list[str] = []
    written, year = 0, 2018
    with _loading(engine, lists) as insert:
        while written < cells:
            for month in months_of_year(year):
                written += insert(month)
                months.append(month)
                if written >= cells and not whole_years:
                    break
            year += 1
    with writing(engine) as connection:
        for one in range(2018, year):
            declare_units(connection, one, lists["s"][:UNITS], "declared")
    return months


@contextmanager
def _loading(engine: Engine, lists: dict[str, list[str]]) -> Iterator["_Insert"]:
    with engine.connect().execution_options(writes=True) as connection:
        with connection.begin():
            for name, values in lists.items():
                connection.exec_driver_sql(f"CREATE TEMP TABLE l_{name} (v TEXT, w INTEGER)")
                rows = [{"v": v, "w": i + 1} for i, v in enumerate(values)]
                connection.execute(text(f"INSERT INTO l_{name} VALUES (:v, :w)"), rows)
        yield _Insert(connection)


class _Insert:
    """Writes one month: every combination, most of them small, as a large store's cells are."""

    def __init__(self, connection: object) -> None:
        self._connection = connection

    def __call__(self, month: str) -> int:
        from app.counts.store import open_month

        connection = self._connection
        count = "1 + abs(random()) % (1 + 400 / (s.w * {}))"
        statements = [
            (
                f"INSERT INTO flow SELECT :m, s.v, t.v, a.v, o.v, 'IoD2025', b.v, {count.format('o.w')}"
                " FROM l_s s, l_t t, l_a a, l_o o, l_b b"
            ),
            (
                f"INSERT INTO age_sex SELECT :m, t.v, 'IoD2025', s.v, five.v, sex.v, {count.format('t.w')}"
                " FROM l_t t, l_q s, l_five five, l_sex sex"
            ),
            *(
                f"INSERT INTO one_way SELECT :m, s.v, 'IoD2025', q.v, '{name}', x.v, {count.format('q.w')}"
                f" FROM l_s s, l_q q, l_{short} x"
                for name, short in (("age_band", "age"), ("sex", "sex"), ("ethnic_category", "eth"))
            ),
        ]
        with connection.begin():  # type: ignore[attr-defined]
            open_month(connection, month, "IoD2025")  # type: ignore[arg-type]
            written = sum(connection.execute(text(s), {"m": month}).rowcount for s in statements)  # type: ignore[attr-defined]
            rows = [{"m": month, "v": status} for status in STATUSES]
            connection.execute(text("INSERT INTO completeness VALUES (:m, 'unnamed', :v, 20000)"), rows)  # type: ignore[attr-defined]
        return int(written)


if __name__ == "__main__":
    main()
