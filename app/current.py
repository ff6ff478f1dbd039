"""What a worker answers from: the rules, and the release, which changes to another without dropping a request."""

import asyncio
import json
import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from app.context.files import RuleFileError
from app.context.rulebook import Rulebook
from app.enrichment import Rules
from app.lookup.index import Index
from app.lookup.layout import IndexFileError
from app.reference.errors import ReferenceDataError
from app.reference.releases import PROVENANCE_FILE, current_index
from app.settings import Settings

_PAUSE: Final = 10.0  # seconds
log: Final = logging.getLogger("imdlens")


class CurrentRelease:
    """Holds one open index; a request takes it once and keeps it to its end.

    The old index is never closed by hand: its memory map goes when the last request that holds it does.
    """

    def __init__(self, folder: Path, rules: Rules) -> None:
        self._folder, self._rules = folder, rules
        self._path: Path | None = None
        # What could not be opened, and when to try it again: the fault may pass, but each try reads the whole file.
        self._refused: Path | None = None
        self._again = 0.0
        self.index: Index | None = None
        self.problem: str | None = "No data has been opened yet."
        self.built_at: datetime | None = None

    def look(self) -> None:
        """Open what is current, if it is not open already. What cannot be opened is told, and the old one kept."""
        try:
            path = current_index(self._folder)
            if path == self._path:
                self.problem = None
                return
            if path == self._refused and time.monotonic() < self._again:
                return
            self._refused, self._again = path, time.monotonic() + _PAUSE
            index = Index(path)
            check_edition(index, self._rules.core20_edition)
        except (IndexFileError, ReferenceDataError) as error:
            self._refuse(str(error))
            return
        self._path, self._refused = path, None
        self.index, self.built_at, self.problem = index, _built_at(path), None
        log.info("answering from release %s", index.release.id)

    async def watch(self, seconds: float) -> None:
        """Look again and again, in a thread, until cancelled. No fault of one look ends the looking."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await asyncio.to_thread(self.look)
            except Exception as error:  # noqa: BLE001 - a worker that stopped looking would never be noticed
                log.error("looking for another release failed: %s", type(error).__name__)

    def _refuse(self, sentence: str) -> None:
        if sentence != self.problem:
            log.error("%s %s", sentence, "Still answering from the release before." if self.index else "")
        self.problem = sentence


def open_current(settings: Settings) -> Index:
    """The current release. ReferenceDataError or IndexFileError where it lacks an edition that is asked for."""
    index = Index(current_index(settings.data_dir))
    check_edition(index, settings.core20_edition)
    check_edition(index, settings.counted_edition, "IMDLENS_PUBLICATION_EDITION")
    return index


def read_rules(settings: Settings) -> Rules:
    """The rules of a deployment. RuleFileError, in one sentence, where any of its files must not be used."""
    book = Rulebook.load(settings.local_dir)
    if book.cautions.has_protected_places and not settings.protected_places:
        raise RuleFileError(
            "places.csv lists prisons or refuges. Whoever may ask this service about any postcode could find out which"
            " they are: set IMDLENS_PROTECTED_PLACES=true where nobody else can ask, or take them out."
        )
    return Rules(settings.core20_edition, book)


def check_edition(index: Index, edition: str, setting: str = "IMDLENS_CORE20_EDITION") -> None:
    """ReferenceDataError unless England's deciles can be read from this edition in this index."""
    english = [e.id for e in index.editions if e.nation == "England"]
    if edition not in english:
        raise ReferenceDataError(f"{setting} is {edition}, but this release holds {', '.join(english)} for England.")


def _built_at(path: Path) -> datetime | None:
    try:
        provenance: dict[str, Any] = json.loads(path.with_name(PROVENANCE_FILE).read_text("utf-8"))
        return datetime.fromisoformat(provenance["built_at"]).astimezone(UTC)
    except (OSError, ValueError, KeyError):
        return None
