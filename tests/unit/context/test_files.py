"""Rules are read from data that says what it is, and refused in one sentence where they must not be used."""

from pathlib import Path

import pytest

from app.context.files import RuleFileError, RuleFolder
from app.context.rulebook import Rulebook
from app.main import create_app
from app.settings import Settings
from tests.unit.context.rule_folders import changed, shipped, with_lines

HEAD = "# version: 2026-11-22\n# status: authored\n# source: here\n# sign_off: us\n"


def test_every_shipped_file_says_its_version_status_source_and_who_signs_it_off() -> None:
    book = Rulebook.load()
    assert len(book.files) == 15
    for file in book.files:
        assert file.version
        assert file.status in ("sourced", "authored")
        assert file.source
        assert file.sign_off
        assert len(file.checksum) == 64
        assert not file.local


def test_an_organisations_file_stands_in_the_place_of_the_shipped_one_and_changes_the_version(tmp_path: Path) -> None:
    local = changed(tmp_path, "area.toml", ("Ask what matters to this person.", "Ask what matters."))
    book = Rulebook.load(local)
    assert book.area.second == "This is about the area. Ask what matters."
    assert [file.name for file in book.files if file.local] == ["area.toml"]
    assert book.version.startswith(f"{Rulebook.load().version}+")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "a,b\n1,2,3\n", r"line 6: has more or fewer columns"),
        (HEAD + "a,b\n1\n", r"line 6: has more or fewer columns"),
        (HEAD + "b,a\n", r"its columns must be a,b"),
        (HEAD, r"its columns must be a,b"),
        (HEAD + 'a,b\n"1,2\n', r"is not CSV"),
        (HEAD.replace("# source: here\n", "") + "a,b\n", r"does not say its source"),
        (HEAD.replace("authored", "guessed") + "a,b\n", r"neither sourced nor authored"),
        (HEAD.replace("2026-11-22", "three") + "a,b\n", r"its version is not a date"),
    ],
)
def test_a_csv_that_cannot_be_used_says_where(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "places.csv").write_text(text)
    with pytest.raises(RuleFileError, match=said):
        RuleFolder(tmp_path).rows("places.csv", ("a", "b"))


def test_a_csv_of_a_spreadsheet_is_read_and_its_lines_are_counted_as_an_editor_shows_them(tmp_path: Path) -> None:
    (tmp_path / "places.csv").write_bytes(b"\xef\xbb\xbf" + (HEAD + "a,b\r\n1, 2 \r\n\r\n# between\r\n,4\r\n").encode())
    first, second = RuleFolder(tmp_path).rows("places.csv", ("a", "b"))
    assert (first.line, first.text("b")) == (6, "2")
    with pytest.raises(RuleFileError, match=r"^places\.csv, line 9, a: is empty\.$"):
        second.text("a")


def test_a_csv_that_a_spreadsheet_wrote_out_again_is_read(tmp_path: Path) -> None:
    text = '# version: 2026-11-22,\r\n# status: authored,\r\n"# source: here, and there",\r\n# sign_off: us,\r\n'
    (tmp_path / "places.csv").write_text(text + "a,b\r\n1,2\r\n,\r\n3,4\r\n")
    folder = RuleFolder(tmp_path)
    assert [row.text("a") for row in folder.rows("places.csv", ("a", "b"))] == ["1", "3"]
    assert folder.files[0].source == "here, and there"


@pytest.mark.parametrize("name", ["place.csv", "Places.csv", "signpost.csv", "rules.toml"])
def test_a_misspelt_file_is_refused_since_the_shipped_one_would_stay_in_force_unseen(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    (tmp_path / "README.md").write_text("Notes of our own are no rules.")
    with pytest.raises(RuleFileError, match=f"there is no rules file {name}"):
        RuleFolder(tmp_path)


def test_a_file_that_is_named_and_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "places.csv").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RuleFileError, match=r"places\.csv cannot be read"):
        Rulebook.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = ", "is not TOML"),
        ('version = "2026-11-22"\nstatus = "authored"\nsource = "x"\n', "does not say its sign_off"),
        ('version = "2026-11-22"\nstatus = "authored"\nsource = "x"\nsign_off = "us"\nmispelt = 1\n', "no mispelt"),
    ],
)
def test_a_toml_that_cannot_be_used_says_why(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "area.toml").write_text(text)
    with pytest.raises(RuleFileError, match=said):
        RuleFolder(tmp_path).table("area.toml", ("known",))


def test_what_is_not_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "area.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RuleFileError, match=r"area\.toml is not UTF-8"):
        RuleFolder(tmp_path).table("area.toml", ())
    with pytest.raises(RuleFileError, match="cannot be read"):
        RuleFolder(tmp_path).table("y.toml", ())
    with pytest.raises(RuleFileError, match="none cannot be read"):
        RuleFolder(tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("summaries.toml", "no_fixed_abode = ", "no_abode = "),
        ("summaries.toml", "about {n} in 10", "about {number} in 10"),
        ("summaries.toml", 'yes = "This area is in Core20"', ""),
        ("area.toml", 'id = "crime"', 'id = "danger"'),
        ("area.toml", "{share} in 100 {who}: more", "{share!r} in 100 {who}: more"),
        ("area.toml", "cut_points = [0.08, 0.19", "cut_points = [0.19, 0.08"),
        ("area.toml", 'rural = "This is a rural area."', ""),
        ("cautions.toml", "rural = ", "countryside = "),
        ("cautions.toml", 'IoD2025 = "2023-03"', 'IoD2025 = "2023-13"'),
        ("cautions.toml", 'protected = ["prison", "refuge", "protected"]', 'protected = ["prison"]'),
        ("cautions.toml", 'cautioned = ["hospital"', 'cautioned = ["prison", "hospital"'),
        ("prompts.toml", 'domains = ["income"]', 'domains = ["crime"]'),
        ("prompts.toml", 'domains = ["income"]', 'domains = ["money"]'),
        ("prompts.toml", 'parent = "What is a typical', 'mother = "What is a typical'),
        ("prompts.toml", "from_age = 12", "from_age = 13"),
        ("prompts.toml", '[[cue]]\nid = "typical_day"', '[[follow_up]]\nid = "typical_day"'),
        ("core20plus5.toml", 'id = "asthma"', 'id = "breath"'),
        ("core20plus5.toml", 'weak = "', 'faint = "'),
        ("core20plus5.csv", "340,adult", "34,adult"),
        ("core20plus5.csv", "340,adult,chronic_respiratory_disease,direct", "340,adult,lungs,direct"),
        ("organisation.toml", 'id = "inclusion_health"', 'id = "other"'),
        ("offers.toml", 'id = "travel"', 'id = "taxi"'),
        ("offers.toml", "What may make", "What may make" + " and make" * 10),
        ("inclusion.toml", 'count_as = "interpreter"', 'count_as = "easy_read"'),
        ("inclusion.toml", 'instead_of = "interpreter"', 'instead_of = "none"'),
        ("summaries.toml", "{where}, and we have", "{n}, and we have"),
        ("summaries.toml", "We could not find", "We {where} could not find"),
        ("summaries.toml", "about {n} in 10 areas", "about {n.__class__} in 10 areas"),
        ("summaries.toml", "about {n} in 10 areas", "about {n:>99} in 10 areas"),
        ("summaries.toml", "about {n} in 10 areas", "about nine in 10 areas"),
        ("summaries.toml", "We could not find", "We could not find" + " and find" * 20),
        ("area.toml", "england = 1.9", "england = inf"),
        ("area.toml", "england = 1.9", "england = true"),
        ("area.toml", "cut_points = [0.08", 'cut_points = ["0.08"'),
        ("organisation.toml", 'title = "Inclusion health"', 'titel = "Inclusion health"'),
        ("inclusion.toml", 'no_fixed_abode = "The record', 'nfa = "The record'),
        ("inclusion.toml", 'id = "refuge"', 'id = "homelessness"'),
    ],
)
def test_rules_that_contradict_themselves_stop_the_start(tmp_path: Path, name: str, old: str, new: str) -> None:
    local = changed(tmp_path, name, (old, new))
    with pytest.raises(RuleFileError) as told:
        create_app(Settings(data_dir=tmp_path, local_dir=local))
    assert str(told.value).startswith(name.split(".")[0])
    assert "\n" not in str(told.value)


def test_an_error_about_a_place_names_the_line_and_never_the_address(tmp_path: Path) -> None:
    local = with_lines(
        tmp_path, "places.csv", "NG1 1AA,refuge,council,2026-01-01", "NG7 7QQX,refuge,council,2026-01-01"
    )
    with pytest.raises(RuleFileError) as told:
        Rulebook.load(local)
    line = len(shipped("places.csv").splitlines()) + 2
    assert str(told.value) == f"places.csv, line {line}, postcode: is not a full UK postcode."
