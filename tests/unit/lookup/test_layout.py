"""An index file is sound or refused in one sentence."""

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

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
    file = read_index(copy)
    header, sections = dict(file.header), {name: np.array(values) for name, values in file.sections.items()}
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
