"""`imdlens enrich` with `--count` and `--waiting-list`, run as an operator would."""

import json
import subprocess
from pathlib import Path

import httpx
import pytest

from app.counts.periods import first_counted, in_words, month_of, today
from tests.databases import Postgres, opened
from tests.integration.running import imdlens, serving
from tests.service import bearer, key_in
from tests.starter_data import copy_without_counts

MONTH = month_of(today())
DAY = f"{MONTH}-01"
HEADING = "postcode,tfc,outcome,when,sex,id"
ROWS = (
    f"NG1 1AA,340,attended,{DAY},female,a-1",
    f"NG1 1AA,340,did_not_attend,{DAY},male,a-2",
    f"ZZ99 3VZ,110,attended,{DAY},not_known,a-3",
)
COLUMNS = ("--specialty-column=tfc", "--outcome-column=outcome", "--date-column=when", "--sex-column=sex")
COUNT = ("--count", "--source=pas", f"--period={MONTH}", *COLUMNS)
SINGLY = ("--count", "--source=tests", "--event-id-column=id", *COLUMNS)
WAITING = (f"--waiting-list={MONTH}", "--specialty-column=tfc", "--weeks-column=weeks")


class Operator:
    """Who runs commands in a folder of their own, on one store."""

    def __init__(self, folder: Path, starter: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = {"IMDLENS_DATA_DIR": "data", **environment}
        copy_without_counts(starter, folder / "data")

    def write(self, *rows: str, heading: str = HEADING, name: str = "in.csv") -> None:
        """Make the file that is read."""
        (self.folder / name).write_text("\n".join([heading, *rows, ""]), "utf-8")

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """One command."""
        return imdlens(*arguments, cwd=self.folder, **self.environment | environment)

    def enrich(self, *options: str, **environment: str) -> list[str]:
        """What a run that succeeds says of the counts; its OUT is there."""
        run = self.run("enrich", "in.csv", "out.csv", "--overwrite", *options, **environment)
        assert run.returncode == 0, run.stderr
        assert (self.folder / "out.csv").read_text("utf-8").count("\n") == self.rows + 1
        lines = run.stderr.partition("Rows answered:")[2].splitlines()[1:]
        return lines[: lines.index("")]

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        return (self.folder / "in.csv").read_text("utf-8").count("\n") - 1

    def refused(self, *options: str, **environment: str) -> str:
        """The one sentence of a run that fails; neither OUT nor a part of it is there, and no value was said."""
        (self.folder / "out.csv").unlink(missing_ok=True)
        run = self.run("enrich", "in.csv", "out.csv", *options, **environment)
        assert (run.returncode, run.stdout, "Traceback" in run.stderr) == (1, "", False), run.stderr
        assert {path.name for path in self.folder.iterdir()} <= {"data", "in.csv"}
        (sentence,) = [line for line in run.stderr.splitlines() if line.startswith("imdlens: ")]
        return sentence.removeprefix("imdlens: ")

    def counted(self, by: str) -> dict[str, int]:
        """What the store holds of contacts, or of who waits, by what they are told apart by."""
        file = self.folder / "data" / "counts" / "counts.sqlite"
        url = self.environment.get("IMDLENS_DATABASE_URL")
        if url is None and not file.exists():
            return {}
        table = "waiting_list" if by == "wait_band" else "flow"
        with opened(url or f"sqlite:///{file}") as engine, engine.connect() as connection:
            found = connection.exec_driver_sql(f"SELECT {by}, sum(n) FROM {table} GROUP BY {by}")
            return {value: int(n) for value, n in found}


@pytest.fixture(params=["sqlite", "postgresql"])
def operator(request: pytest.FixtureRequest, tmp_path: Path, starter: Path) -> Operator:
    """An operator without a setting, whose store is the folder of the data; and one with a PostgreSQL."""
    if request.param == "sqlite":
        return Operator(tmp_path, starter, {})
    address = request.getfixturevalue("postgres_url")
    return Operator(tmp_path, starter, {"IMDLENS_DATABASE_URL": address, "IMDLENS_SECRET": "a secret of sixteen"})


@pytest.fixture
def alone(tmp_path: Path, starter: Path) -> Operator:
    """An operator without a setting, whose file has some rows."""
    operator = Operator(tmp_path, starter, {})
    operator.write(*ROWS)
    return operator


def test_a_file_is_counted_and_counted_again_and_corrected_it_takes_the_place_of_the_one_before(
    operator: Operator,
) -> None:
    operator.write(*ROWS)
    assert operator.enrich(*COUNT) == ["Contacts counted: 3."]
    whole = {"attended": 2, "did_not_attend": 1}
    assert operator.counted("outcome") == whole
    assert operator.enrich(*COUNT) == ["Contacts counted: 3, in the place of an earlier file."]
    assert operator.counted("outcome") == whole
    operator.write(ROWS[1], *[ROWS[0]] * 2, *ROWS[:1])
    assert operator.enrich(*COUNT) == ["Contacts counted: 4, in the place of an earlier file."]
    assert operator.counted("outcome") == {"attended": 3, "did_not_attend": 1}
    assert operator.counted("specialty") == {"340": 4}
    listed = json.loads(operator.run("counts", "loads", "--json").stdout)
    assert [(load["source"], load["month"], load["contacts"]) for load in listed] == [("pas", MONTH, 4)]
    removed = operator.run("counts", "load-remove", "pas", MONTH)
    assert (removed.returncode, operator.counted("outcome")) == (0, {})


def test_an_event_id_counts_once_by_the_api_and_in_two_runs_of_a_file(operator: Operator) -> None:
    operator.write(*ROWS)
    sent = {"specialty": "340", "outcome": "attended", "date": DAY, "sex": "female", "event_id": "a-1"}
    key = key_in(operator.folder, "enrich", **operator.environment)
    with serving(operator.folder, **operator.environment) as (url, _):
        asked = {"postcode": "NG1 1AA", "contact": sent}
        assert httpx.post(f"{url}/v1/enrich", json=asked, headers=bearer(key)).json()["counted"] is True
    before = "Not counted, counted before, under the same event id:"
    assert operator.enrich(*SINGLY) == ["Contacts counted: 2.", f"{before} 1."]
    assert operator.enrich(*SINGLY) == ["Contacts counted: 0.", f"{before} 3."]
    assert operator.counted("outcome") == {"attended": 2, "did_not_attend": 1}
    # Another client's contacts are others, whatever ids they have.
    assert operator.enrich(*SINGLY, "--source=another") == ["Contacts counted: 3."]


def test_a_row_with_a_bad_value_is_told_by_field_and_code_and_never_by_its_value(operator: Operator) -> None:
    operator.write(
        *ROWS,
        f"NG1 1AA,340,vanished,{DAY},female,a-4",
        "NG1 1AA,999,attended,31/31/2026,woman,a-5",
        f"ZZZSECUR,340,attended,{DAY},male,a-6",
        f"NG1 1AA,340,attended,{first_counted(today())}-02,male,a-7",
        f"NG1 1AA,999,attended,{DAY},female,a-8",
    )
    run = operator.run("enrich", "in.csv", "out.csv", *COUNT)
    assert run.returncode == 0, run.stderr
    assert not [
        text for text in ("vanished", "31/31", "woman", "a-4", "a-5", "NG1", "ZZZ", "999") if text in run.stderr
    ]
    lines = operator.enrich(*COUNT)
    assert lines == [
        "Contacts counted: 4, in the place of an earlier file.",
        "Not counted, with a restricted record: 1.",
        f"Not counted, dated outside {MONTH}: 1.",
        "Not counted, with a value that means nothing: 2.",
        "  contact.date, not_a_date: 1.",
        "  contact.outcome, unknown_value: 1.",
        "  contact.sex, unknown_value: 1.",
        "Rows with a code of contact.specialty that is not on the list: 2.",
    ]
    assert operator.counted("outcome") == {"attended": 3, "did_not_attend": 1}


def test_a_file_of_which_no_row_can_be_counted_leaves_the_one_before_as_it_was(operator: Operator) -> None:
    operator.write(*ROWS)
    operator.enrich(*COUNT)
    operator.write(*[f"NG1 1AA,340,vanished,{DAY},female,a-4"] * 2)
    sentence = operator.refused(*COUNT)
    assert sentence == (
        "None of the 2 rows can be counted, most often because of contact.outcome (unknown_value): nothing was changed."
    )
    assert operator.counted("outcome") == {"attended": 2, "did_not_attend": 1}


def test_a_line_that_cannot_be_answered_counts_nothing_of_its_file(operator: Operator) -> None:
    operator.write(*ROWS, "NG1 1AA,340")
    assert operator.refused(*COUNT).startswith("Line 5 does not have 6 fields as the heading has:")
    assert operator.refused(*SINGLY).startswith("Line 5 does not have 6 fields as the heading has:")
    assert operator.counted("outcome") == {}


def test_a_waiting_list_is_taken_whole_and_replaces_the_one_before(operator: Operator) -> None:
    operator.write("NG1 1AA,340,20", ",340,3", "ZZZSECUR,110,4", "NG1 1AA,999,60.5", heading="postcode,tfc,weeks")
    (said,) = operator.enrich(*WAITING, "--expected=4")
    assert said == f"Waiting at the end of {in_words(MONTH)}: 3 people; the list is complete."
    waits = {"18_to_26": 1, "52_to_65": 1, "to_18": 1}
    assert operator.counted("wait_band") == waits
    for wrong in ("3", "5", "0"):
        sentence = operator.refused(*WAITING, f"--expected={wrong}")
        assert sentence == f"The list holds 4 people, not {wrong}: nothing was taken."
    operator.write("NG1 1AA,340,20", "NG1 1AA,secret,3", heading="postcode,tfc,weeks")
    assert operator.refused(*WAITING, "--expected=2") == "Line 3: `tfc` is not a treatment function code."
    operator.write("NG1 1AA,340,20", "NG1 1AA,340,soon", heading="postcode,tfc,weeks")
    assert operator.refused(*WAITING, "--expected=2") == "Line 3: `weeks` is not a number of weeks."
    assert operator.counted("wait_band") == waits
    operator.write("NG1 1AA,340,70", heading="postcode,tfc,weeks")
    operator.enrich(*WAITING, "--expected=1")
    assert sum(operator.counted("wait_band").values()) == 1


ONE_OF_TWO = (
    "Contacts are counted with --period, where the file takes the place of the one before it, or with"
    " --event-id-column, where each counts once: give one of the two."
)
NEEDS = "A waiting list needs --specialty-column, --weeks-column, and --expected with the number of people on it."


REFUSED: tuple[tuple[tuple[str, ...], str], ...] = (
    ((f"--period={MONTH}",), "These options are for counting: say --count or --waiting-list with them."),
    (("--sex-column=sex",), "These options are for counting: say --count or --waiting-list with them."),
    (("--expected=0",), "These options are for counting: say --count or --waiting-list with them."),
    (
        ("--count", f"--waiting-list={MONTH}"),
        "A file holds contacts or a waiting list: give --count or --waiting-list.",
    ),
    (("--count", f"--period={MONTH}"), "Say with --source whose contacts they are"),
    (("--count", "--source=pas"), ONE_OF_TWO),
    (("--count", "--source=pas", f"--period={MONTH}", "--event-id-column=id"), ONE_OF_TWO),
    (("--count", "--source=pas", "--event-id-column=id"), "With --event-id-column, --date-column is needed too."),
    (("--count", "--source=pas", "--period=2026"), "A month is written YYYY-MM."),
    (("--count", "--source=pas", "--period=2999-01"), "2999-01 lies in the future."),
    (
        ("--count", "--source=pas", "--period=2001-01"),
        f"2001-01 is too old: months are counted from {first_counted(today())}.",
    ),
    (("--count", f"--period={MONTH}", "--source=The PAS"), "A source is named like a client: up to 40 small "),
    (("--count", "--source=pas", f"--period={MONTH}", "--sex-column=gender"), "There is no column gender among the 7."),
    (
        ("--count", "--source=pas", f"--period={MONTH}", "--ethnic-category-column=id"),
        "--ethnic-system is one of england, ",
    ),
    (("--count", f"--period={MONTH}", "--expected=3"), "--weeks-column and --expected are for --waiting-list."),
    ((f"--waiting-list={MONTH}",), NEEDS),
    ((*WAITING,), NEEDS),
    (("--waiting-list=may", *WAITING[1:], "--expected=1"), "A month is written YYYY-MM."),
    (("--waiting-list=2999-01", *WAITING[1:], "--expected=3"), "2999-01 lies in the future."),
    ((*WAITING, "--expected=3", "--sex-column=sex"), "Of a waiting list only --specialty-column and --weeks-column"),
    ((*WAITING, "--expected=3", f"--period={MONTH}"), "Of a waiting list only --specialty-column and --weeks-column"),
)


def test_options_that_do_not_fit_each_other_are_refused_in_a_sentence_and_nothing_is_counted(alone: Operator) -> None:
    alone.write(*(f"{row},3" for row in ROWS), heading=f"{HEADING},weeks")
    for options, sentence in REFUSED:
        assert alone.refused(*options).startswith(sentence), options
    assert alone.counted("outcome") == alone.counted("wait_band") == {}


def test_a_list_without_a_heading_tells_lines_from_the_first(alone: Operator) -> None:
    (alone.folder / "in.csv").write_text("NG1 1AA,340,3\nNG1 1AA,340,soon\n", "utf-8")
    told = ("--no-header", "--postcode-column=1", "--specialty-column=2", "--weeks-column=3", "--expected=2")
    assert alone.refused(WAITING[0], *told) == "Line 2: `3` is not a number of weeks."


@pytest.mark.parametrize("options", [COUNT, SINGLY, (*WAITING[:2], "--weeks-column=weeks", "--expected=1")])
def test_a_database_that_is_away_leaves_no_answer_and_counts_nothing(
    options: tuple[str, ...], tmp_path: Path, starter: Path, postgres: Postgres, postgres_url: str
) -> None:
    environment = {"IMDLENS_DATABASE_URL": postgres_url, "IMDLENS_SECRET": "a secret of sixteen"}
    operator = Operator(tmp_path, starter, environment)
    operator.write(f"{ROWS[0]},3", heading=f"{HEADING},weeks")
    postgres.take_away()
    try:
        assert operator.refused(*options).startswith("The database of counts cannot be reached (")
    finally:
        postgres.bring_back()
    assert operator.counted("outcome") == operator.counted("wait_band") == {}
    operator.enrich(*options)
    assert operator.counted("wait_band" if "--expected=1" in options else "outcome")


def test_without_counting_no_store_is_opened_or_made(alone: Operator) -> None:
    nowhere = {"IMDLENS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "IMDLENS_SECRET": "a secret of sixteen"}
    assert alone.run("enrich", "in.csv", "out.csv", **nowhere).returncode == 0
    assert not (alone.folder / "data" / "counts").exists()
