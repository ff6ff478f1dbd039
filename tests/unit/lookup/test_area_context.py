"""What an index tells of an area besides deprivation, and of a file that tells nothing of it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.lookup.index import FEW, Index
from app.lookup.layout import IndexFileError, read_index, write_index
from app.reference.releases import current_index


@pytest.fixture
def copy(starter: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(current_index(starter), tmp_path / "index.imdl"))


def rewritten(path: Path, *without: str, **sections: Any) -> Path:
    """The same file with sections, or the names of the measures, left out or replaced."""
    file = read_index(path)
    header = {key: value for key, value in file.header.items() if key not in without}
    kept = {name: np.array(values) for name, values in file.sections.items() if name not in without}
    if "measures" in sections:
        header["measures"] = sections.pop("measures")
    write_index(path, header, kept | sections)
    return path


def test_a_file_written_before_there_was_area_context_opens_and_knows_none(copy: Path, index: Index) -> None:
    old = Index(rewritten(copy, "measures", "share", "rural"))
    assert old.measures == ()
    for text in ("NG1 1AA", "DG1 4QU"):
        area = old.one(text).area
        assert area == index.one(text).area
        assert old.shares(area) == ()
        assert old.rural(area) is None
        assert old.decile(area, "IoD2025") == index.decile(area, "IoD2025")
    assert old.shares(0) == ()


def test_shares_are_percent_few_or_unknown_for_every_value_that_may_be_stored(copy: Path) -> None:
    areas = Index(copy).release.areas + 1
    stored = np.resize(np.array([*range(101), 254, 255], np.uint8), (areas, 1))
    told = Index(rewritten(copy, share=stored, measures=["one"]))
    expected = np.resize(np.array([*range(101), FEW, None], object), areas).tolist()
    assert [told.shares(area) for area in range(areas)] == [(share,) for share in expected]


def test_few_cannot_be_taken_for_a_percent() -> None:
    assert not 0 <= FEW <= 100


def test_rural_is_true_false_or_unknown(copy: Path) -> None:
    areas = Index(copy).release.areas + 1
    told = Index(rewritten(copy, rural=np.resize(np.array([0, 1, 2], np.uint8), areas)))
    assert [told.rural(area) for area in range(6)] == [None, False, True] * 2


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("measures", lambda names: names[:-1]),
        ("measures", lambda names: [1, 2, 3]),
        ("measures", lambda names: 3),
        ("share", lambda values: values[:-1]),
        ("share", lambda values: values.reshape(-1)),
        ("share", lambda values: values.astype(np.uint16)),
        ("share", lambda values: np.full_like(values, 101)),
        ("share", lambda values: np.full_like(values, 253)),
        ("rural", lambda values: values[:-1]),
        ("rural", lambda values: values.astype(np.int8)),
        ("rural", lambda values: np.full_like(values, 3)),
    ],
)
def test_a_file_whose_context_does_not_fit_its_areas_is_refused(
    copy: Path, name: str, wrong: Callable[[Any], Any]
) -> None:
    file = read_index(copy)
    held = file.header[name] if name == "measures" else np.array(file.sections[name])
    with pytest.raises(IndexFileError, match=r"lacks something|well-formed"):
        Index(rewritten(copy, **{name: wrong(held)}))


@pytest.mark.parametrize("name", ["measures", "share"])
def test_measures_without_their_shares_and_shares_without_their_measures_are_refused(copy: Path, name: str) -> None:
    with pytest.raises(IndexFileError, match="lacks something"):
        Index(rewritten(copy, name))
