"""The wheel holds all that the service needs to run anywhere."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOVED = {"data/imd/": "app/reference/data/", "migrations/": "app/migrations/"}


def tracked(*folders: str) -> list[str]:
    """The files of these folders that are, or could be, in the repository."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *folders]
    listed = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout.decode()
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def built(source: Path, out: Path, umask: int = 0o022, **environment: str) -> Path:
    """The wheel of a folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    environment = {**os.environ, **environment}
    subprocess.run(command, cwd=source, check=True, capture_output=True, umask=umask, env=environment)
    return next(out.glob("*.whl"))


def test_rules_wording_manifest_starter_data_and_attribution_are_inside_the_wheel(tmp_path: Path) -> None:
    with zipfile.ZipFile(built(ROOT, tmp_path)) as wheel:
        names = set(wheel.namelist())
        (scripts,) = [wheel.read(name).decode() for name in names if name.endswith("entry_points.txt")]
    assert names >= {
        "app/cli.py",
        "app/cli_spark.py",
        "app/batch/files.py",
        "app/batch/spark.py",
        "app/lookup/postcode_rules.toml",
        "app/context/rules/summaries.toml",
        "app/counts/rules/vocabulary.toml",
        "app/counts/rules/treatment_functions.csv",
        "app/counts/rules/rtt_groups.csv",
        "app/counts/rules/ethnic_categories.csv",
        "app/pages/static/card.css",
        "app/pages/static/nhsuk-frontend-10.6.1/LICENCE",
        "app/pages/static/nhsuk-frontend-10.6.1/nhsuk-frontend.min.css",
        "app/pages/static/nhsuk-frontend-10.6.1/provenance.toml",
        "app/pages/templates/ask.html",
        "app/pages/templates/card.html",
        "app/pages/templates/notice.html",
        "app/pages/templates/page.html",
        "app/pages/templates/parts.html",
        "app/pages/templates/transition.css",
        "app/pages/templates/transition.html",
        "app/migrations/env.py",
        "app/migrations/versions/0001_the_store_of_counts.py",
        "app/migrations/versions/0003_files_that_replace_files.py",
        "app/reference/data/manifest.toml",
        "app/reference/data/ATTRIBUTION.md",
        "app/reference/data/starter/starter_postcodes.csv",
        "app/reference/data/starter/starter_lsoa21.csv",
        "app/reference/data/starter/starter_lsoa11.csv",
        "app/reference/data/population/census2021_by_iod2025_decile_lad24.csv",
        "app/reference/data/population/census2021_by_iod2025_decile_icb24.csv",
    }
    assert {"imdlens = app.cli:main", "imdlens-spark = app.cli_spark:main"} <= set(scripts.splitlines())
    assert not [n for n in names if n.startswith(("tests/", "tests_spark/", "docs/", "examples/", "benchmarks/"))]


def test_the_wheel_holds_every_file_of_the_service_and_no_other(tmp_path: Path) -> None:
    with zipfile.ZipFile(built(ROOT, tmp_path)) as wheel:
        inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
        assert wheel.testzip() is None
    data = ("data/imd/manifest.toml", "data/imd/ATTRIBUTION.md", "data/imd/starter", "data/imd/population")
    expected = set()
    for name in tracked("app", "migrations", *data):
        folder = next((place for place in MOVED if name.startswith(place)), "")
        expected.add(MOVED.get(folder, "") + name.removeprefix(folder))
    assert inside == expected


def test_a_copy_elsewhere_at_another_time_and_under_another_umask_is_the_same_wheel(tmp_path: Path) -> None:
    copy = tmp_path / "another folder"
    for name in tracked("app", "migrations", "data/imd", "pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
        (copy / name).chmod(0o600)
        os.utime(copy / name, (946_684_800, 946_684_800))  # in 2000
    digests = {
        hashlib.sha256(built(source, out, umask, SOURCE_DATE_EPOCH="1764547200", TZ=zone).read_bytes()).hexdigest()
        for source, out, umask, zone in (
            (ROOT, tmp_path / "one", 0o022, "UTC"),
            (copy, tmp_path / "two", 0o077, "Asia/Tokyo"),
        )
    }
    assert len(digests) == 1


def test_without_spark_its_command_says_in_one_sentence_what_is_missing(tmp_path: Path) -> None:
    # As where it is not installed, whatever is installed here.
    hidden = "import sys; sys.modules['pyspark'] = None; from app.cli_spark import main; main()"
    for words, code, told in (
        (["in", "out"], 1, "imdlens-spark: Spark is not installed here: pip install 'imd-lens[spark]', or run this by"),
        (["--help"], 0, ""),
    ):
        run = subprocess.run(
            [sys.executable, "-c", hidden, *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (run.returncode, run.stderr.startswith(told)) == (code, True), run.stderr
        assert run.stderr.count("\n") <= 1
