"""Parquet, Excel and NDJSON as tables: types that stay, text that stays text, and damage said in a sentence."""

import csv
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from python_calamine import load_workbook

from app.batch import tables
from app.batch.columns import Answers, Enricher, Wanted
from app.batch.plan import FileProblemError, Plan
from app.batch.sheets import read_excel, read_sheet
from app.batch.tables import (
    CsvWriter,
    ExcelWriter,
    NdjsonWriter,
    ParquetWriter,
    Table,
    Writer,
    enrich_tables,
    read_ndjson,
    read_parquet,
)
from app.enrichment import Question, Rules, enrich
from app.lookup.index import Index


@pytest.fixture(scope="module")
def enricher(index: Index, rules: Rules) -> Enricher:
    return Enricher(index, rules)


def parquet(table: pa.Table, **options: Any) -> io.BytesIO:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    sink.seek(0)
    return sink


def through(table: Table, plan: Plan) -> pa.Table:
    """A table enriched into Parquet and read again."""
    sink = io.BytesIO()
    enrich_tables(table.batches, table.schema, ParquetWriter(sink, table.compression), plan)
    return pq.ParquetFile(io.BytesIO(sink.getvalue())).read()


EVERY = pa.table(
    {
        "id": pa.array(["007", None, ""]),
        "postcode": pa.array(["NG1 1AA", "junk", None], pa.large_string()),
        "money": pa.array([Decimal("1.10"), None, Decimal("-2.00")], pa.decimal128(9, 2)),
        "when": pa.array([1, None, 3], pa.timestamp("ns", "Europe/London")),
        "day": pa.array([date(1899, 1, 1), None, date(2026, 1, 2)]),
        "kind": pa.array(["a", None, "a"]).dictionary_encode(),
        "list": pa.array([[1, 2], None, []], pa.list_(pa.int32())),
        "struct": pa.array([{"x": {"y": [b"\xff"]}}, None, {"x": None}]),
        "map": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int8())),
        "bytes": pa.array([b"\xff", None, b""]),
        "small": pa.array([1, None, 255], pa.uint8()),
        "half": pa.array([1.5, None, float("nan")], pa.float32()),
        "time": pa.array([time(1, 2, 3), None, time(0)]),
    }
).replace_schema_metadata({"whose": "ours", "imdlens": "of another time"})


def test_every_column_of_parquet_keeps_its_type_its_values_and_the_metadata(enricher: Enricher, index: Index) -> None:
    table = read_parquet(parquet(EVERY, compression="gzip"))
    assert (table.rows, table.compression) == (3, "gzip")
    done = through(table, Plan(enricher, Wanted(area=True, domains=True)))
    assert done.select(EVERY.column_names).cast(EVERY.schema).drop_columns("half").equals(EVERY.drop_columns("half"))
    assert done.schema.remove_metadata().names == [*EVERY.column_names, *Wanted(area=True, domains=True).types()]
    for field in EVERY.schema:
        assert done.schema.field(field.name).type == field.type
    assert done["imd_decile"].to_pylist() == [3, None, None]
    assert done["core20"].to_pylist() == [False, None, None]
    assert done.schema.metadata[b"whose"] == b"ours"
    said = json.loads(done.schema.metadata[b"imdlens"])
    assert said["release"] == index.release.id
    assert said["core20_edition"] == "IoD2025"
    assert "IoD2019" in said["editions"]
    assert said["rules"] == enricher.rules.version


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "brotli", "lz4", "zstd"])
def test_the_source_s_compression_is_kept(enricher: Enricher, compression: str) -> None:
    table = read_parquet(parquet(EVERY, compression=compression))
    sink = io.BytesIO()
    enrich_tables(table.batches, table.schema, ParquetWriter(sink, table.compression), Plan(enricher))
    before, after = (
        pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(0).compression
        for data in (parquet(EVERY, compression=compression).getvalue(), sink.getvalue())
    )
    assert before == after


def test_rows_keep_their_order_over_many_batches_and_row_groups(enricher: Enricher, index: Index, rules: Rules) -> None:
    rows = 300_000
    texts = ["NG1 1AA", "junk", "NG7 2UH", None]
    table = pa.table({"n": range(rows), "postcode": pa.array([texts[i % 4] for i in range(rows)])})
    seen: list[str | None] = []

    class Watcher:
        columns = ("n",)

        def observe(self, answers: Answers, column: Any) -> None:
            seen.extend(column("n").to_pylist())
            assert len(answers.number) == len(column("n"))

    sink = io.BytesIO()
    source = read_parquet(parquet(table, row_group_size=70_000))
    plan = Plan(enricher, observers=[Watcher()])
    enrich_tables(source.batches, source.schema, ParquetWriter(sink), plan)
    done = pq.ParquetFile(io.BytesIO(sink.getvalue()))
    assert done.metadata.num_row_groups == 2
    read = done.read()
    assert read["n"].to_pylist() == list(range(rows))
    deciles = [enrich(Question(text), index, rules).reading.imd_decile for text in texts]
    assert read["imd_decile"].to_pylist() == deciles * (rows // 4)
    assert seen == [str(n) for n in range(rows)]
    assert plan.rows == rows


def test_columns_of_one_name_stay_unless_one_is_the_postcode(enricher: Enricher) -> None:
    twice = pa.table([pa.array(["NG1 1AA"]), pa.array([1]), pa.array([2])], names=["postcode", "x", "x"])
    done = through(read_parquet(parquet(twice)), Plan(enricher))
    assert [done.column(i).to_pylist() for i in range(4)] == [["NG1 1AA"], [1], [2], ["live"]]
    both = pa.table([pa.array(["NG1 1AA"]), pa.array(["NG7 2UH"])], names=["postcode", "postcode"])
    with pytest.raises(FileProblemError, match="--postcode-column"):
        through(read_parquet(parquet(both)), Plan(enricher))
    assert through(read_parquet(parquet(both)), Plan(enricher, postcode_column="2"))["imd_decile"].to_pylist() == [7]


@pytest.mark.parametrize(
    "kind", [pa.binary(), pa.list_(pa.string()), pa.date32(), pa.dictionary(pa.int8(), pa.binary())], ids=str
)
def test_a_postcode_column_that_is_no_text_is_refused_in_one_sentence(enricher: Enricher, kind: pa.DataType) -> None:
    table = pa.table({"postcode": pa.array([None], kind)})
    with pytest.raises(FileProblemError, match="must be text"):
        through(read_parquet(parquet(table)), Plan(enricher))


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["NG1 1AA", None, "NG7 2UH"]).dictionary_encode(),
        pa.array(["NG1 1AA", None, "NG7 2UH"], pa.large_string()),
        pa.array(["NG1 1AA", None, "NG7 2UH"], pa.string_view()),
    ],
    ids=lambda column: str(column.type),
)
def test_text_of_any_layout_is_read(enricher: Enricher, column: pa.Array) -> None:
    done = through(read_parquet(parquet(pa.table({"postcode": column}))), Plan(enricher))
    assert done["imd_decile"].to_pylist() == [3, None, 7]


@pytest.mark.parametrize("column", [pa.nulls(2), pa.array([1, None]), pa.array([], pa.string())], ids=str)
def test_numbers_nulls_and_no_rows_have_no_decile(enricher: Enricher, column: pa.Array) -> None:
    done = through(read_parquet(parquet(pa.table({"postcode": column}))), Plan(enricher))
    assert done["postcode_status"].to_pylist() == ["malformed"] * len(column)


def damaged(data: bytes) -> Iterable[bytes]:
    yield from (data[:-1], data[: len(data) // 2], data[:4], b"", b"postcode\nNG1 1AA\n", b"PAR1" * 10)
    middle = len(data) // 3
    yield data[:middle] + bytes(255 - b for b in data[middle : middle + 400]) + data[middle + 400 :]


def test_damaged_parquet_is_said_in_a_sentence_without_a_value(enricher: Enricher) -> None:
    table = pa.table({"postcode": [f"NG1 {i}" for i in range(5000)]})
    for data in damaged(parquet(table).getvalue()):
        with pytest.raises(FileProblemError, match=r"damaged or cut short.*\.$") as raised:
            through(read_parquet(io.BytesIO(data)), Plan(enricher))
        assert "NG1" not in str(raised.value)


def test_work_that_fails_leaves_no_parquet_that_can_be_read(enricher: Enricher) -> None:
    def batches() -> Iterable[pa.RecordBatch]:
        yield pa.record_batch({"postcode": ["NG1 1AA"] * 300_000})
        raise FileProblemError("Broken.")

    sink = io.BytesIO()
    with pytest.raises(FileProblemError, match=r"Broken\."):
        enrich_tables(batches(), pa.schema({"postcode": pa.string()}), ParquetWriter(sink), Plan(enricher))
    with pytest.raises(FileProblemError):
        read_parquet(io.BytesIO(sink.getvalue()))


# -------------------------------------------------------------------------------------------- Excel


def workbook(rows: list[list[Any]], names: tuple[str, ...] = ("Patients",), **options: Any) -> io.BytesIO:
    sink = io.BytesIO()
    book = xlsxwriter.Workbook(sink, {"default_date_format": "yyyy-mm-dd", "strings_to_formulas": False, **options})
    for name in names:
        sheet = book.add_worksheet(name)
        for i, row in enumerate(rows):
            for j, cell in enumerate(row):
                if cell is not None:
                    sheet.write(i, j, cell)
    book.close()
    sink.seek(0)
    return sink


def to_excel(table: Table, plan: Plan, folder: Path) -> list[list[Any]]:
    sink = io.BytesIO()
    enrich_tables(table.batches, table.schema, ExcelWriter(sink, folder, table.rows), plan)
    assert not list(folder.iterdir())
    sink.seek(0)
    return load_workbook(sink).get_sheet_by_index(0).to_python()


SHEET: list[list[Any]] = [
    ["id", "postcode", "n", "share", "ok", "born", "seen", "at", "formula", "mixed", "x", "x"],
    [
        "007",
        "NG1 1AA",
        7,
        1.5,
        True,
        date(1970, 1, 2),
        datetime.fromisoformat("2026-01-02T03:04:05"),
        time(3, 4),
        "=1+1",
        1,
        "a",
        None,
    ],
    [None, "junk", None, 2, False, None, datetime.fromisoformat("2026-01-03"), None, "=HYPERLINK(1)", "A1", None, 5],
    [],
    ["0"],
]


def test_a_workbook_keeps_text_as_text_and_numbers_days_and_truth_as_such(enricher: Enricher, tmp_path: Path) -> None:
    table = read_excel(workbook(SHEET), Plan(enricher))
    assert table.schema.types[:10] == [
        pa.string(),
        pa.string(),
        pa.int64(),
        pa.float64(),
        pa.bool_(),
        pa.date32(),
        pa.timestamp("us"),
        pa.time64("us"),
        pa.string(),
        pa.string(),
    ]
    done = to_excel(table, Plan(enricher), tmp_path)
    assert done[0] == [*SHEET[0], *Wanted().types()]
    assert done[1][:12] == [*SHEET[1][:9], "1", "a", ""]
    assert done[1][12:] == ["live", "England", 3, 2, "IoD2025", False, ""]
    assert done[2][:12] == ["", "junk", "", 2, False, "", date(2026, 1, 3), "", "=HYPERLINK(1)", "A1", "", 5]
    assert done[4][0] == "0"
    assert done[3][12:] == done[4][12:] == ["malformed", "", "", "", "IoD2025", "", "malformed"]


def test_no_cell_of_a_written_workbook_is_a_formula_or_a_link(enricher: Enricher, tmp_path: Path) -> None:
    nasty = ["=1+1", "{=1}", "+1", "@x", "-1", "https://example.org", "mailto:a@b", "internal:x", "007", "1e5", "\x01"]
    table = pa.table({"postcode": nasty, "name": nasty})
    sink = io.BytesIO()
    enrich_tables(table.to_batches(), table.schema, ExcelWriter(sink, tmp_path), Plan(enricher))
    with zipfile.ZipFile(sink) as file:
        text = "".join(file.read(name).decode() for name in file.namelist() if "sheet1" in name)
    assert "<f>" not in text
    assert "hyperlink" not in text
    sink.seek(0)
    read = load_workbook(sink).get_sheet_by_index(0).to_python()
    assert [row[1] for row in read[1:]] == nasty


def test_a_sheet_is_chosen_by_its_name(enricher: Enricher) -> None:
    book = workbook([["postcode"], ["NG1 1AA"]], ("One", "Two"))
    assert read_excel(book, Plan(enricher, sheet="Two")).rows == 1
    with pytest.raises(FileProblemError, match="no sheet called Three; it has One, Two"):
        read_excel(book, Plan(enricher, sheet="Three"))


def test_a_sheet_without_a_heading_has_numbers_for_names(enricher: Enricher, tmp_path: Path) -> None:
    plan = Plan(enricher, has_header=False, postcode_column="2")
    done = to_excel(read_excel(workbook([[], ["a", "NG1 1AA"], ["b", "NG7 2UH", 1]]), plan), plan, tmp_path)
    assert [row[:2] for row in done] == [["a", "NG1 1AA"], ["b", "NG7 2UH"]]
    assert [row[5] for row in done] == [3, 7]


@pytest.mark.parametrize("rows", [[], [["postcode"]]])
def test_a_sheet_without_rows_is_taken_or_lacks_its_postcode(
    enricher: Enricher, tmp_path: Path, rows: list[list[Any]]
) -> None:
    table = read_excel(workbook(rows), Plan(enricher))
    if rows:
        assert len(to_excel(table, Plan(enricher), tmp_path)) == 1
    else:
        with pytest.raises(FileProblemError, match="columns is called postcode"):
            to_excel(table, Plan(enricher), tmp_path)


def test_a_parquet_file_with_any_one_byte_of_its_end_changed_ends_no_process() -> None:
    """Arrow aborts where it is asked the name of a compression that there is not; the process is one of its own."""
    program = """
import io, pyarrow as pa, pyarrow.parquet as pq
from app.batch.plan import FileProblemError
from app.batch.tables import read_parquet
file = io.BytesIO()
pq.write_table(pa.table({"postcode": ["NG1 1AA"], "n": [1]}), file, compression="none", store_schema=False)
sound, refused = file.getvalue(), 0
for at in range(len(sound) - 300, len(sound) - 8):
    for bits in (0x0F, 0x60):
        changed = bytearray(sound)
        changed[at] ^= bits
        try:
            list(read_parquet(io.BytesIO(changed)).batches)
        except FileProblemError:
            refused += 1
print(refused > 20)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "True", done.stderr[-500:]


def test_bytes_that_a_parquet_file_calls_text_and_are_none_are_said_in_a_sentence(enricher: Enricher) -> None:
    text = pa.array([b"\xc2("]).cast(pa.binary())
    called = pa.Array.from_buffers(pa.string(), 1, text.buffers())
    table = read_parquet(parquet(pa.table({"postcode": ["NG1 1AA"], "note": called})))
    with pytest.raises(FileProblemError, match=r"no text in UTF-8\.$"):
        enrich_tables(table.batches, table.schema, NdjsonWriter(io.BytesIO()), Plan(enricher))


def test_damaged_workbooks_are_said_in_a_sentence() -> None:
    whole = workbook([["postcode"], *[[f"NG1 {i}"] for i in range(3000)]]).getvalue()
    for data in (
        *list(damaged(whole))[:-1],
        b"PK\x03\x04" + b"junk" * 9,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 600,
    ):
        with pytest.raises(FileProblemError, match=r"^The workbook is .*\.$") as raised:
            read_sheet(io.BytesIO(data), None, has_header=True)
        assert "NG1" not in str(raised.value)


@pytest.mark.parametrize("cell", ["XFD1048576", "A2" + "7" * 50])
def test_a_workbook_with_one_cell_far_from_the_others_is_said_in_a_sentence(enricher: Enricher, cell: str) -> None:
    """Its reader asks for hundreds of gigabytes and aborts: that ends another process than this."""
    stray = sheet_xml(workbook([["postcode"], ["NG1 1AA"]]), lambda xml: xml.replace(b'r="A2"', f'r="{cell}"'.encode()))
    with pytest.raises(FileProblemError, match=r"^The workbook (needs more memory than there is|is damaged)") as raised:
        read_excel(stray, Plan(enricher))
    assert str(raised.value).endswith(".")


def sheet_xml(book: io.BytesIO, change: Callable[[bytes], bytes]) -> io.BytesIO:
    """A workbook whose first sheet's XML is changed."""
    changed = io.BytesIO()
    with zipfile.ZipFile(book) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, change(part) if name.endswith("sheet1.xml") else part)
    return changed


def test_a_large_sheet_comes_back_whole_and_in_its_order(enricher: Enricher) -> None:
    """More rows than one batch of the reader's process has."""
    table = read_excel(workbook([["postcode"], *[[f"NG{i} 1AA"] for i in range(40_000)]]), Plan(enricher))
    assert table.rows == 40_000
    assert pa.Table.from_batches(table.batches)["postcode"].to_pylist() == [f"NG{i} 1AA" for i in range(40_000)]


def test_a_workbook_that_is_no_workbook_is_refused_by_way_of_the_readers_process(enricher: Enricher) -> None:
    with pytest.raises(FileProblemError, match=r"^The workbook is damaged"):
        read_excel(io.BytesIO(b"PK\x03\x04junk"), Plan(enricher))


def test_what_a_sheet_has_no_room_for_is_refused_before_the_work(
    enricher: Enricher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = pa.schema({"postcode": pa.string()})
    with pytest.raises(FileProblemError, match="1,048,575 rows"):
        enrich_tables(iter(()), schema, ExcelWriter(io.BytesIO(), tmp_path, 1_048_576), Plan(enricher))
    wide = pa.schema([("postcode", pa.string()), *((f"c{i}", pa.string()) for i in range(16_384))])
    with pytest.raises(FileProblemError, match="16,384 columns; this would be 16,392"):
        enrich_tables(iter(()), wide, ExcelWriter(io.BytesIO(), tmp_path), Plan(enricher))
    monkeypatch.setattr(tables, "EXCEL_ROWS", 3)
    batch = pa.record_batch({"postcode": ["NG1 1AA"] * 4})
    with pytest.raises(FileProblemError, match="rows beside its heading"):
        enrich_tables([batch], schema, ExcelWriter(io.BytesIO(), tmp_path), Plan(enricher))
    long = pa.record_batch({"postcode": ["x" * 32_768]})
    with pytest.raises(FileProblemError, match="Row 2, column 1"):
        enrich_tables([long], schema, ExcelWriter(io.BytesIO(), tmp_path), Plan(enricher))
    assert not list(tmp_path.iterdir())


def test_what_excel_cannot_hold_as_a_number_or_a_day_is_text(enricher: Enricher, tmp_path: Path) -> None:
    table = pa.table(
        {
            "postcode": ["NG1 1AA"],
            "long": pa.array([12345678901234567]),
            "old": pa.array([date(1850, 1, 2)]),
            "zoned": pa.array([datetime(2026, 1, 2, tzinfo=UTC)]),
            "nan": pa.array([float("nan")]),
            "money": pa.array([Decimal("1.10")]),
            "span": pa.array([timedelta(hours=30)]),
            "list": pa.array([[1]]),
        }
    )
    (_, row) = to_excel(Table(table.schema, table.to_batches()), Plan(enricher), tmp_path)
    assert row[1:8] == [
        "12345678901234567",
        "1850-01-02",
        "2026-01-02T00:00:00+00:00",
        "nan",
        "1.10",
        timedelta(hours=30),
        "[1]",
    ]


# ------------------------------------------------------------------------------------ NDJSON and CSV


def test_ndjson_becomes_a_table_of_all_its_members(enricher: Enricher) -> None:
    lines = (
        b'\xef\xbb\xbf{"id":"007","postcode":"NG1 1AA","n":1,"f":1,"ok":true,"mixed":7,"o":{"x":1.50},"none":null}\r\n'
        b'\r\n{"late":"x","postcode":null,"n":null,"f":2.5,"mixed":"a","big":123456789012345678901,"day":"2026-01-02"}'
    )
    table = read_ndjson(io.BytesIO(lines))
    done = through(table, Plan(enricher))
    first, second = done.to_pylist()
    assert first | {"imd_decile": 3, "id": "007", "n": 1, "f": 1.0, "ok": True, "mixed": "7", "late": None} == first
    assert json.loads(first["o"]) == {"x": 1.5}
    assert second | {"f": 2.5, "mixed": "a", "big": "123456789012345678901", "late": "x", "day": "2026-01-02"} == second
    assert done.schema.field("n").type == pa.int64()
    assert done.schema.field("none").type == pa.string()


def test_a_broken_line_of_a_table_is_named(enricher: Enricher) -> None:
    for broken in (b"x", b'{"a":1,"a":2}', b"[]"):
        with pytest.raises(FileProblemError, match=r"^Line 3 "):
            read_ndjson(io.BytesIO(b'{"postcode":"NG1 1AA"}\n\n' + broken))


def written(table: pa.Table, writer: Writer, plan: Plan, sink: io.BytesIO) -> str:
    enrich_tables(table.to_batches(), table.schema, writer, plan)
    return sink.getvalue().decode()


def test_ndjson_is_written_with_a_member_for_each_column(enricher: Enricher) -> None:
    sink = io.BytesIO()
    table = EVERY.drop_columns(["bytes", "struct"])
    lines = [json.loads(line) for line in written(table, NdjsonWriter(sink), Plan(enricher), sink).splitlines()]
    assert lines[0]["id"] == "007"
    assert (lines[0]["imd_decile"], lines[0]["core20"], lines[1]["core20"]) == (3, False, None)
    assert (lines[0]["money"], lines[0]["day"], lines[0]["list"]) == ("1.10", "1899-01-01", [1, 2])
    assert (lines[1]["list"], lines[2]["half"]) == (None, None)
    twice = pa.table([pa.array(["NG1 1AA"]), pa.array([1]), pa.array([2])], names=["postcode", "x", "x"])
    with pytest.raises(FileProblemError, match="Columns 2 and 3 have the same name"):
        written(twice, NdjsonWriter(sink), Plan(enricher), sink)


def test_csv_is_written_with_quotes_where_they_are_needed(enricher: Enricher) -> None:
    sink = io.BytesIO()
    table = pa.table({"a,b": ['x"y', None, "é\n"], "postcode": ["NG1 1AA", "junk", ""], "n": [1.5, None, 2.0]})
    text = written(table, CsvWriter(sink), Plan(enricher), sink)
    assert text.startswith('"a,b",postcode,n,postcode_status,')
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[1][:6] == ['x"y', "NG1 1AA", "1.5", "live", "England", "3"]
    assert rows[2][:3] == ["", "junk", ""]
    assert rows[3][0] == "é\n"
    assert rows[1][8] == "false"
    assert rows[2][8] == ""
    assert '"NG1 1AA"' not in text


@pytest.mark.parametrize("writer", [NdjsonWriter, CsvWriter, lambda sink: ExcelWriter(sink, Path())])
def test_bytes_are_refused_where_text_alone_can_stand(enricher: Enricher, writer: Any) -> None:
    sink = io.BytesIO()
    with pytest.raises(FileProblemError, match="column bytes holds bytes"):
        written(EVERY.select(["postcode", "bytes"]), writer(sink), Plan(enricher), sink)


def test_batches_with_dictionaries_of_their_own_are_written_as_one_column(enricher: Enricher) -> None:
    parts = [pa.array(part).dictionary_encode() for part in (["NG1 1AA", "a"], ["b", "NG7 2UH"])]
    table = pa.table({"postcode": pa.chunked_array(parts)})
    done = through(Table(table.schema, table.to_batches()), Plan(enricher))
    assert done["postcode"].to_pylist() == ["NG1 1AA", "a", "b", "NG7 2UH"]
    assert done["imd_decile"].to_pylist() == [3, None, None, 7]
    assert pa.types.is_dictionary(done.schema.field("postcode").type)


def test_a_whole_number_among_fractions_is_written_with_all_its_digits(enricher: Enricher) -> None:
    sink = io.BytesIO()
    table = pa.table({"postcode": ["NG1 1AA"] * 4, "id": [12345678901.0, None, 1.5, float("nan")]})
    lines = written(table, CsvWriter(sink), Plan(enricher), sink).splitlines()
    assert [line.split(",")[1] for line in lines] == ["id", "12345678901", "", "1.5", "nan"]
