"""Answers as CSV rows: what was asked is not among them, so that nothing in them needs quotes."""

from collections.abc import Iterator, Sequence

import numpy as np

from app.batch.columns import AREA_COLUMNS, Enricher, Wanted, written
from app.batch.pieces import Fault
from app.lookup.text import TextColumn


class CsvAnswers:
    """Writes rows for postcodes, each with a last field that says why it could not be read."""

    def __init__(self, enricher: Enricher, wanted: Wanted) -> None:
        self._enricher, self._wanted = enricher, wanted
        self._cores: list[str] = []  # by number of the answer
        names = list(wanted.types())
        self.heading = ",".join([*names, "error"]).encode() + b"\n"
        self._empty = "," * len(names)
        self._codes = [enricher.index.codes(kind) for kind in AREA_COLUMNS] if wanted.area else []

    def write(self, postcodes: Sequence[bytes | Fault]) -> bytes:
        """Rows in the order of the postcodes; a fault in the place of one is the error of its row."""
        sound = [postcode for postcode in postcodes if isinstance(postcode, bytes)]
        answered = iter(self._rows(sound) if sound else ())
        rows = [next(answered) if isinstance(p, bytes) else f"{self._empty}{p}" for p in postcodes]
        return "\n".join([*rows, ""]).encode()

    def _rows(self, postcodes: list[bytes]) -> Iterator[str]:
        lengths = np.array([len(postcode) for postcode in postcodes], np.int64)
        ends = np.cumsum(lengths)
        column = TextColumn(np.frombuffer(b"".join(postcodes), np.uint8), ends - lengths, ends)
        answers = self._enricher.read(column)
        for answer in self._enricher.answers[len(self._cores) :]:
            self._cores.append(b",".join([*map(written, answer.core), b""]).decode())
        rows = [self._cores[number] for number in answers.number.tolist()]
        if self._wanted.domains:
            deciles = self._enricher.index.domain_rows(answers.area, self._enricher.rules.core20_edition)
            rows = [
                row + "".join(f"{decile or ''}," for decile in its)
                for row, its in zip(rows, deciles.tolist(), strict=True)
            ]
        if self._wanted.area:
            rows = [
                row + "".join(f"{codes[area] or ''}," for codes in self._codes)
                for row, area in zip(rows, answers.area.tolist(), strict=True)
            ]
        return iter(rows)
