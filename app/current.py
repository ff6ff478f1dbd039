"""The release that a worker answers from, and how it changes to another without dropping a request."""

import asyncio
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from app.enrichment import Rules
from app.lookup.index import Index
from app.lookup.layout import IndexFileError
from app.reference.errors import ReferenceDataError
from app.reference.releases import PROVENANCE_FILE, current_index

log: Final = logging.getLogger("imdlens")


class CurrentRelease:
    """Holds one open index; a request takes it once and keeps it to its end.

    The old index is never closed by hand: its memory map goes when the last request that holds it does.
    """

    def __init__(self, folder: Path, rules: Rules) -> None:
        self._folder, self._rules = folder, rules
        self._path: Path | None = None
        self.index: Index | None = None
        self.problem: str | None = "No data has been opened yet."
        self.built_at: datetime | None = None

    def look(self) -> None:
        """Open what is current, if it is not open already. What cannot be opened is told, and the old one kept."""
        try:
            path = current_index(self._folder)
        except ReferenceDataError as error:
            self._refuse(str(error))
            return
        if path == self._path:
            return
        self._path = path
        try:
            index = Index(path)
            check_edition(index, self._rules.core20_edition)
        except (IndexFileError, ReferenceDataError) as error:
            self._refuse(str(error))
            return
        self.index, self.built_at, self.problem = index, _built_at(path), None
        log.info("answering from release %s", index.release.id)

    async def watch(self, seconds: float) -> None:
        """Look again and again, in a thread, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self.look)

    def _refuse(self, sentence: str) -> None:
        if sentence != self.problem:
            log.error("%s %s", sentence, "Still answering from the release before." if self.index else "")
        self.problem = sentence


def check_edition(index: Index, edition: str) -> None:
    """ReferenceDataError unless Core20 can be read from this edition in this index."""
    english = [e.id for e in index.editions if e.nation == "England"]
    if edition not in english:
        raise ReferenceDataError(
            f"IMDLENS_CORE20_EDITION is {edition}, but this release holds {', '.join(english)} for England."
        )


def _built_at(path: Path) -> datetime | None:
    try:
        provenance: dict[str, Any] = json.loads(path.with_name(PROVENANCE_FILE).read_text("utf-8"))
        return datetime.fromisoformat(provenance["built_at"]).astimezone(UTC)
    except (OSError, ValueError, KeyError):
        return None
