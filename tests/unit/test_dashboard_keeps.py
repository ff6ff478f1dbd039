"""What the dashboard of one worker makes for many who ask: each thing once, one at a time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from app.context.practice import Practice
from app.context.rulebook import Rulebook
from app.counts.parts import Published
from app.dashboard.context import Context
from app.dashboard.dashboard import Asked, Dashboard
from app.dashboard.practices import as_csv
from app.findings.options import Options
from tests.unit.report.year import book, initiative, tables

OPTIONS = Options(design_effect=1.5)


def test_a_brief_that_many_ask_for_is_written_once_and_none_beside_another() -> None:
    published = tables()
    dashboard = Dashboard(Context(OPTIONS, book()))
    written: list[str] = []
    at_once: list[bool] = []
    busy = threading.Lock()

    def write(_published: Published, _book: Rulebook, _options: Options, period: str, unit: str) -> bytes:
        at_once.append(not busy.acquire(blocking=False))
        threading.Event().wait(0.02)
        written.append(unit)
        if busy.locked():
            busy.release()
        return f"{period} {unit}".encode()

    quarter = published.periods("specialty_dna_core20")[-1]
    asked = [Asked("specialty", above, unit, period) for unit in ("340", "110") for above in ("", "../")
             for period in (None, quarter)] * 3  # fmt: skip
    with ThreadPoolExecutor(8) as many:
        made = list(many.map(lambda one: dashboard.brief(published, one, write), asked))
    assert sorted(written) == ["110", "340"]
    assert not any(at_once)
    assert made == [f"{quarter} {one.unit}".encode() for one in asked]


def test_what_was_kept_of_a_brief_is_not_given_when_more_is_published() -> None:
    published = tables()
    dashboard = Dashboard(Context(OPTIONS, book()))
    more = Published(published.pages, [replaced._replace(sealed_at="2027-01-01T00:00:00Z")
                                       for replaced in published.publications])  # fmt: skip
    versions = [dashboard.brief(p, Asked("specialty", "", "340"), lambda p, *_: p.version.encode())
                for p in (published, more, published)]  # fmt: skip
    assert versions == [published.version.encode(), more.version.encode(), published.version.encode()]
    assert versions[0] != versions[1]


def test_no_cell_of_the_bank_of_good_practice_is_a_formula() -> None:
    for sign in "=+-@\uff1d\uff0b\uff0d\uff20\N{MINUS SIGN}\n\t":
        one = replace(initiative(f"{sign}1+1"), what=f"{sign}cmd|x")
        told = as_csv(Practice((one,))).decode("utf-8-sig")
        assert f"'{sign}1+1" in told
        assert f"'{sign}cmd|x" in told
