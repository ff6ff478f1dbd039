"""What targets need around them, made once: an index, a small one as bytes, the rules, a folder, keys for tokens."""

import hashlib
import json
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from app.access.tokens import TokenReader
from app.batch.columns import Enricher
from app.context.rulebook import Rulebook
from app.enrichment import Rules
from app.lookup import layout, postcode
from app.lookup.index import Index
from app.reference.build import BuildOptions, build
from app.reference.manifest import manifest, packaged_data
from app.reference.releases import current_index, publish
from tests.unit.access import signers

_SECTORS = 2  # of the small index


@cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    memory = Path("/dev/shm")  # noqa: S108 - a file is written for each input
    where = memory if os.access(memory, os.W_OK) else None
    return tempfile.TemporaryDirectory(prefix="imdlens-fuzz-", dir=where)


def folder() -> Path:
    """A folder for as long as the process lives."""
    return Path(_kept().name)


@cache
def index() -> Index:
    """The starter index, by the real build."""
    data = folder() / "data"
    options = BuildOptions(allow_part=True, starter=True)
    publish(data, lambda made: build([packaged_data() / "starter"], made, manifest(), options))
    return Index(current_index(data))


@cache
def rules() -> Rules:
    """The rules as shipped."""
    return Rules("IoD2025", Rulebook.load())


@cache
def enricher() -> Enricher:
    """What files are answered by."""
    return Enricher(index(), rules())


@cache
def tokens() -> TokenReader:
    """A reader of tokens that trusts one identity provider, one client and one EPR."""
    made = folder() / "access"
    made.mkdir()
    return signers.reader(made)


@cache
def small_index() -> bytes:
    """An index file of two sectors: small enough that a changed byte changes something."""
    index()
    file = layout.read_index(current_index(folder() / "data"))
    sections = dict(file.sections)
    slots = sections["slots"][: (_SECTORS + 1) * postcode.UNITS].copy()
    held = np.unique(slots & np.uint32(layout.AREA))
    slots = (slots & ~np.uint32(layout.AREA)) | np.searchsorted(held, slots & np.uint32(layout.AREA)).astype(np.uint32)
    sections |= {"slots": slots, "sectors": sections["sectors"][:_SECTORS]}
    for name in ("decile", "rank", "domain"):
        sections[name] = sections[name][:, held]
    for name in ("profile", "share", "rural", "lsoa21", "lsoa11", "lad", "icb"):
        sections[name] = sections[name][held]
    header: dict[str, Any] = json.loads(json.dumps(dict(file.header)))
    header["counts"] |= {"areas": len(held) - 1}
    path = folder() / "small.imdl"
    layout.write_index(path, header, sections)
    return path.read_bytes()


def with_its_checksum(content: bytes) -> bytes:
    """The same file with a checksum that matches, so that what lies behind that gate is reached too."""
    return content[:16] + hashlib.sha256(content[48:]).digest() + content[48:]
