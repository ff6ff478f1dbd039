"""An index file is sound or refused in one sentence."""

import hashlib
import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.lookup import postcode
from app.lookup.index import Index
from app.lookup.layout import FORMAT, IndexFileError, read_index, write_index
from app.reference.releases import current_index


@pytest.fixture
def copy(starter: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(current_index(starter), tmp_path / "index.imdl"))


def refused(path: Path) -> str:
    with pytest.raises(IndexFileError) as error:
        Index(path)
    sentence = str(error.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def parts(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    """Header and sections, no longer those of the file, which may be written anew."""
    file = read_index(path)
    return dict(file.header), {name: np.array(values) for name, values in file.sections.items()}


def write_sound(path: Path, header: bytes, sections: bytes = b"") -> None:
    """A file whose checksum matches, whatever its header says."""
    prefix = struct.pack("<8sII", b"IMDLENS\n", FORMAT, len(header))
    path.write_bytes(prefix + hashlib.sha256(header + sections).digest() + header + sections)


def test_a_sound_file_opens(copy: Path) -> None:
    assert Index(copy).one("NG1 1AA").finding.status == "live"


@pytest.mark.parametrize("size", [0, 1, 47])
def test_a_file_shorter_than_its_header_is_refused(copy: Path, size: int) -> None:
    copy.write_bytes(copy.read_bytes()[:size])
    assert f"only {size} bytes" in refused(copy)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(copy: Path, share: float) -> None:
    content = copy.read_bytes()
    copy.write_bytes(content[: max(48, int(len(content) * share))])
    assert "damaged" in refused(copy)


def test_a_file_with_more_at_its_end_is_refused(copy: Path) -> None:
    copy.write_bytes(copy.read_bytes() + b"\0")
    assert "damaged" in refused(copy)


@pytest.mark.parametrize("at", [16, 47, 48, 300, 5_000, -1])
def test_one_changed_bit_is_refused(copy: Path, at: int) -> None:
    content = bytearray(copy.read_bytes())
    content[at] ^= 1
    copy.write_bytes(content)
    assert "damaged" in refused(copy)


def test_a_newer_format_is_told_from_a_damaged_file(copy: Path) -> None:
    content = bytearray(copy.read_bytes())
    content[8:12] = struct.pack("<I", FORMAT + 1)
    copy.write_bytes(content)
    assert "newer" in refused(copy)
    assert "upgrade" in refused(copy)


def test_another_file_is_not_an_index(tmp_path: Path) -> None:
    path = tmp_path / "index.imdl"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    assert "not an IMD Lens index" in refused(path)


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot be opened" in refused(tmp_path / "none")
    assert "cannot be opened" in refused(tmp_path)


@pytest.mark.parametrize("wrong", ["slots", "sectors", "profile", "decile", "domain", "lsoa21", "editions", "counts"])
def test_a_file_whose_parts_do_not_fit_is_refused(copy: Path, wrong: str) -> None:
    header, sections = parts(copy)
    if wrong in ("editions", "counts"):
        header[wrong] = header[wrong][:-1] if wrong == "editions" else {}
    elif wrong == "sectors":
        sections[wrong][0] = 2**30
    elif wrong == "profile":
        sections[wrong][0] = 60_000
    else:
        sections[wrong] = sections[wrong][:-1]
    write_index(copy, header, sections)
    assert "lacks something" in refused(copy)


@pytest.mark.parametrize(
    ("section", "held"),
    [
        ("slots", ">u4"),
        ("profile", np.int8),
        ("profiles", np.int8),
        ("decile", np.int8),
        ("domain", np.float32),
        ("rank", np.int32),
        ("sectors", np.float64),
    ],
)
def test_a_section_that_is_held_as_another_type_is_refused(copy: Path, section: str, held: str) -> None:
    """A negative profile would be read from the end of the list: another area's decile."""
    header, sections = parts(copy)
    write_index(copy, header, sections | {section: sections[section].astype(held)})
    assert "lacks something" in refused(copy) or "well-formed" in refused(copy)


@pytest.mark.parametrize(
    ("section", "values"), [("decile", 11), ("decile", 5), ("domain", 11), ("profiles", 7), ("lad", b"\xff" * 9)]
)
def test_values_that_no_area_can_have_are_refused(copy: Path, section: str, values: int | bytes) -> None:
    """No decile is above ten, none stands differently for a column and for one at a time, and a code is ASCII."""
    header, sections = parts(copy)
    write_index(copy, header, sections | {section: np.full_like(sections[section], values)})
    assert "lacks something" in refused(copy)


def test_an_edition_without_a_name_is_refused(copy: Path) -> None:
    header, sections = parts(copy)
    editions = [edition | {"id": ["IoD2025"]} for edition in header["editions"]]
    write_index(copy, header | {"editions": editions}, sections)
    assert "lacks something" in refused(copy)


def test_a_header_without_a_bottom_is_refused(copy: Path) -> None:
    write_sound(copy, b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    assert "well-formed" in refused(copy)


def test_a_section_that_begins_between_two_values_is_refused(copy: Path) -> None:
    content = copy.read_bytes()
    length = struct.unpack_from("<I", content, 12)[0]
    header = json.loads(content[48 : 48 + length])
    header["sections"]["slots"]["offset"] += 2
    header["sections"]["slots"]["shape"] = [header["sections"]["slots"]["shape"][0] - postcode.UNITS]
    write_sound(copy, json.dumps(header).encode().ljust(length), content[48 + length :])
    assert "well-formed" in refused(copy)


@pytest.mark.parametrize("name", ["0,7", "O", "V3", "<M8", "<u8", "(9)", ">u4"])
def test_a_section_of_a_type_that_no_index_holds_is_refused(copy: Path, name: str) -> None:
    """Some of these names are expressions to numpy, which raises whatever comes of them."""
    content = copy.read_bytes()
    length = struct.unpack_from("<I", content, 12)[0]
    head = content[48 : 48 + length]
    assert b'"<u4"' in head
    write_sound(copy, head.replace(b'"<u4"', f'"{name}"'.encode()).rstrip().ljust(length), content[48 + length :])
    assert "well-formed" in refused(copy)
