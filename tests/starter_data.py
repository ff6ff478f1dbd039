"""The starter tables as published, for tests that compare with them."""

import csv

from app.reference.manifest import packaged_data


def rows(name: str) -> list[dict[str, str]]:
    """`postcodes`, `lsoa21` or `lsoa11`, a dict for each row."""
    text = (packaged_data() / "starter" / f"starter_{name}.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def postcodes() -> list[str]:
    """Every starter postcode."""
    return [row["pcds"] for row in rows("postcodes")]
