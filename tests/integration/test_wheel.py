"""The wheel holds all that the service needs to run anywhere."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_rules_wording_manifest_starter_data_and_attribution_are_inside_the_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
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
