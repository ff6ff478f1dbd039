"""Build, open and look up on the national data, beside a dict, a pandas merge and a DuckDB join, in one run.

    python -m benchmarks.lookup [--rows 5000000] [--onspd]

Every engine gets the same postcodes, drawn from the whole country, and gives IoD2025 deciles; the
answers are compared. `--onspd` also builds from a file of the size and layout of a whole ONSPD.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from app.lookup.index import Index
from app.lookup.text import TextColumn
from app.reference.releases import current_index
from benchmarks import national, report


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=5_000_000)
    arguments.add_argument("--onspd", action="store_true")
    report.add_option(arguments)
    options = arguments.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"

    folder = national.files()
    machine = national.machine("numpy", "pandas", "duckdb", "pyarrow")
    print(f"Measured {machine}\n")
    rows = [_build("NSPL and all editions, as packed", folder, national.CACHE / "national")]
    if options.onspd:
        from benchmarks.onspd import made_from

        rows.append(_build("a whole ONSPD (1.5 GB), IoD2025, IoD2019", made_from(folder), national.CACHE / "onspd"))
    print(national.table(("build", "seconds", "peak memory", "index"), rows) + "\n")

    path = current_index(national.CACHE / "national")
    opening = _opening(path)
    print(national.table(("index", "goal", "measured"), opening) + "\n")
    index = Index(path)
    canonical = national.postcodes(folder)
    everything = _deciles(index, canonical)
    sample = canonical.take(pa.array(np.random.default_rng(2026).integers(0, len(canonical), options.rows)))
    singles = _singles(index, sample)
    print(national.table(("one at a time", "goal", "measured"), singles) + "\n")
    untidy = national.untidy(sample)
    print(f"Columns of {options.rows:,} postcodes to deciles, one core\n")
    heading = ("engine", "M/s, as usually written", "M/s, as EPRs send them", "IMD Lens is faster by")
    columns = _columns(index, canonical, everything, sample, untidy)
    print(national.table(heading, columns))
    what = f"a column of {options.rows / 1e6:g} million to deciles, one core, "
    (_, tidy, messy, _), *peers = columns
    figures = [
        *(report.Figure(f"one lookup, {name}", shown, goal=goal) for name, goal, shown in singles),
        report.Figure(what + "as usually written", f"{tidy} M/s", ", ".join(f"{n} {m}" for n, m, *_ in peers)),
        report.Figure(what + "as EPRs send them", f"{messy} M/s", ", ".join(f"{n} {m}" for n, _, m, _ in peers)),
        *(report.Figure(f"the index, {name}", shown, goal=goal) for name, goal, shown in opening),
        *(
            report.Figure(f"a build: {name}", f"{took} s, {peak} at its peak", goal="≤ 30 s")
            for name, took, peak, _ in rows
        ),
    ]
    report.write(options.json, machine, figures)


def _build(what: str, source: Path, out: Path) -> tuple[str, ...]:
    """One build in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, "-m", "app.cli", "data", "build", str(source), "--out", str(out)]
    program = (
        "import resource, subprocess, sys; c = subprocess.run(sys.argv[1:], capture_output=True, text=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, c.returncode); print(c.stderr[-500:])"
    )
    began = time.perf_counter()
    run = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    peak, code = run.stdout.splitlines()[0].split()
    assert code == "0", run.stdout
    size = current_index(out).stat().st_size
    return (what, f"{seconds:.1f}", f"{int(peak) / 1024:.0f} MB", f"{size / 1e6:.1f} MB")


def _opening(path: Path) -> list[tuple[str, ...]]:
    def timed() -> float:
        began = time.perf_counter()
        Index(path)
        return (time.perf_counter() - began) * 1e3

    program = (
        "import resource, sys; from pathlib import Path; from app.lookup.index import Index;"
        "r = lambda: int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize();"
        "a = r(); i = Index(Path(sys.argv[1])); print(r() - a)"
    )
    run = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    return [
        ("open, checksum verified", "≤ 50 ms", f"{median(timed() for _ in range(9)):.0f} ms"),
        ("resident once open", "≤ 64 MB", f"{int(run.stdout) / 1e6:.0f} MB"),
    ]


def _singles(index: Index, sample: pa.Array) -> list[tuple[str, ...]]:
    texts = sample[:300_000].to_pylist()
    untidy = national.untidy(sample[:300_000]).to_pylist()

    def each(strings: list[str]) -> float:
        one = index.one
        began = time.perf_counter()
        for text in strings:
            one(text)
        return (time.perf_counter() - began) / len(strings) * 1e6

    return [
        ("as usually written", "≤ 2 µs", f"{median(each(texts) for _ in range(5)):.2f} µs"),
        ("as EPRs send them", "", f"{median(each(untidy) for _ in range(3)):.2f} µs"),
    ]


def _text(column: pa.Array) -> TextColumn:
    _, offsets, data = column.buffers()
    return TextColumn.end_to_end(np.frombuffer(data, np.uint8), np.frombuffer(offsets, np.int32)[: len(column) + 1])


def _deciles(index: Index, column: pa.Array) -> np.ndarray:
    return index.deciles(index.many(_text(column)), "IoD2025")


def _columns(
    index: Index, canonical: pa.Array, everything: np.ndarray, sample: pa.Array, untidy: pa.Array
) -> list[tuple[str, ...]]:
    known = canonical.to_pylist()
    bare = [k.replace(" ", "") for k in known]
    lookup, compact = (
        dict(zip(known, everything.tolist(), strict=True)),
        dict(zip(bare, everything.tolist(), strict=True)),
    )
    right = pd.DataFrame({"postcode": known, "decile": everything})
    right_bare = pd.DataFrame({"postcode": bare, "decile": everything})
    texts, untidy_texts = sample.to_pylist(), untidy.to_pylist()
    left, left_untidy = pd.DataFrame({"postcode": texts}), pd.DataFrame({"postcode": untidy_texts})
    con = duckdb.connect(config={"threads": 1})
    con.register("known", pa.table({"postcode": canonical, "decile": everything}))
    con.sql("create table held as select * from known")
    con.sql("create table held_bare as select replace(postcode, ' ', '') as postcode, decile from known")
    con.register("asked", pa.table({"postcode": sample, "n": np.arange(len(sample))}))
    con.register("asked_untidy", pa.table({"postcode": untidy, "n": np.arange(len(sample))}))
    con.sql("create table sample as select * from asked")
    con.sql("create table untidy as select * from asked_untidy")
    tidy_sql = "select n, decile from sample left join held using (postcode)"
    untidy_sql = (
        "select n, decile from (select n, upper(replace(postcode, ' ', '')) as postcode from untidy)"
        " left join held_bare using (postcode)"
    )

    def duck(sql: str) -> np.ndarray:
        got = con.sql(sql).fetchnumpy()
        out = np.zeros(len(sample), np.uint8)
        out[got["n"]] = np.ma.filled(got["decile"], 0)
        return out

    def merged(asked: pd.DataFrame, held: pd.DataFrame) -> np.ndarray:
        return asked.merge(held, on="postcode", how="left")["decile"].fillna(0).to_numpy(np.uint8)

    def tidied(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"postcode": frame["postcode"].str.replace(" ", "", regex=False).str.upper()})

    def from_dict(held: dict[str, int], strings: list[str], tidy: bool) -> np.ndarray:
        if tidy:
            return np.array([held.get(s.replace(" ", "").upper(), 0) for s in strings], np.uint8)
        return np.array([held.get(s, 0) for s in strings], np.uint8)

    engines: list[tuple[str, Callable[[], np.ndarray], Callable[[], np.ndarray]]] = [
        ("IMD Lens", lambda: _deciles(index, sample), lambda: _deciles(index, untidy)),
        ("dict", lambda: from_dict(lookup, texts, False), lambda: from_dict(compact, untidy_texts, True)),
        ("pandas merge", lambda: merged(left, right), lambda: merged(tidied(left_untidy), right_bare)),
        ("DuckDB join", lambda: duck(tidy_sql), lambda: duck(untidy_sql)),
    ]
    expected = engines[0][1]()
    times = {name: (_best(tidy, expected), _best(messy, expected)) for name, tidy, messy in engines}
    ours = times["IMD Lens"]
    million = len(sample) / 1e6
    return [
        (
            name,
            f"{million / a:.1f}",
            f"{million / b:.1f}",
            "" if name == "IMD Lens" else f"{a / ours[0]:.1f} ×, {b / ours[1]:.1f} ×",
        )
        for name, (a, b) in times.items()
    ]


def _best(run: Callable[[], np.ndarray], expected: np.ndarray) -> float:
    """Median of three, after one that is checked and not timed."""
    assert (run() == expected).all()
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return median(seconds)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
