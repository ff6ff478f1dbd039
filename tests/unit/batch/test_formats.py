"""The format of a file by its name, as told, and by its first bytes."""

import pytest

from app.batch.formats import FORMATS, FileFormat, check_head, format_of
from app.batch.plan import FileProblemError


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.csv", FileFormat("csv")),
        ("a.CSV.GZ", FileFormat("csv", True)),
        ("folder.parquet/a.b.tsv", FileFormat("tsv")),
        ("a.ndjson.gz", FileFormat("ndjson", True)),
        ("a.jsonl", FileFormat("ndjson")),
        ("a.parquet", FileFormat("parquet")),
        ("a.xlsx", FileFormat("excel")),
        ("a.ods", FileFormat("excel")),
    ],
)
def test_the_end_of_a_name_says_the_format(name: str, found: FileFormat) -> None:
    assert format_of(name) == found


def test_what_is_told_goes_before_the_name() -> None:
    assert format_of("export", "csv") == FileFormat("csv")
    assert format_of("export.dat.gz", "NDJSON") == FileFormat("ndjson", True)
    assert format_of("a.gz", "csv") == FileFormat("csv", True)
    assert {format_of("-", told).name for told in FORMATS} == set(FORMATS)


@pytest.mark.parametrize("name", ["export", "a.json", "a.gz", "a.zip", ".csv", ""])
def test_a_name_that_says_nothing_is_refused(name: str) -> None:
    with pytest.raises(FileProblemError, match=r"does not say its format.*--format\.$"):
        format_of(name)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(FileProblemError, match="one of csv, tsv, ndjson, parquet, excel"):
        format_of("a.csv", "xml")
    with pytest.raises(FileProblemError, match=r"take \.gz"):
        format_of("a.parquet.gz")
    with pytest.raises(FileProblemError, match=r"written as \.xlsx"):
        format_of("a.ods", written=True)
    assert format_of("a.xlsx", written=True).name == "excel"


HEADS = {
    b"PAR1\x15\x04\x15\x10": "parquet",
    b"PK\x03\x04\x14\x00\x00\x00": "excel",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "excel",
    b"postcode": "csv",
    b'{"postc': "ndjson",
    b"PAR1,PAR": "csv",
    b"PK,postc": "csv",
    b"": "csv",
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00": "gzip",
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ["a.csv", "a.ndjson", "a.parquet", "a.xlsx", "a.csv.gz"])
def test_first_bytes_of_another_format_are_refused(head: bytes, name: str) -> None:
    found = format_of(name)
    said = "gzip" if found.gzip else "csv" if found.name == "ndjson" else found.name
    is_text = HEADS[head] in ("csv", "ndjson")
    fits = said == HEADS[head] or (said == "parquet" and head.startswith(b"PAR1"))
    if fits or (said == "csv" and is_text) or (said == "gzip" and not head):
        check_head(head, found)
    else:
        with pytest.raises(FileProblemError, match=r"^The file is said to be .*\.$"):
            check_head(head, found)
