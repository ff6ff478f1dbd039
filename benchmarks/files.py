"""A file of patients, from file to file: IMD Lens beside Arrow without a lookup, pandas, DuckDB and Polars, in one run.

    python -m benchmarks.files [--rows 10000000] [--rounds 3] [--parquet] [--only NAME…]

Every engine is a process of its own on two cores; its time is from the start of the process to its end. The file is
read once beforehand, so that it comes from memory for all. Rounds go through all engines in turn; figures are medians.
What the peers join, the directory of postcodes, is made beforehand and loaded within their time. Outputs are written
to new files, compared in the first round, and deleted. Peak memory is of all processes of an engine together.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from app.batch.columns import Enricher, Wanted, text_column
from app.context.rulebook import Rulebook
from app.enrichment import Rules
from app.lookup.index import Index
from app.reference.releases import current_index
from benchmarks import national, patients, report
from benchmarks.file_peers import ANSWER, ENGINES, THREADS

_OURS: Final = "IMD Lens"
_NAMES: Final = {
    "arrow-streaming": "Arrow, a block at a time, no lookup",
    "arrow-whole": "Arrow, the whole table, no lookup",
    "pandas": "pandas merge",
    "duckdb": "DuckDB join",
    "duckdb-ordered": "DuckDB join, sorted back",
    "polars": "Polars join",
    "polars-ordered": "Polars join, order kept",
}
_PACKAGES: Final = ("pyarrow", "pandas", "duckdb", "polars")
_SAMPLED: Final = 0.1  # seconds between two looks at memory
_FRAMES: Final = dict.fromkeys(map(ord, "╭╮╰╯─│"), " ")  # around what the command says
# An engine is started by a small process: what is told of a process's peak holds that of the one that started it.
_LAUNCHER: Final = """
import json, os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=sys.stderr)
print(process.pid, flush=True)
_, status, usage = os.wait4(process.pid, 0)
used = usage.ru_utime + usage.ru_stime
code = os.waitstatus_to_exitcode(status)
print(json.dumps([time.perf_counter() - began, used, usage.ru_maxrss, code]), flush=True)
"""
_TOLD: Final = 200  # characters of what an engine that failed said


class Run(NamedTuple):
    """One engine once: seconds from start to end, seconds of processor time, and bytes at the peak."""

    seconds: float
    used: float
    peak: float


class Compared(NamedTuple):
    """A peer's answers beside ours."""

    rows: int
    in_order: bool
    matched: int  # rows that the peer found
    different: int  # of these, with another decile, country, status or reason


class EngineError(Exception):
    """An engine did not finish; the message is the last that it said."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--parquet", action="store_true", help="Parquet in and out; pandas is left out")
    arguments.add_argument("--only", nargs="+", help="parts of the names of engines to measure")
    arguments.add_argument("--compare", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--make-directory", nargs=3, type=Path, help=argparse.SUPPRESS)
    report.add_option(arguments)
    options = arguments.parse_args()
    if options.compare:
        print(json.dumps(compare(*options.compare)._asdict()))
        return
    if options.make_directory:
        folder, current, path = options.make_directory
        enricher = Enricher(Index(current), Rules("IoD2025", Rulebook.load()))
        make_directory(national.postcodes(folder), enricher, path)
        return
    folder = national.files()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])  # engines inherit it
    suffix = ".parquet" if options.parquet else ".csv"
    machine = f"{national.machine(*_PACKAGES)}; {THREADS} cores used"
    print(f"Measured {machine}\n")

    national.index(folder)
    directory = _directory(folder)
    source = patients.kept(folder, options.rows, suffix)
    engines = _engines(directory, parquet=options.parquet)
    if options.only:
        engines = {name: command for name, command in engines.items() if any(o in name for o in options.only)}
    with tempfile.TemporaryDirectory(dir=national.CACHE) as temporary:
        runs, failed, compared = _rounds(engines, source, Path(temporary), options.rounds)
        sizes = _growth(folder, engines, options.rows, suffix, Path(temporary)) if _OURS in runs else []
    figures = {name: _median(some) for name, some in runs.items()}
    size = source.stat().st_size / 1e6
    form = "Parquet" if options.parquet else "CSV"
    what = f"{options.rows:,} rows, {len(patients.COLUMNS)} columns, {size:,.0f} MB of {form}"
    print(f"{what}, file to file\n")
    print(_table(figures, failed, compared, options.rows) + "\n")
    if sizes:
        heading = ("IMD Lens, rows", "seconds", "peak memory (goal ≤ 1 GB)")
        rows = [(f"{n:,}", f"{run.seconds:.1f}", f"{run.peak / 1e6:,.0f} MB") for n, run in sizes]
        print(national.table(heading, rows))
    if _OURS in engines and _OURS not in figures:
        sys.exit(f"IMD Lens: {failed[_OURS]}")
    if others := [name for name, answers in compared.items() if answers.different]:
        sys.exit(f"Answers differ from those of {', '.join(others)}: no figure of this run can be used.")
    if _OURS in figures and _base(figures):
        report.write(options.json, machine, _headline(what, figures, sizes, options.rows))


# ------------------------------------------------------------------------------------------ engines


def _engines(directory: Path, *, parquet: bool) -> dict[str, list[str]]:
    """Commands by name, to which the file and the new file are added."""
    peers = [engine for engine in ENGINES if not (parquet and engine == "pandas")]
    python = [sys.executable, "-m"]
    commands = {
        _NAMES[engine]: [*python, "benchmarks.file_peers", "--directory", str(directory), engine] for engine in peers
    }
    ours = {_OURS: [*python, "app.cli", "enrich"]}
    arrow = {name: command for name, command in commands.items() if name.startswith("Arrow")}
    return arrow | ours | commands


def _rounds(
    engines: dict[str, list[str]], source: Path, folder: Path, rounds: int
) -> tuple[dict[str, list[Run]], dict[str, str], dict[str, Compared]]:
    """Every engine in every round; those that failed once are left out after that."""
    runs: dict[str, list[Run]] = {}
    failed: dict[str, str] = {}
    compared: dict[str, Compared] = {}
    ours = folder / f"ours{source.suffix}"
    _warm(source)
    for number in range(rounds):
        for name, command in engines.items():
            if name in failed:
                continue
            target = ours if name == _OURS else folder / f"peer{source.suffix}"
            target.unlink(missing_ok=True)
            try:
                run = _measured([*command, str(source), str(target)])
                if number == 0 and name != _OURS and not name.startswith("Arrow") and _OURS in runs:
                    compared[name] = _asked(ours, target)
                runs.setdefault(name, []).append(run)
            except EngineError as error:
                failed[name] = str(error)
            if name != _OURS:
                target.unlink(missing_ok=True)
    ours.unlink(missing_ok=True)
    return runs, failed, compared


def _growth(
    folder: Path, engines: dict[str, list[str]], rows: int, suffix: str, temporary: Path
) -> list[tuple[int, Run]]:
    """IMD Lens on a tenth, on half and on all of the rows."""
    found = []
    for n in (rows // 10, rows // 2, rows):
        source, target = patients.kept(folder, n, suffix), temporary / f"growth{suffix}"
        _warm(source)
        with suppress(EngineError):
            found.append((n, _measured([*engines[_OURS], str(source), str(target)])))
        target.unlink(missing_ok=True)
    return found


def _measured(command: list[str]) -> Run:
    """Run one engine to its end; EngineError where it says that it failed."""
    os.sync()  # what the engine before wrote is not written at this one's expense
    environment = os.environ | {"IMDLENS_DATA_DIR": str(national.CACHE / "national"), "OMP_NUM_THREADS": str(THREADS)}
    launcher = [sys.executable, "-S", "-c", _LAUNCHER, *command]
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(launcher, stdout=subprocess.PIPE, stderr=said, text=True, env=environment) as process:
            assert process.stdout
            watched = _Watched(int(process.stdout.readline()))
            seconds, used, alone, code = json.loads(process.stdout.readline())
            together = watched.stop()
        if code:
            said.seek(0)
            words = said.read().decode("utf-8", "replace").translate(_FRAMES).split()
            raise EngineError(" ".join(words)[-_TOLD:] or f"ended with {code}")
    return Run(seconds, used, max(alone * (1 if sys.platform == "darwin" else 1024), together))


class _Watched:
    """The most that a process and those it started hold together, looked at now and then."""

    def __init__(self, pid: int) -> None:
        self._pid, self._most, self._stopped = pid, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stopped.wait(_SAMPLED):
            with suppress(psutil.Error):
                process = psutil.Process(self._pid)
                held = [p.memory_info().rss for p in (process, *process.children(recursive=True))]
                self._most = max(self._most, sum(held))

    def stop(self) -> float:
        self._stopped.set()
        self._thread.join()
        return self._most


def _warm(path: Path) -> None:
    with path.open("rb") as file:
        while file.read(2**24):
            pass


def _directory(folder: Path) -> Path:
    """The directory of the current index, made once for each; in a process of its own, for its memory."""
    current = current_index(national.CACHE / "national")
    path = national.CACHE / f"directory-{current.parent.name}.parquet"
    if not path.exists():
        command = [sys.executable, "-m", "benchmarks.files", "--make-directory", str(folder), str(current), str(path)]
        subprocess.run(command, check=True)
    return path


def make_directory(postcodes: pa.Array, enricher: Enricher, path: Path) -> None:
    """Write what the peers join: of these postcodes those that are found, their keys and their answers."""
    keys = pc.replace_substring(postcodes, " ", "")
    columns = enricher.columns(enricher.read(text_column(keys)), Wanted())
    found = pc.is_in(columns["postcode_status"], pa.array(["live", "terminated"]))
    table = pa.table({"key": keys, **{name: columns[name] for name in ANSWER}}).filter(found)
    made = path.with_name(f"part-{path.name}")
    pq.write_table(table, made)
    made.rename(path)


# ------------------------------------------------------------------------------------------ answers


def _asked(ours: Path, theirs: Path) -> Compared:
    """The comparison, in a process of its own, whose memory goes back when it ends."""
    command = [sys.executable, "-m", "benchmarks.files", "--compare", str(ours), str(theirs)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise EngineError(f"its answers could not be read: {done.stderr[-_TOLD:].strip()}")
    return Compared(**json.loads(done.stdout))


def compare(ours: Path, theirs: Path) -> Compared:
    """A peer's file beside ours, row by row of the same patient; EngineError where the patients differ."""
    texts = ("postcode_status", "country", "core20_reason")
    numbers = {"patient_number": pa.int64(), "imd_decile": pa.float32()}  # pandas may write 3.0
    types = numbers | dict.fromkeys(texts, pa.dictionary(pa.int32(), pa.string()))

    def read(path: Path) -> pa.Table:
        if path.suffix == ".parquet":
            table = pq.read_table(path, columns=list(types), read_dictionary=texts)
            return pa.table({name: table[name].cast(types[name]) for name in types})
        converting = pa_csv.ConvertOptions(include_columns=list(types), column_types=types, strings_can_be_null=True)
        return pa_csv.read_csv(path, convert_options=converting).unify_dictionaries()

    a, b = read(ours), read(theirs)
    if len(a) != len(b):
        raise EngineError(f"{len(b):,} rows of {len(a):,}")
    in_order = bool(a["patient_number"].equals(b["patient_number"]))
    if not in_order:
        a, b = (table.take(np.argsort(table["patient_number"].to_numpy())) for table in (a, b))
        if not a["patient_number"].equals(b["patient_number"]):
            raise EngineError("other patients")
    matched = pc.not_equal(b["postcode_status"].cast(pa.string()), "not_found")
    different = pa.scalar(value=False)
    for name in ("imd_decile", *texts):
        kind, nothing = (pa.string(), "") if name in texts else (numbers[name], 0.0)
        left, right = (pc.fill_null(table[name].cast(kind), nothing) for table in (a, b))
        different = pc.or_(different, pc.not_equal(left, right))
    wrong = pc.sum(pc.and_(matched, different)).as_py()
    return Compared(len(a), in_order, pc.sum(matched).as_py(), wrong)


# ------------------------------------------------------------------------------------------ tables


def _median(runs: Sequence[Run]) -> Run:
    return Run(*(median(values) for values in zip(*runs, strict=True)))


def _base(figures: dict[str, Run]) -> str | None:
    """The faster way of Arrow's."""
    arrow = [name for name in figures if name.startswith("Arrow")]
    return min(arrow, key=lambda name: figures[name].seconds) if arrow else None


def _table(figures: dict[str, Run], failed: dict[str, str], compared: dict[str, Compared], rows: int) -> str:
    base, ours = _base(figures), figures.get(_OURS)
    goals = {_OURS: "≤ 1.5 × Arrow, ≤ 1 GB", _NAMES["pandas"]: "≥ 5 ×"}
    lines = []
    for name, run in figures.items():
        answers = compared.get(name)
        goal = goals.get(name, "" if name.startswith("Arrow") else "> 1 ×")
        lines.append(
            (
                name + (" (the base)" if name == base else ""),
                f"{run.seconds:.1f}",
                f"{run.used:.1f}",
                f"{rows / run.seconds / 1e6:.2f}",
                f"{run.peak / 1e6:,.0f} MB",
                f"{run.seconds / figures[base].seconds:.2f} ×" if base else "",
                f"{run.seconds / ours.seconds:.2f} ×" if ours and name != _OURS else "",
                goal,
                _said(answers) if answers else "",
            )
        )
    lines += [(name, f"failed: {said}", *[""] * 7) for name, said in failed.items()]
    heading = ("engine", "seconds", "processor seconds", "M rows/s", "peak memory", "of the base")
    return national.table((*heading, "IMD Lens is faster by", "goal", "answers"), lines)


def _said(compared: Compared) -> str:
    order = "order kept" if compared.in_order else "order lost"
    same = "all as ours" if not compared.different else f"{compared.different:,} NOT as ours"
    return f"{compared.matched / compared.rows:.1%} matched, {same}; {order}"


def _headline(what: str, figures: dict[str, Run], sizes: list[tuple[int, Run]], rows: int) -> list[report.Figure]:
    base, ours = figures[_base(figures) or _OURS], figures[_OURS]
    peers = [f"{name} {run.seconds:.1f} s" for name, run in figures.items() if not name.startswith(("Arrow", _OURS))]
    arrow = f"Arrow without a lookup {base.seconds:.1f} s"
    ratio = f"{ours.seconds / base.seconds:.2f} of Arrow"
    memory = ", ".join(f"{run.peak / 1e6:,.0f}" for _, run in sizes)
    return [
        report.Figure(
            f"{what}, file to file",
            f"{ours.seconds:.1f} s, {rows / ours.seconds / 1e6:.1f} M rows/s, {ratio}",
            ", ".join([arrow, *peers]),
            "≤ 1.5 × Arrow, ≥ 5 × pandas, ahead of all",
        ),
        report.Figure(
            f"its peak memory, {', '.join(f'{n / 1e6:g}' for n, _ in sizes)} M rows",
            f"{memory} MB",
            ", ".join(f"{n} {r.peak / 1e6:,.0f} MB" for n, r in figures.items() if not n.startswith(("Arrow", _OURS))),
            "≤ 1 GB, flat",
        ),
    ]


if __name__ == "__main__":
    main()
