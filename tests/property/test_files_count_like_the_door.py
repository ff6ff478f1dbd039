"""Whatever a file holds, it counts what the door would count of its rows, one by one."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from app.batch.columns import Enricher
from app.batch.contacts import WaitingListObserver
from app.context.rulebook import Rulebook
from app.counts.cells import Cell
from app.counts.loads import LoadError
from app.counts.periods import today
from app.counts.vocabulary import vocabulary
from app.counts.waiting import Snapshot, Waiting, WaitingListError, read_waiting, replace_waiting_list
from app.enrichment import Rules
from app.lookup.index import Index
from tests import starter_data
from tests.databases import opened
from tests.files_of_contacts import EDITION, MONTH, Row, door_cells, feed, loading
from tests.property.strategies import postcodes
from tests.unit.context.rule_folders import with_lines
from tests.unit.counts.events import cells

WORDS = vocabulary()
NASTY = st.one_of(
    st.none(),
    st.sampled_from(
        ["", " ", "\u00a0", "NULL", "\x00", "0", "-1", "99", "3٤0", "34O", "340.0", "x" * 300, "2026-02-30"]
    ),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=6),
)


def mostly(
    one: st.SearchStrategy[str | None], other: st.SearchStrategy[str | None], times: int
) -> st.SearchStrategy[str | None]:
    """One of two, the other once in so many times; the same one named twice weighs no more than once."""
    return st.integers(1, times).flatmap(lambda drawn: other if drawn == times else one)


def field(*good: str) -> st.SearchStrategy[str | None]:
    """Mostly codes of the list, in any case and with white space, now and then anything."""
    listed = st.sampled_from(good)
    written = st.one_of(listed, listed.map(str.upper), listed.map(lambda code: f" {code}\t"))
    return mostly(written, NASTY, 20)


ETHNIC = {category.code for category in WORDS.ethnic_categories.values() if category.system == "england"}
DAYS = [(today() - timedelta(days)).isoformat() for days in (-1, 0, 31, 45, 400, 4000)]
POSTCODE = st.one_of(
    st.sampled_from(starter_data.postcodes()),
    postcodes,
    st.sampled_from(["ZZZ SECUR", "NG7 2UH", "ng7 2uh", "ZZ99 3VZ"]),
)
ROW = st.fixed_dictionaries(
    {
        "postcode": POSTCODE,
        "specialty": field(*WORDS.specialties, "999"),
        "type": field(*WORDS.contact_types),
        "attendance": field(*WORDS.attendances),
        "outcome": field(*WORDS.outcomes),
        "date": mostly(st.just(today().isoformat()), mostly(st.sampled_from(DAYS), NASTY, 5), 2),
        "age": field(*map(str, range(0, 131, 7)), "007", "17", "18"),
        "sex": field(*WORDS.sexes),
        "ethnic_category": field(*sorted(ETHNIC), "CN", "A1", "Q"),
        "mode": field(*WORDS.modes),
    }
)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    """The shipped rules with a protected place, which is answered as a withheld address."""
    folder = with_lines(tmp_path_factory.mktemp("rules"), "places.csv", "NG7 2UH,refuge,local,2026-01-01")
    return Rules("IoD2025", Rulebook.load(folder))


@pytest.fixture(scope="module")
def enricher(index: Index, rules: Rules) -> Enricher:
    return Enricher(index, rules)


@pytest.fixture
def store(store_url: str) -> Iterator[Engine]:
    with opened(store_url) as engine:
        yield engine


def test_a_file_fills_the_cells_that_its_rows_would_fill_at_the_door(
    index: Index, rules: Rules, enricher: Enricher, store: Engine
) -> None:
    """Each file takes the place of the one before: the store is never anything but the newest."""
    kept: list[Counter[Cell]] = [Counter()]
    seen: Counter[str] = Counter()

    @settings(max_examples=40)
    @given(st.lists(ROW, min_size=3, max_size=20), st.integers(1, 40))
    def check(rows: list[Row], block: int) -> None:
        expected, reasons = door_cells(rows, index, rules, MONTH)
        reading = loading(store, enricher)
        feed(reading, enricher, rows, block)
        if not reasons["counted"] and reasons["invalid_contact"] + reasons["outside"]:
            with pytest.raises(LoadError, match="nothing was changed"):
                reading.finish()
            expected = kept[0]
        else:
            done = reading.finish()
            assert (done.counted, done.withheld, done.refused, done.outside) == (
                reasons["counted"],
                reasons["withheld"],
                reasons["invalid_contact"],
                reasons["outside"],
            )
            kept[0] = expected
        assert cells(store) == expected
        seen.update(reasons)

    check()
    assert set(seen) == {"counted", "withheld", "invalid_contact", "outside"}
    assert seen["counted"] > 50  # each was met, and not by a hair


WAITING = st.fixed_dictionaries(
    {
        "postcode": POSTCODE,
        "specialty": st.sampled_from([*WORDS.specialties, "999", "", " ", None, " 340 "]),
        "weeks": st.one_of(st.integers(0, 120).map(str), st.sampled_from(["17.99", "18", "18.0", " 52 ", "1e2", "0"])),
    }
)
BAD_WEEKS = st.sampled_from(["", None, "nan", "inf", "-1", "x", "1,5"])
BAD_SPECIALTY = st.sampled_from(["respiratory", "34", "3400", "٣٤٠"])


def _list(store: Engine) -> list[tuple[object, ...]]:
    with store.connect() as connection:
        return [
            tuple(row)
            for statement in (
                "SELECT * FROM waiting_list ORDER BY month, specialty, wait_band, edition, band",
                "SELECT month, edition, complete, patients FROM waiting_list_snapshot",
            )
            for row in connection.exec_driver_sql(statement)
        ]


def test_a_waiting_list_of_columns_is_the_one_of_rows(
    index: Index, rules: Rules, enricher: Enricher, store: Engine
) -> None:
    @settings(max_examples=50)
    @given(st.lists(WAITING, max_size=25), st.integers(1, 30))
    def check(rows: list[Row], block: int) -> None:
        people: list[Waiting] = [read_waiting(i, row) for i, row in enumerate(rows)]
        snapshot = Snapshot("x", MONTH, EDITION)
        total = replace_waiting_list(store, snapshot, people, index, rules, expected=len(rows))
        one_by_one = _list(store)
        observer = WaitingListObserver(enricher, "specialty", "weeks")
        feed(observer, enricher, rows, block)
        with pytest.raises(WaitingListError, match="nothing was taken"):
            observer.finish(store, snapshot, expected=len(rows) + 1)
        assert observer.finish(store, snapshot, expected=len(rows)) == total
        assert _list(store) == one_by_one

    check()


def test_the_first_row_that_cannot_be_read_refuses_the_list_by_its_line_and_column(enricher: Enricher) -> None:
    @given(st.lists(WAITING, max_size=12), st.integers(0, 12), st.integers(1, 5), st.data())
    def check(rows: list[Row], place: int, block: int, data: st.DataObject) -> None:
        place = min(place, len(rows))
        name = data.draw(st.sampled_from(["specialty", "weeks"]))
        bad = data.draw(BAD_SPECIALTY if name == "specialty" else BAD_WEEKS)
        broken = {**data.draw(WAITING), name: bad}
        also_bad = {"postcode": "", "specialty": "bad", "weeks": "bad"}
        observer = WaitingListObserver(enricher, "Specialty", "Weeks")
        with pytest.raises(WaitingListError) as caught:
            feed(observer, enricher, [*rows[:place], broken, *rows[place:], also_bad], block)
        assert f"Line {place + 2}: `{name.capitalize()}` is" in str(caught.value)

    check()
