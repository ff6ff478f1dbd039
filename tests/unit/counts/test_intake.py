"""The intake says in the log what changes, and not what each request meets."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from app.counts.intake import Asked, Intake, Receipt
from app.counts.ledger import Ledger
from app.counts.periods import financial_year, month_of, months_of_year, today
from app.counts.store import Event, Outcome
from app.enrichment import Question, Rules, enrich
from app.lookup.index import Index

YEAR = financial_year(month_of(today()))


class Editions:
    """A ledger that counts everything, on editions that come and go."""

    def __init__(self) -> None:
        self.known: dict[int, str] = {}

    def known_edition(self, month: str) -> str | None:
        return self.known.get(financial_year(month))

    async def edition_of(self, month: str) -> str | None:
        return self.known_edition(month)

    async def count(self, events: Sequence[Event]) -> list[Outcome]:
        return ["counted"] * len(events)


@pytest.mark.parametrize("unusable", [None, "IoD1999", "WIMD2019"])
def test_an_edition_that_cannot_be_used_is_logged_once_until_it_can_be_and_once_when_it_can(
    index: Index, rules: Rules, caplog: pytest.LogCaptureFixture, unusable: str | None
) -> None:
    ledger = Editions()
    intake = Intake(cast("Ledger", ledger), [b"a secret"])

    def said(year: int, edition: str | None, *reasons: str | None) -> list[str]:
        if edition is None:
            ledger.known.pop(year, None)
        else:
            ledger.known[year] = edition
        contact = {"date": f"{months_of_year(year)[0]}-01"}
        asked = [Asked(contact, enrich(Question("NG1 1AA"), index, rules)) for _ in reasons]
        caplog.clear()
        receipts = asyncio.run(intake.take(asked, index, "clinic"))
        assert receipts == [Receipt(reason is None, reason) for reason in reasons]  # type: ignore[arg-type]
        return [record.levelname for record in caplog.records]

    assert said(YEAR, "IoD2025", None) == []
    assert said(YEAR, unusable, "unavailable", "unavailable") == ["ERROR"]
    assert said(YEAR, unusable, "unavailable") == []
    assert said(YEAR - 1, "IoD2019", None, None) == []  # another year has its own edition
    assert said(YEAR - 1, unusable, "unavailable") == ["ERROR"]
    assert said(YEAR, "IoD2025", None, None) == ["WARNING"]
    assert said(YEAR, "IoD2025", None) == []
    assert said(YEAR, unusable, "unavailable") == ["ERROR"]
