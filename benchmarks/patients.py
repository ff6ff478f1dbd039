"""A file of synthetic patients, such as a hospital's system exports: for measuring files.

    python -m benchmarks.patients --rows 10000000 --out FILE.csv [--seed 2026]

Postcodes are real ones of the whole country, terminated ones as they come: of a hundred rows one has a special
postcode (ZZ99…), one has none or something that is none, and of the others four fifths are as usually written and one
fifth as EPRs send them. All else is invented. `patient_number` is nobody's: its ten digits begin with a zero and end
with a digit that fails the check (modulus 11) which NHS, CHI and Health and Care numbers share. The same seed gives the
same rows, and a shorter file is the beginning of a longer one. A name that ends in .parquet gives Parquet, all text.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import national

COLUMNS: Final = ("patient_number", "postcode", "specialty", "seen_on", "sex", "age", "clinic")
SEED: Final = 2026
MOST: Final = 10**8  # rows, each with a number of its own
_PIECE: Final = 500_000  # rows that are made at once

_SPECIAL: Final = ("ZZ99 3VZ", "ZZ993VZ", "ZZ99 3WZ", "ZZ993CZ", "ZZ99 3GZ", "ZZ99 1WZ", "ZZ99 2WZ", "ZZ99 3HZ")
_NONE: Final = ("", "", "", "", "NK", "UNKNOWN", "N/A", "NG1", "NG1 11A", "SW1A 1", "?", "1234567")
_SPECIALTIES: Final = ("011", "030", "041", "082", "100", "101", "110", "120", "130", "300", "301", "320", "340", "502")
_CLINICS: Final = (
    "Cardiology, rapid access",
    "Fracture clinic",
    "Ménière's, Tuesday",
    "Sjögren's",
    'Diabetes, "one stop"',
    "Antenatal, Zoë ward",
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=10_000_000)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--seed", type=int, default=SEED)
    options = arguments.parse_args()
    began = time.perf_counter()
    write(options.out, options.rows, national.postcodes(national.files()), options.seed)
    seconds = time.perf_counter() - began
    print(f"{options.rows:,} rows, {options.out.stat().st_size / 1e6:,.0f} MB, in {seconds:.0f} s")


def kept(folder: Path, rows: int, suffix: str = ".csv") -> Path:
    """The file of so many rows in the cache; made from the national files in `folder` where it is not there yet."""
    path = national.CACHE / f"patients-{SEED}-{rows}{suffix}"
    if not path.exists():
        national.CACHE.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f"part-{path.name}")
        write(made, rows, national.postcodes(folder))
        made.rename(path)
    return path


def write(path: Path, rows: int, postcodes: pa.Array, seed: int = SEED) -> None:
    """Write so many rows, at most MOST, with postcodes drawn from these. Memory does not grow with the rows."""
    assert 0 < rows <= MOST
    if path.suffix == ".parquet":
        with pq.ParquetWriter(path, pa.schema([(name, pa.string()) for name in COLUMNS])) as parquet:
            for piece in pieces(rows, postcodes, seed):
                parquet.write_table(pa.table({n: _plain(piece[n]) for n in COLUMNS}), row_group_size=_PIECE)
        return
    with path.open("wb") as file:
        file.write((",".join(COLUMNS) + "\n").encode())
        for piece in pieces(rows, postcodes, seed):
            columns = [_quoted(piece[name]) for name in COLUMNS]
            lines = pc.binary_join_element_wise(pc.binary_join_element_wise(*columns, ","), "", "\n")
            _, offsets, data = lines.buffers()
            file.write(memoryview(data)[: np.frombuffer(offsets, np.int32)[len(lines)]])


def pieces(rows: int, postcodes: pa.Array, seed: int) -> Iterator[dict[str, pa.Array]]:
    """The columns of some rows at a time, as text; what repeats is dictionary-encoded."""
    start = np.datetime64("2024-01-01")
    days = pa.array((start + np.arange(1000)).astype(str))
    ages = pa.array([str(age) for age in range(105)])
    clinics = pa.array(["", *_CLINICS])
    for number, first in enumerate(range(0, rows, _PIECE)):
        random, n = np.random.default_rng([seed, number]), _PIECE
        drawn = {
            "patient_number": _numbers(np.arange(first, first + n)),
            "postcode": _postcodes(postcodes, random, n),
            "specialty": _drawn(pa.array(_SPECIALTIES), random.integers(0, len(_SPECIALTIES), n)),
            "seen_on": _drawn(days, random.integers(0, len(days), n)),
            "sex": _drawn(pa.array(["F", "M", "U"]), np.searchsorted([0.51, 0.99], random.random(n))),
            "age": _drawn(ages, np.minimum(random.gamma(4.0, 13.0, n), len(ages) - 1)),
            "clinic": _drawn(clinics, random.integers(1, len(clinics), n) * (random.random(n) < 0.1)),
        }
        # A whole piece is drawn also where fewer rows are asked for, so that a shorter file begins alike.
        yield {name: column[: rows - first] for name, column in drawn.items()}


def _numbers(rows: npt.NDArray[np.int64]) -> pa.Array:
    """Ten digits for each row: a zero, eight digits in no order, and a check digit that is wrong."""
    mixed = (rows * 57_885_161 + 12_345_678) % MOST  # the factor shares no divisor with MOST: no number comes twice
    digits = np.zeros((len(rows), 10), np.uint8)
    for place in range(8, 0, -1):
        mixed, digits[:, place] = np.divmod(mixed, 10)
    weighted = digits[:, :9].astype(np.int64) @ np.arange(10, 1, -1)
    right = (11 - weighted % 11) % 11  # 10 where no digit is right
    digits[:, 9] = (right + 1) % 10
    data = (digits + ord("0")).reshape(-1)
    offsets = np.arange(0, len(data) + 1, 10, dtype=np.int32)
    return pa.StringArray.from_buffers(len(rows), pa.py_buffer(offsets), pa.py_buffer(data))


def _postcodes(known: pa.Array, random: np.random.Generator, n: int) -> pa.Array:
    sample = known.take(pa.array(random.integers(0, len(known), n)))
    untidy = national.untidy(sample, random)
    share = random.random(n)
    special = pa.array(_SPECIAL).take(pa.array(random.integers(0, len(_SPECIAL), n)))
    none = pa.array(_NONE).take(pa.array(random.integers(0, len(_NONE), n)))
    kind = np.searchsorted([0.01, 0.02, 0.216], share)  # a fifth of what is left is untidy
    chosen = pc.choose(pa.array(kind), special, none, untidy, sample)
    return chosen.combine_chunks() if isinstance(chosen, pa.ChunkedArray) else chosen


def _drawn(values: pa.Array, which: npt.NDArray[np.generic]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(which.astype(np.int32)), values)


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def _quoted(column: pa.Array) -> pa.Array:
    """As it stands in CSV, quotes only where they are needed; postcodes and numbers need none."""
    if not isinstance(column, pa.DictionaryArray):
        return column
    texts = [text.replace('"', '""') for text in column.dictionary.to_pylist()]
    written = pa.array([f'"{text}"' if set(text) & set(',"') else text for text in texts])
    return written.take(column.indices)


if __name__ == "__main__":
    main()
