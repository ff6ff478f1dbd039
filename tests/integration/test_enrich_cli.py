"""`imdlens enrich` as a data manager runs it, on files that hurt."""

import fcntl
import gzip
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.running import imdlens

ADDED = "postcode_status,country,imd_decile,imd_quintile,imd_edition,core20,core20_reason"
NOTTINGHAM = "live,England,3,2,IoD2025,false,"
UNKNOWN = "malformed,,,,IoD2025,,malformed"


@pytest.fixture
def enrich(starter: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command on the starter data."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return imdlens("enrich", *map(str, arguments), cwd=tmp_path, IMDLENS_DATA_DIR=str(starter))

    return run


def refused(run: subprocess.CompletedProcess[str]) -> str:
    """The one sentence it ended with."""
    assert run.returncode == 1, run.stderr
    assert "Traceback" not in run.stderr
    (sentence,) = [line for line in run.stderr.splitlines() if line.startswith("imdlens: ")]
    return sentence.removeprefix("imdlens: ")


def only(folder: Path, *names: str) -> bool:
    """Whether a folder holds these files and nothing else, no trace of a run that failed."""
    return {path.name for path in folder.iterdir()} == set(names)


def test_a_file_keeps_every_byte_and_gets_its_answers(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    source = tmp_path / "in.csv"
    sent = '\ufeff"id";"Post Code";note\r\n007;NG1 1AA;"a ""b""; c\r\nd"\r\n008;ZZ99 3VZ;\r\n009;;last'.encode()
    source.write_bytes(sent)
    run = enrich(source, tmp_path / "out.csv")
    assert run.returncode == 0, run.stderr
    added = ADDED.replace(",", ";")
    assert (tmp_path / "out.csv").read_bytes().decode() == (
        f'\ufeff"id";"Post Code";note;{added}\r\n007;NG1 1AA;"a ""b""; c\r\nd";{NOTTINGHAM.replace(",", ";")}\r\n'
        f"008;ZZ99 3VZ;;no_fixed_abode;;;;IoD2025;;no_fixed_abode\r\n009;;last;{UNKNOWN.replace(',', ';')}"
    )
    assert source.read_bytes() == sent
    assert "Rows answered: 3." in run.stderr
    assert "Core20: 1 and 2 together" in run.stderr
    assert only(tmp_path, "in.csv", "out.csv")


def test_the_summary_hides_small_numbers_unless_it_is_for_oneself(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    source, summary = tmp_path / "in.csv", tmp_path / "summary.txt"
    source.write_text("postcode\n" + "NG1 1AA\n" * 203 + "ZZ99 3VZ\n" * 6, "utf-8")
    shared = enrich(source, tmp_path / "a.csv", "--summary", summary)
    assert summary.read_text("utf-8") in shared.stderr
    figures = {
        line[2:52].strip(): line[52:].split() for line in summary.read_text("utf-8").splitlines() if len(line) > 52
    }
    assert figures["3"] == ["205", "100%"]
    assert figures["No fixed abode (pseudo-postcode)"] == ["*"]
    assert "203" not in summary.read_text("utf-8")
    exact = enrich(source, tmp_path / "b.csv", "--exact").stderr
    assert "EXACT FIGURES: not to be shared." in exact
    assert "203" in exact


def test_columns_of_domains_and_areas_come_when_they_are_asked_for_with_names_of_their_own(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("imd_decile,pcds\n9,NG1 1AA\n", "utf-8")
    sentence = refused(enrich("in.csv", "out.csv"))
    assert sentence == (
        "The file has a column called imd_decile already: put something before the new names with --prefix."
    )
    assert enrich("in.csv", "out.csv", "--prefix", "lens_", "--domains", "--area").returncode == 0
    head, row = (tmp_path / "out.csv").read_text("utf-8").splitlines()
    assert head.split(",")[4] == "lens_imd_decile"
    assert dict(zip(head.split(","), row.split(","), strict=True))["lens_lad"] == "E06000018"
    assert row.startswith("9,NG1 1AA,live")


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        (b"", [], "The file is empty."),
        (b" \r\n\n", [], "The file is empty."),
        (b"id,name\n1,x\n", [], "None of the 2 columns is called postcode: say which it is with --postcode-column, by"),
        (b"pc\nNG1 1AA\n", ["--postcode-column", "nope"], "There is no column nope among the 1."),
        (b"gp_postcode,old_postcode\n", [], "Several columns may hold the postcode (gp_postcode, old_postcode): say"),
        (b"postcode,postcode\nNG1 1AA,M1 1AE\n", ["--postcode-column", "postcode"], "Columns 1 and 2 are both called"),
        (b"postcode,n\nNG1 1AA,1\nNG1 1AA\nM1 1AE,2,3\n", [], "Lines 3, 4 do not have 2 fields as the heading has:"),
        (b'postcode,n\nNG1 1AA,1\nM1 1AE,"2\nx,y\n', [], "Line 3: a quotation mark is opened and never closed."),
        ("postcode,n\n".encode("utf-16-le"), [], "The first line holds NUL bytes: say --encoding utf-16-le"),
        ("postcode,näm\n".encode("cp1252"), ["--encoding", "utf-8"], "The first line is not in utf-8: say which it is"),
        (b"postcode\n", ["--encoding", "klingon"], "The encoding is not known: say utf-8, cp1252, utf-16-le or"),
        (b"postcode\n", ["--delimiter", "a"], "The delimiter must be one character, no letter, digit, blank, _ or"),
        (b"postcode\n" + b"x" * (65 * 2**20), [], "Line 2 begins a record of more than 64 MiB: a quotation mark may"),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, str) else "",
)
def test_what_cannot_be_taken_is_said_in_a_sentence_and_nothing_is_left_behind(
    content: bytes,
    options: list[str],
    sentence: str,
    enrich: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    (tmp_path / "in.csv").write_bytes(content)
    assert refused(enrich("in.csv", "out.csv", *options)).startswith(sentence)
    assert (tmp_path / "in.csv").read_bytes() == content
    assert only(tmp_path, "in.csv")


def test_no_sentence_names_what_a_patient_row_holds(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("SMITH,NG1 1AA\nJONES,M1 1AE\n", "utf-8")
    run = enrich("in.csv", "out.csv")
    assert run.returncode == 1
    assert not {"SMITH", "JONES", "NG1", "M1"} & set(run.stderr.replace(",", " ").split())


def test_a_file_without_a_heading_tells_its_columns_by_number(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "in.tsv").write_bytes(b"007\tNG1 1AA\n008\t\n")
    assert enrich("in.tsv", "out.tsv", "--no-header", "--postcode-column", "2").returncode == 0
    lines = (tmp_path / "out.tsv").read_text("utf-8").splitlines()
    assert lines[0] == "007\tNG1 1AA\t" + NOTTINGHAM.replace(",", "\t")
    assert len(lines) == 2


def test_a_heading_alone_and_nul_bytes_and_thousands_of_columns_are_no_trouble(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "head.csv").write_bytes(b"postcode")
    assert enrich("head.csv", "head.out.csv").returncode == 0
    assert (tmp_path / "head.out.csv").read_text("utf-8") == f"postcode,{ADDED}"
    (tmp_path / "nul.csv").write_bytes(b"postcode,n\nNG1 1AA,\0\0\nNG1 1A\0A,x\n")
    assert enrich("nul.csv", "nul.out.csv").returncode == 0
    assert (tmp_path / "nul.out.csv").read_bytes().split(b"\n")[1:3] == [
        b"NG1 1AA,\0\0," + NOTTINGHAM.encode(),
        b"NG1 1A\0A,x," + UNKNOWN.encode(),
    ]
    wide = ["postcode", *(f"c{i}" for i in range(9_999))]
    (tmp_path / "wide.csv").write_text("\n".join([",".join(wide), ",".join(["NG1 1AA"] * 10_000)]), "utf-8")
    assert enrich("wide.csv", "wide.out.csv").returncode == 0
    assert (tmp_path / "wide.out.csv").read_text("utf-8").endswith(NOTTINGHAM)


def test_lines_of_another_width_are_set_aside_when_that_is_asked_for_and_nothing_is_lost(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_bytes(b'postcode,n\nNG1 1AA,1\nNG1 1AA\nNG1 1AA,"2\n,"\nM1 1AE,2,3\n\nNG1 1AA,3\n')
    run = enrich("in.csv", "out.csv", "--aside", "ragged.csv")
    assert run.returncode == 0, run.stderr
    assert "Lines set aside in ragged.csv, without an answer: 2." in run.stderr
    assert (tmp_path / "ragged.csv").read_bytes() == b"postcode,n\nNG1 1AA\nM1 1AE,2,3\n"
    assert (tmp_path / "out.csv").read_text("utf-8") == (
        f'postcode,n,{ADDED}\nNG1 1AA,1,{NOTTINGHAM}\nNG1 1AA,"2\n,",{NOTTINGHAM}\n\nNG1 1AA,3,{NOTTINGHAM}\n'
    )


def test_a_target_is_not_replaced_unless_told_and_never_its_own_source(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("postcode\nNG1 1AA\n", "utf-8")
    (tmp_path / "out.csv").write_text("something else", "utf-8")
    assert refused(enrich("in.csv", "out.csv")) == "out.csv is there already: --overwrite replaces it."
    assert (tmp_path / "out.csv").read_text("utf-8") == "something else"
    (tmp_path / "link.csv").symlink_to("in.csv")
    assert refused(enrich("in.csv", "link.csv", "--overwrite")).startswith("A file cannot be answered into itself")
    assert refused(enrich("in.csv", "no/where.csv")) == "There is no folder no."
    assert refused(enrich("in.csv", ".")) == ". is a folder: name a file in it."
    assert refused(enrich("nothing.csv", "x.csv")) == "nothing.csv: No such file or directory."
    assert enrich("in.csv", "out.csv", "--overwrite").returncode == 0
    assert (tmp_path / "out.csv").read_text("utf-8").endswith(f"{NOTTINGHAM}\n")
    assert only(tmp_path, "in.csv", "out.csv", "link.csv")


def test_the_summary_takes_the_place_of_no_file_of_the_run(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    patients = "postcode\nNG1 1AA\n"
    (tmp_path / "in.csv").write_text(patients, "utf-8")
    (tmp_path / "link.csv").symlink_to("in.csv")
    for summary in ("in.csv", "link.csv", "out.csv", "bad.csv"):
        assert refused(enrich("in.csv", "out.csv", "--summary", summary, "--aside", "bad.csv", "--overwrite"))
    assert (tmp_path / "in.csv").read_text("utf-8") == patients
    assert only(tmp_path, "in.csv", "link.csv")


def test_nobody_may_read_the_answers_who_may_not_read_the_file(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("postcode\nNG1 1AA\n", "utf-8")
    for mode in (0o600, 0o640):
        (tmp_path / "in.csv").chmod(mode)
        assert enrich("in.csv", "out.csv", "--overwrite").returncode == 0
        assert (tmp_path / "out.csv").stat().st_mode & 0o777 == mode


def test_compressed_files_are_read_and_written_and_a_damaged_one_is_refused(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    packed = gzip.compress(b"postcode\n" + b"NG1 1AA\n" * 20_000)
    (tmp_path / "in.csv.gz").write_bytes(packed)
    assert enrich("in.csv.gz", "out.csv.gz").returncode == 0
    lines = gzip.decompress((tmp_path / "out.csv.gz").read_bytes()).decode().splitlines()
    assert lines == [f"postcode,{ADDED}", *[f"NG1 1AA,{NOTTINGHAM}"] * 20_000]
    damaged = "The compressed file is damaged, or ends before its end."
    for name, content, sentence in (
        ("cut.csv.gz", packed[:-20], damaged),
        ("no.csv.gz", b"postcode\nNG1 1AA\n", "The file is said to be gzip but begins as none does"),
    ):
        (tmp_path / name).write_bytes(content)
        assert refused(enrich(name, "x.csv")).startswith(sentence)
    assert only(tmp_path, "in.csv.gz", "out.csv.gz", "cut.csv.gz", "no.csv.gz")


def _start(starter: Path, folder: Path, *arguments: str, limit: int | None = None) -> subprocess.Popen[bytes]:
    def limited() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which whoever runs the tests may have ignored
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.Popen(
        [sys.executable, "-m", "app.cli", "enrich", *arguments],
        cwd=folder,
        env={**os.environ, "IMDLENS_DATA_DIR": str(starter)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=limited,
    )


def _half_written(process: subprocess.Popen[bytes], part: Path) -> None:
    """Give it enough that some of the answer is on the disk, and no end."""
    assert process.stdin is not None
    process.stdin.write(b"postcode\n" + b"NG1 1AA\n" * 8_000_000)
    process.stdin.flush()
    until = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 1000):
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.02)


def _close(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()


def test_a_stream_is_answered_as_it_comes(starter: Path, tmp_path: Path) -> None:
    with _start(starter, tmp_path, "-", "-") as process:
        out, error = process.communicate(b"postcode\nNG1 1AA\n", timeout=60)
    assert process.returncode == 0
    assert out.decode() == f"postcode,{ADDED}\nNG1 1AA,{NOTTINGHAM}\n"
    assert b"Rows answered: 1." in error


def test_a_run_killed_half_way_leaves_no_answer_and_the_next_starts_clean(
    starter: Path, tmp_path: Path, enrich: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    part = tmp_path / ".out.csv.part"
    with _start(starter, tmp_path, "-", "out.csv") as process:
        _half_written(process, part)
        (tmp_path / "in.csv").write_text("postcode\nNG1 1AA\n", "utf-8")
        assert (
            refused(enrich("in.csv", "out.csv"))
            == "out.csv is being written already: by another run, or it is named twice."
        )
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        _close(process)
    assert part.exists()
    assert not (tmp_path / "out.csv").exists()
    assert enrich("in.csv", "out.csv").returncode == 0
    assert (tmp_path / "out.csv").read_text("utf-8") == f"postcode,{ADDED}\nNG1 1AA,{NOTTINGHAM}\n"
    assert only(tmp_path, "in.csv", "out.csv")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_asked_to_stop_removes_what_it_wrote(starter: Path, tmp_path: Path, sent: signal.Signals) -> None:
    with _start(starter, tmp_path, "-", "out.csv") as process:
        _half_written(process, tmp_path / ".out.csv.part")
        process.send_signal(sent)
        assert process.wait(30) == 130
        _close(process)
    assert only(tmp_path)


def test_a_full_disk_leaves_nothing_behind(starter: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b"postcode\n" + b"NG1 1AA\n" * 100_000)
    (tmp_path / "out.csv").write_text("what was there", "utf-8")
    with _start(starter, tmp_path, "in.csv", "out.csv", "--overwrite", limit=2**20) as process:
        _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"There is no room for the answered file. What was written is removed." in error
    assert (tmp_path / "out.csv").read_text("utf-8") == "what was there"
    assert only(tmp_path, "in.csv", "out.csv")


def test_the_part_of_another_run_is_not_touched_while_that_is_alive(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("postcode\nNG1 1AA\n", "utf-8")
    with (tmp_path / ".out.csv.part").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write(b"another's")
        held.flush()
        assert (
            refused(enrich("in.csv", "out.csv"))
            == "out.csv is being written already: by another run, or it is named twice."
        )
    assert (tmp_path / ".out.csv.part").read_bytes() == b"another's"


def test_each_format_is_read_and_written_and_the_answers_are_the_same(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text("id,postcode\n007,NG1 1AA\n008,\n009,ZZ99 3VZ\n", "utf-8")
    names = ["a.parquet", "b.xlsx", "c.ndjson", "d.ndjson.gz", "e.tsv", "f.csv"]
    for source, target in zip(["in.csv", *names], names, strict=False):
        prefix = f"{target[0]}_"
        run = enrich(source, target, "--prefix", prefix)
        assert run.returncode == 0, run.stderr
        assert "Rows answered: 3." in run.stderr
    head, *rows = ((line.split(",")) for line in (tmp_path / "f.csv").read_text("utf-8").splitlines())
    assert [row[:2] for row in rows] == [["007", "NG1 1AA"], ["008", ""], ["009", "ZZ99 3VZ"]]
    assert len(head) == 2 + 6 * 7
    for row in rows:
        assert {tuple(row[2 + 7 * i : 9 + 7 * i]) for i in range(6)} == {tuple(row[2:9])}
    assert rows[0][2:9] == NOTTINGHAM.split(",")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("in.dat", "out.csv"), "The name of the file does not say its format: it ends with .csv"),
        (("in.csv", "out.dat"), "The name of the file does not say its format: it ends with .csv"),
        (("in.parquet", "out.csv"), "The file is said to be parquet but begins as none does: give it its right name"),
        (("in.csv", "out.xls"), "A workbook is written as .xlsx: let the name of the new file end with that."),
        (("-", "out.csv", "--format", "parquet"), "Parquet files and workbooks cannot be read from a stream"),
        (("in.ndjson", "out.ndjson"), "Line 2"),
        (("in.csv", "out.csv", "--format", "word"), "There is no format of that name: it is one of csv"),
        (("in.ndjson", "out.ndjson", "--aside", "x"), "Only lines of delimited text can be set aside."),
    ],
)
def test_what_is_wrong_with_a_format_is_said_in_a_sentence(
    arguments: tuple[str, ...],
    sentence: str,
    enrich: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    for name in ("in.csv", "in.dat", "in.parquet"):
        (tmp_path / name).write_text("postcode\nNG1 1AA\n", "utf-8")
    (tmp_path / "in.ndjson").write_text('{"postcode":"NG1 1AA"}\n{"postcode":\n', "utf-8")
    assert refused(enrich(*arguments)).startswith(sentence)
    assert only(tmp_path, "in.csv", "in.dat", "in.parquet", "in.ndjson")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--prefix", "a,b"], "What --prefix puts before the names must not hold a delimiter, quote or line end."),
        (["--prefix", "a\n"], "What --prefix puts before the names must not hold a delimiter, quote or line end."),
        (["--delimiter", "_"], "The delimiter must be one character, no letter, digit, blank, _ or quotation mark."),
        (["--encoding", "rot13"], "The encoding is not known: say utf-8, cp1252, utf-16-le or another."),
        (["--encoding", "idna"], "The encoding is not known: say utf-8, cp1252, utf-16-le or another."),
        (["--encoding", "utf-7"], "The encoding is not known: say utf-8, cp1252, utf-16-le or another."),
        (["--summary", "in.csv", "--overwrite"], "A file cannot be answered into itself: name another for the answer."),
        (["--summary", "out.csv"], "out.csv is being written already: by another run, or it is named twice."),
        (["--summary", "no/where"], "There is no folder no."),
        (["--summary", "-"], "The summary stands on the screen already: name a file for it."),
        (["--aside", "-"], "Lines cannot be set aside on standard output: name a file."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_would_damage_a_file_are_refused_before_one_is_written(
    options: list[str], sentence: str, enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_bytes(b"postcode,n\nNG1 1AA,1\n")
    assert refused(enrich("in.csv", "out.csv", *options)) == sentence
    assert (tmp_path / "in.csv").read_bytes() == b"postcode,n\nNG1 1AA,1\n"
    assert only(tmp_path, "in.csv")


def test_a_delimiter_that_a_file_names_itself_is_held_to_the_same_rule(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_bytes(b"sep=_\nid_postcode\n1_NG1 1AA\n")
    assert refused(enrich("in.csv", "out.csv")).startswith("The delimiter must be one character")
    assert only(tmp_path, "in.csv")


def test_a_summary_is_not_replaced_unless_told(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_bytes(b"postcode\nNG1 1AA\n")
    (tmp_path / "s.txt").write_bytes(b"something else")
    assert refused(enrich("in.csv", "out.csv", "--summary", "s.txt")).startswith("s.txt is there already")
    assert (tmp_path / "s.txt").read_bytes() == b"something else"
    assert only(tmp_path, "in.csv", "s.txt")


def test_a_link_is_never_replaced_by_a_file(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_bytes(b"postcode\nNG1 1AA\n")
    (tmp_path / "link.csv").symlink_to("elsewhere.csv")
    for more in ([], ["--overwrite"]):
        assert refused(enrich("in.csv", "link.csv", *more)).startswith("link.csv is a link: name the file itself")
    assert (tmp_path / "link.csv").is_symlink()
    assert only(tmp_path, "in.csv", "link.csv")


def test_a_part_of_an_earlier_run_is_no_source_of_the_same_answer(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / ".out.csv.part").write_bytes(b"postcode\nNG1 1AA\n")
    refusal = refused(enrich(".out.csv.part", "out.csv", "--format", "csv"))
    assert refusal.startswith("This would be overwritten while it is read")
    assert (tmp_path / ".out.csv.part").read_bytes() == b"postcode\nNG1 1AA\n"
    assert only(tmp_path, ".out.csv.part")


def test_a_named_pipe_is_read_as_it_comes(starter: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    # The mark of UTF-16 comes in two parts.
    shell = r"(printf '\377'; sleep 0.1; printf '\376p\0o\0s\0t\0c\0o\0d\0e\0\n\0') > pipe.csv"
    writer = subprocess.Popen(["sh", "-c", shell], cwd=tmp_path)
    run = imdlens("enrich", "pipe.csv", "out.csv", cwd=tmp_path, IMDLENS_DATA_DIR=str(starter))
    assert writer.wait() == 0
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "out.csv").read_bytes().decode("utf-16").split(",")[:2] == ["postcode", "postcode_status"]


def test_standard_streams_that_are_closed_end_in_a_sentence(starter: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b"postcode\nNG1 1AA\n")
    for shell in ("in.csv - >&-", "- out.csv <&-"):
        run = subprocess.run(
            ["sh", "-c", f'"{sys.executable}" -m app.cli enrich {shell}'],
            cwd=tmp_path,
            env={**os.environ, "IMDLENS_DATA_DIR": str(starter), "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused(run) == "Standard input or output is closed: name a file."


def test_lines_set_aside_keep_the_encoding_of_the_file(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_bytes("postcode,n\nNG1 1AA,é\né\n".encode("utf-16"))
    assert enrich("in.csv", "out.csv", "--aside", "apart.csv").returncode == 0
    assert (tmp_path / "apart.csv").read_bytes() == "postcode,n\né\n".encode("utf-16")


def test_no_row_is_made_up_where_all_are_set_aside_nor_lost_between_two_kinds_of_line_end(
    enrich: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_bytes(b"postcode\nNG1 1AA,x\nNG1 1AA\rM1 1AE\n")
    assert refused(enrich("in.csv", "out.csv")).startswith("Lines 2, 3 do not have 1 fields")
    assert enrich("in.csv", "out.csv", "--aside", "apart.csv").returncode == 0
    assert (tmp_path / "out.csv").read_bytes() == f"postcode,{ADDED}\n".encode()
    assert (tmp_path / "apart.csv").read_bytes() == (tmp_path / "in.csv").read_bytes()
