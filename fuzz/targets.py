"""Every target by its name, and what it is to be told of."""

from collections.abc import Callable
from typing import NamedTuple

from fuzz import files, readers
from fuzz.seeds import SEEDS

Target = Callable[[bytes], None]


class Told(NamedTuple):
    """A target, and the longest input it is given."""

    target: Target
    longest: int


TARGETS: dict[str, Told] = {
    "postcodes": Told(readers.postcodes, 256),
    "postcode_bytes": Told(readers.postcode_bytes, 256),
    "enrichment": Told(readers.enrichment, 2048),
    "enrichment_values": Told(readers.enrichment_values, 64),
    "contact": Told(readers.contact, 1024),
    "contact_values": Told(readers.contact_values, 64),
    "fhir": Told(readers.fhir, 2048),
    "fhir_values": Told(readers.fhir_values, 64),
    "hooks": Told(readers.hooks, 2048),
    "hooks_values": Told(readers.hooks_values, 64),
    "headers": Told(readers.headers, 1024),
    "card": Told(readers.card, 2048),
    "spool": Told(readers.spool, 512),
    "spool_values": Told(readers.spool_values, 64),
    "hl7_message": Told(readers.hl7_message, 1024),
    "delimited": Told(files.delimited, 1024),
    "ndjson": Told(files.ndjson, 1024),
    "index": Told(files.index, 8192),
    "parquet": Told(files.parquet, 4096),
    "workbook": Told(files.workbook, 20_000),
    "rule_files": Told(readers.rule_files, 20_000),
    "slow": Told(readers.slow, 16),
}
EVERY = tuple(SEEDS)
"""Those that `make fuzz` runs, the quickest first. `slow` is for tests of the harness."""
