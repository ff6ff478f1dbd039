"""Sealing: once, in order, for ever, and only what nobody can still add to."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
from sqlalchemy import Connection, Engine

from app.context.rulebook import Rulebook
from app.counts import seal as sealing
from app.counts.disclosure import Floats, Rule, Structure
from app.counts.figures import Figures, Span
from app.counts.periods import month_of, today
from app.counts.published import PublishedTables
from app.counts.seal import SealError, declare_units, months_due, seal
from app.counts.store import Batch, CountStore
from app.counts.tables import TABLES, Figure, Table, Units
from app.counts.waiting import Snapshot, Waiting, WaitingListError, read_waiting, replace_waiting_list
from app.database import writing
from app.enrichment import Rules
from app.lookup.index import Index
from tests.databases import opened
from tests.sealed_store import PUBLISHER, YEAR, event, fill, sealed
from tests.unit.counts.events import run, stored, value


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    with opened(store_url) as engine:
        yield engine


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Engine]:
    with opened(sqlite_url) as engine:
        yield engine


def everything(engine: Engine) -> list[tuple[object, ...]]:
    """All that was ever published."""
    with engine.connect() as connection:
        return [
            tuple(row)
            for table in ("publication", "published_row")
            for row in connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1, 2, 3")
        ]


def test_a_year_is_sealed_month_by_month_with_every_table_that_is_due(engine: Engine) -> None:
    sealed(engine, YEAR)
    with engine.connect() as connection:
        published = Counter(
            tuple(row) for row in connection.exec_driver_sql("SELECT name, period FROM publication").fetchall()
        )
    names = Counter(name for name, _ in published)
    assert names["specialty_core20"] == names["organisation_outcome"] == names["completeness"] == 12
    assert names["specialty_dna_core20"] == 4
    assert names["specialty_decile"] == names["organisation_ethnicity"] == names["organisation_standardised"] == 1
    assert "waiting_list" not in names
    assert set(published.values()) == {1}


def test_what_is_sealed_never_changes_and_sealing_again_does_nothing(engine: Engine) -> None:
    sealed(engine, YEAR[:3])
    before = everything(engine)
    CountStore(engine, "IoD2025").commit(Batch.of([event(YEAR[0])]))
    assert [seal(engine, month, PUBLISHER) for month in YEAR[:3]] == [None] * 3
    assert everything(engine) == before
    assert stored(engine, YEAR[0]) == 300


def test_months_are_sealed_in_order_and_only_when_they_are_over(sqlite: Engine) -> None:
    fill(sqlite, YEAR[:2])
    with pytest.raises(SealError, match="2024-04 comes first"):
        seal(sqlite, "2024-05", PUBLISHER)
    with pytest.raises(SealError, match="not over"):
        seal(sqlite, "2999-01", PUBLISHER)
    with pytest.raises(SealError, match="not over"):
        seal(sqlite, month_of(today()), PUBLISHER)
    assert months_due(sqlite)[:2] == YEAR[:2]
    seal(sqlite, "2024-04", PUBLISHER)
    assert months_due(sqlite)[0] == "2024-05"


def test_a_month_without_any_contact_between_others_is_sealed_as_empty(sqlite: Engine) -> None:
    fill(sqlite, ["2024-04", "2024-06"])
    assert months_due(sqlite)[:3] == ["2024-04", "2024-05", "2024-06"]
    for month in ("2024-04", "2024-05", "2024-06"):
        seal(sqlite, month, PUBLISHER)
    rows = PublishedTables(sqlite).choose("organisation_outcome", "2024-05").rows
    assert {row["n"] for row in rows} == {0}


def test_a_host_that_may_still_deliver_prevents_sealing_until_it_is_given_up(engine: Engine) -> None:
    fill(engine, ["2024-04"])
    store = CountStore(engine, "IoD2025")
    store.beat("host-a", 2)
    with pytest.raises(SealError, match="host-a still holds 2 batches"):
        seal(engine, "2024-04", PUBLISHER)
    run(engine, f"UPDATE host SET spooled = 0, seen_at = {int(time.time()) - 500}")
    with pytest.raises(SealError, match="host-a has been silent"):
        seal(engine, "2024-04", PUBLISHER)
    assert seal(engine, "2024-04", PUBLISHER, without=["host-a"]) is not None


def test_a_host_that_stopped_with_nothing_left_does_not_prevent_sealing(sqlite: Engine) -> None:
    fill(sqlite, ["2024-04"])
    CountStore(sqlite, "IoD2025").beat("host-a", 0, stopped=True)
    run(sqlite, "UPDATE host SET seen_at = 0")
    assert seal(sqlite, "2024-04", PUBLISHER) is not None


def test_a_sealing_that_was_interrupted_goes_on_where_it_stopped(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(engine, ["2024-04"])

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sealing, "_publish", cut)
        with pytest.raises(KeyboardInterrupt):
            seal(engine, "2024-04", PUBLISHER)
    assert value(engine, "SELECT state FROM month") == "closed"
    assert everything(engine) == []
    assert seal(engine, "2024-04", PUBLISHER) is not None
    assert value(engine, "SELECT state FROM month") == "sealed"


def test_two_sealings_at_once_publish_once(engine: Engine) -> None:
    fill(engine, ["2024-04"])
    failures: list[BaseException] = []

    def one() -> None:
        try:
            seal(engine, "2024-04", PUBLISHER)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert value(engine, "SELECT count(*) FROM publication WHERE name = 'specialty_core20'") == 1


def test_a_batch_that_races_a_sealing_is_counted_before_it_or_refused(engine: Engine) -> None:
    fill(engine, ["2024-04"], contacts=50)
    outcomes: Counter[str] = Counter()
    lock, begin = threading.Lock(), threading.Event()

    def write() -> None:
        store = CountStore(engine, "IoD2025")
        begin.wait()
        for _ in range(40):
            one = event("2024-04")
            outcome = store.commit(Batch.of([one])).outcome(one, set())
            with lock:
                outcomes[outcome] += 1

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    begin.set()
    while sum(outcomes.values()) < 10:  # the race must be on
        time.sleep(0.001)
    seal(engine, "2024-04", PUBLISHER)
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {"counted", "sealed"}
    assert stored(engine, "2024-04") == 50 + outcomes["counted"]
    shown = sum(row["n"] or 0 for row in PublishedTables(engine).choose("specialty_core20").rows)
    assert abs(shown - stored(engine, "2024-04")) <= 20


def test_specialties_have_rows_of_their_own_by_the_year_before_and_keep_them(sqlite: Engine) -> None:
    fill(sqlite, ["2024-03"], contacts=300)  # 340 has half of them
    publisher = replace(PUBLISHER, least_specialty=100)
    seal(sqlite, "2024-03", publisher)
    fill(sqlite, ["2024-04"], contacts=30)
    seal(sqlite, "2024-04", publisher)
    units = {row["specialty"] for row in PublishedTables(sqlite).choose("specialty_core20", "2024-04").rows}
    assert units == {"340", "all_other"}
    first = {row["specialty"] for row in PublishedTables(sqlite).choose("specialty_core20", "2024-03").rows}
    assert first == {"all_other"}


def test_declared_specialties_cannot_change_once_their_year_is_published(sqlite: Engine) -> None:
    sealed(sqlite, ["2024-04"])
    with pytest.raises(SealError, match="published already"), writing(sqlite) as connection:
        declare_units(connection, 2024, ["501"], "declared")


@pytest.mark.parametrize("rule", [Rule(suppress_up_to=12), Rule(least_denominator=200)], ids=["hidden", "shares"])
def test_the_rule_cannot_change_within_a_financial_year(sqlite: Engine, rule: Rule) -> None:
    sealed(sqlite, ["2024-04"])
    fill(sqlite, ["2024-05"])
    with pytest.raises(SealError, match="another rule"):
        seal(sqlite, "2024-05", replace(PUBLISHER, rule=rule))


def test_a_year_in_which_counting_began_late_says_which_months_it_holds(sqlite: Engine) -> None:
    sealed(sqlite, ["2025-02", "2025-03"])
    said = PublishedTables(sqlite).choose("specialty_decile", "2024-25").sentence
    assert "it holds February 2025 to March 2025 only" in said
    said = PublishedTables(sqlite).choose("specialty_dna_core20", "2024-25-Q4").sentence
    assert "it holds February 2025 to March 2025 only" in said
    assert "only" not in PublishedTables(sqlite).choose("specialty_core20", "2025-03").sentence


def figures_read(monkeypatch: pytest.MonkeyPatch) -> list[Figures]:
    """The figures that each step of sealing reads, the newest last."""
    read, found = sealing.read, list[Figures]()

    def read_and_keep(connection: Connection, span: Span, units: Units) -> Figures:
        found.append(read(connection, span, units))
        return found[-1]

    monkeypatch.setattr(sealing, "read", read_and_keep)
    return found


def test_what_was_withheld_once_is_never_taken_for_published(sqlite: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(sqlite, YEAR[:2])
    with monkeypatch.context() as patched:
        patched.setattr(sealing, "audit", lambda *given: set(sorted(given[-1])[:3]))  # of what may be withheld
        done = seal(sqlite, YEAR[0], PUBLISHER)
    assert done is not None
    assert (done.withheld.total(), done.withheld["specialty_core20"]) == (3, 3)
    chosen = PublishedTables(sqlite).choose("specialty_core20", YEAR[0])
    assert [row["suppressed"] for row in chosen.rows].count("w") == 3
    read, free = figures_read(monkeypatch), set[Figure]()

    def audited(_: Structure, __: object, low: Floats, high: Floats, candidates: set[int]) -> set[int]:
        shown = [slot for slot, figure in enumerate(read[-1].slots) if figure in read[-1].counts]
        free.update(read[-1].slots[i] for i in shown if i not in candidates and high[i] == np.inf and low[i] == 0)
        return set()

    monkeypatch.setattr(sealing, "audit", audited)
    fill(sqlite, YEAR[2:3])
    for month in YEAR[1:3]:
        seal(sqlite, month, PUBLISHER)
    assert {(figure.table, figure.period) for figure in free} == {("specialty_core20", YEAR[0])}
    assert len(free) == 3


@pytest.mark.parametrize(("withheld", "said"), [(1, "1 more figure is withheld"), (2, "2 more figures are withheld")])
def test_a_table_says_how_many_of_its_figures_are_withheld(
    sqlite: Engine, monkeypatch: pytest.MonkeyPatch, withheld: int, said: str
) -> None:
    fill(sqlite, YEAR[:1])
    monkeypatch.setattr(sealing, "audit", lambda *given: set(sorted(given[-1])[:withheld]))
    seal(sqlite, YEAR[0], PUBLISHER)
    assert said in PublishedTables(sqlite).choose("specialty_core20").sentence
    assert "withheld" not in PublishedTables(sqlite).choose("completeness").sentence


def test_what_a_reader_gets_by_subtraction_is_protected_like_what_is_shown(
    sqlite: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, protected = figures_read(monkeypatch), set[tuple[str, str]]()

    def audited(structure: Structure, targets: list[int], *_: object) -> set[int]:
        assert all(1 <= structure.truth[target] <= 7 for target in targets)
        figures = [read[-1].slots[target] for target in targets]
        protected.update((f.table, f.outcome if f.table.startswith("hidden") else "") for f in figures)
        return set()

    monkeypatch.setattr(sealing, "audit", audited)
    fill(sqlite, YEAR[-1:], contacts=60)
    seal(sqlite, YEAR[-1], PUBLISHER)
    assert {("specialty_core20", ""), ("specialty_decile", "")} <= protected
    of_year = ("attended", "neither", "attended_missed_or_cancelled", "none_of_these")
    assert {("hidden_year", outcome) for outcome in of_year} <= protected
    assert {("hidden_quarter", outcome) for outcome in of_year[:2]} <= protected
    assert ("hidden_not_first", "") in protected


def published_of(engine: Engine, table: str, period: str) -> list[tuple[str, str, str, object, str]]:
    """Rows of one table and period: the specialty, what they are of, the count and its mark."""
    rows = PublishedTables(engine).choose(table, period).rows
    return [(r["specialty"] or "", r["outcome"] or "", r["core20"] or "", r["n"], r["suppressed"] or "") for r in rows]


def test_a_year_that_began_before_a_table_was_listed_ends_with_it_as_if_it_always_was(
    sqlite: Engine, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = sqlite
    with opened(postgres_url) as new:
        with monkeypatch.context() as patched:
            patched.delitem(cast("dict[str, Table]", TABLES), "specialty_new_core20")
            sealed(old, YEAR[:-1])
        before = everything(old)
        fill(old, YEAR[-1:], seed=2)
        seal(old, YEAR[-1], PUBLISHER)
        assert set(before) < set(everything(old))
        sealed(new, YEAR[:-1])
        fill(new, YEAR[-1:], seed=2)
        seal(new, YEAR[-1], PUBLISHER)
        for table in ("specialty_new_core20", "specialty_dna_quintile", "specialty_decile"):
            rows = published_of(old, table, "2024-25")
            assert rows == published_of(new, table, "2024-25")
            assert any(n for *_, n, _ in rows)


def test_a_year_published_without_a_table_stays_as_it_is_and_the_next_one_has_it(sqlite: Engine) -> None:
    sealed(sqlite, YEAR[-1:])
    # As a version left it that knew neither first contacts nor what the hospital cancelled.
    run(
        sqlite,
        *(
            f"DROP TRIGGER {table}_{event}"
            for table in ("published_row", "publication")
            for event in ("update", "delete")
        ),
        "DELETE FROM published_row WHERE name = 'specialty_new_core20' OR outcome = 'cancelled_by_provider'"
        " AND name = 'specialty_dna_quintile'",
        "DELETE FROM publication WHERE name = 'specialty_new_core20'",
    )
    before = everything(sqlite)
    fill(sqlite, ["2026-03"], seed=2)
    for month in months_due(sqlite)[:12]:
        seal(sqlite, month, PUBLISHER)
    assert set(before) < set(everything(sqlite))
    assert all(
        outcome != "cancelled_by_provider"
        for _, outcome, *_ in published_of(sqlite, "specialty_dna_quintile", "2024-25")
    )
    assert any(
        outcome == "cancelled_by_provider"
        for _, outcome, *_ in published_of(sqlite, "specialty_dna_quintile", "2025-26")
    )
    chosen = PublishedTables(sqlite).choose("specialty_new_core20", "all")
    assert [p.period for p in chosen.publications] == ["2025-26"]


def test_an_edition_holds_for_a_financial_year_and_its_change_is_a_labelled_break(sqlite: Engine) -> None:
    old, new = (CountStore(sqlite, edition) for edition in ("IoD2019", "IoD2025"))
    old.commit(Batch.of([event("2024-03", edition="IoD2019")] * 200))
    assert new.edition_of("2024-03") == "IoD2019"
    new.commit(Batch.of([event("2024-04")] * 200))
    for month in ("2024-03", "2024-04"):
        seal(sqlite, month, PUBLISHER)
    chosen = PublishedTables(sqlite).choose("specialty_core20", "all")
    assert [b["period"] for b in chosen.breaks] == ["2024-04"]
    assert {(row["period"], row["imd_edition"]) for row in chosen.rows} == {
        ("2024-03", "IoD2019"),
        ("2024-04", "IoD2025"),
    }


def test_a_waiting_list_is_replaced_whole_or_not_at_all(sqlite: Engine, index: Index, rules: Rules) -> None:
    people = [Waiting("NG1 1AA", "340", 20.0)] * 30 + [Waiting(None, "340", 3.0)] * 9
    snapshot = Snapshot("list 1", "2024-04", "IoD2025")
    assert replace_waiting_list(sqlite, snapshot, people, index, rules, expected=39, since="2024-04") == 39
    with pytest.raises(WaitingListError, match="not 40"):
        replace_waiting_list(sqlite, snapshot, people[:5], index, rules, expected=40, since="2024-04")
    assert value(sqlite, "SELECT sum(n) FROM waiting_list") == 39
    assert replace_waiting_list(sqlite, snapshot, people[:30], index, rules, expected=30, since="2024-04") == 30
    assert value(sqlite, "SELECT sum(n) FROM waiting_list") == 30


def test_a_waiting_list_is_published_only_when_it_is_complete(sqlite: Engine, index: Index) -> None:
    rules = Rules("IoD2025", Rulebook.load())
    people = [Waiting("NG1 1AA", "340", 60.0)] * 30 + [Waiting("NG1 1AA", "340", 18.0)] * 70
    replace_waiting_list(
        sqlite, Snapshot("a", "2024-04", "IoD2025"), people, index, rules, expected=100, since="2024-04"
    )
    replace_waiting_list(
        sqlite, Snapshot("b", "2024-05", "IoD2025"), people, index, rules, expected=100, since="2024-04"
    )
    run(sqlite, "UPDATE waiting_list_snapshot SET complete = 0 WHERE month = '2024-05'")
    for month in ("2024-04", "2024-05"):
        seal(sqlite, month, PUBLISHER)
    chosen = PublishedTables(sqlite).choose("waiting_list", "all")
    assert [p.period for p in chosen.publications] == ["2024-04"]
    shown = {row["category"]: (row["n"], row["value"]) for row in chosen.rows if row["core20"] == "false"}
    assert shown == {"within_18_weeks": (70, 70), "over_18_weeks": (30, 30), "over_52_weeks": (30, 30)}


@pytest.mark.parametrize(
    "row",
    [
        {"postcode": "NG1 1AA", "specialty": "34", "weeks": "3"},
        {"postcode": "NG1 1AA", "specialty": "340", "weeks": ""},
        {"postcode": "NG1 1AA", "specialty": "340", "weeks": "-1"},
        {"postcode": "NG1 1AA", "specialty": "340", "weeks": "nan"},
        {"postcode": "NG1 1AA", "specialty": "340", "weeks": "NG1 1AA"},
    ],
)
def test_a_bad_line_of_a_waiting_list_is_named_without_its_value(row: dict[str, str]) -> None:
    with pytest.raises(WaitingListError, match=r"^Line 7: `(specialty|weeks)`") as told:
        read_waiting(7, row)
    assert "NG1" not in str(told.value)


def test_a_store_marked_synthetic_says_so_in_every_publication(sqlite: Engine) -> None:
    run(sqlite, "INSERT INTO store_fact (name, value) VALUES ('synthetic', 'for a test')")
    sealed(sqlite, YEAR)
    tables = PublishedTables(sqlite)
    for listed in tables.listed():
        if listed["periods"]:
            chosen = tables.choose(listed["table"], "all")
            assert all(p.sentence.startswith("SYNTHETIC DATA") for p in chosen.publications)
            assert all(row["synthetic"] for row in chosen.rows)


def test_a_value_that_no_table_lists_stops_the_sealing_rather_than_vanish(sqlite: Engine) -> None:
    CountStore(sqlite, "IoD2025").commit(Batch.of([event("2024-04", outcome="beamed_up")]))
    with pytest.raises(SealError, match="no table lists"):
        seal(sqlite, "2024-04", PUBLISHER)
    assert everything(sqlite) == []


def test_no_contact_and_no_sealing_goes_behind_a_month_that_is_closed(engine: Engine) -> None:
    fill(engine, ["2024-06"], contacts=30)
    seal(engine, "2024-06", PUBLISHER)
    early = event("2024-05")
    assert CountStore(engine, "IoD2025").commit(Batch.of([early])).outcome(early, set()) == "sealed"
    for month in ("2024-05", "2024-04", "2019-01"):
        with pytest.raises(SealError, match="not due"):
            seal(engine, month, PUBLISHER)
    assert value(engine, "SELECT count(*) FROM month") == 1


def test_a_retry_of_a_contact_that_was_counted_is_a_duplicate_even_after_sealing(engine: Engine) -> None:
    store = CountStore(engine, "IoD2025")
    keyed = event("2024-04")._replace(hashes=("a" * 32,))
    store.commit(Batch.of([keyed]))
    seal(engine, "2024-04", PUBLISHER)
    fresh = event("2024-04")._replace(hashes=("b" * 32,))
    committed, seen = store.commit(Batch.of([keyed, fresh])), set[str]()
    assert [committed.outcome(one, seen) for one in (keyed, fresh)] == ["duplicate", "sealed"]


@pytest.mark.parametrize("contacts", [300, 5], ids=["numbers", "hidden"])
def test_nothing_is_published_when_the_cells_no_longer_say_what_was_published(sqlite: Engine, contacts: int) -> None:
    sealed(sqlite, YEAR[:2], contacts)
    fill(sqlite, YEAR[2:3])
    run(sqlite, "DROP TRIGGER flow_update", "UPDATE flow SET n = n + 9 WHERE month = '2024-04'")
    with pytest.raises(SealError, match="is not what the cells say"):
        seal(sqlite, "2024-06", PUBLISHER)
    assert value(sqlite, "SELECT count(*) FROM publication WHERE period = '2024-25-Q1'") == 0


def test_a_year_is_not_closed_without_its_population_by_oversight(sqlite: Engine) -> None:
    fill(sqlite, ["2025-03"])
    with pytest.raises(SealError, match="no population on IoD2025"):
        seal(sqlite, "2025-03", replace(PUBLISHER, without_rates=False))
    assert value(sqlite, "SELECT state FROM month") == "open"
    assert seal(sqlite, "2025-03", PUBLISHER) is not None


def test_a_host_that_was_given_up_is_not_asked_for_again(sqlite: Engine) -> None:
    fill(sqlite, ["2024-04", "2024-05"])
    CountStore(sqlite, "IoD2025").beat("host-a", 2)
    seal(sqlite, "2024-04", PUBLISHER, without=["host-a"])
    assert seal(sqlite, "2024-05", PUBLISHER) is not None


def test_a_waiting_list_of_a_mistyped_year_opens_no_month(sqlite: Engine, index: Index, rules: Rules) -> None:
    for known, month in (([], "2016-10"), (["2026-10"], "2025-10")):
        fill(sqlite, known)
        before = value(sqlite, "SELECT count(*) FROM month"), value(sqlite, "SELECT count(*) FROM financial_year")
        with pytest.raises(WaitingListError, match=r"too old: months are counted from 20.*IMDLENS_COUNTS_SINCE"):
            replace_waiting_list(sqlite, Snapshot("a", month, "IoD2025"), [], index, rules, expected=0)
        assert (
            value(sqlite, "SELECT count(*) FROM month"),
            value(sqlite, "SELECT count(*) FROM financial_year"),
        ) == before


def test_a_waiting_list_of_a_closed_or_future_month_is_refused(sqlite: Engine, index: Index, rules: Rules) -> None:
    fill(sqlite, ["2024-04"])
    seal(sqlite, "2024-04", PUBLISHER)
    for month in ("2024-04", "2024-03", "2999-01"):
        with pytest.raises(WaitingListError, match=r"closed|future"):
            replace_waiting_list(sqlite, Snapshot("a", month, "IoD2025"), [], index, rules, expected=0)
