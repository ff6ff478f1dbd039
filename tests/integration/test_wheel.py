"""The wheel holds all that the service needs to run anywhere."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_rules_wording_manifest_starter_data_and_attribution_are_inside_the_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    assert names >= {
        "app/cli.py",
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
        "app/migrations/env.py",
        "app/migrations/versions/0001_the_store_of_counts.py",
        "app/reference/data/manifest.toml",
        "app/reference/data/ATTRIBUTION.md",
        "app/reference/data/starter/starter_postcodes.csv",
        "app/reference/data/starter/starter_lsoa21.csv",
        "app/reference/data/starter/starter_lsoa11.csv",
    }
    assert not [n for n in names if n.startswith(("tests/", "docs/", "examples/", "benchmarks/"))]
