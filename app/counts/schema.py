"""The store of counts: exactly six kinds of monthly cells, and what keeps them right.

A cell is a count of contacts that are alike in a few coarse things. None holds a postcode, an area smaller than
a district, a day, or an identifier; a cell of one can still be a person, so the store is confidential.
"""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, SmallInteger, String, Table, Text

from app.database import metadata


def _key(*names: str) -> list[Column[str]]:
    return [Column(name, String(40), primary_key=True) for name in names]


def _month(*, key: bool = True) -> Column[str]:
    return Column("month", String(7), primary_key=key, nullable=False)  # YYYY-MM


# `sqlite_with_rowid=False`: the primary key is the table itself, half the space, one search a row instead of two.


def _n() -> Column[int]:
    return Column("n", BigInteger, nullable=False)


flow = Table(
    "flow",
    metadata,
    _month(),
    *_key("specialty", "type", "attendance", "outcome", "edition", "band"),
    _n(),
    comment="(a) Contacts by specialty, type, attendance, outcome and decile, or why there is none.",
    sqlite_with_rowid=False,
)
one_way = Table(
    "one_way",
    metadata,
    _month(),
    *_key("specialty", "edition", "quintile", "dimension", "value"),
    _n(),
    comment="(b) Contacts by specialty, quintile and one of age band, sex or ethnic category: no outcome, no type.",
    sqlite_with_rowid=False,
)
organisation_total = Table(
    "organisation_total",
    metadata,
    _month(),
    *_key("dimension", "value"),
    _n(),
    comment="(c) Contacts of the organisation by inclusion group, access need or district, without specialty.",
    sqlite_with_rowid=False,
)
age_sex = Table(
    "age_sex",
    metadata,
    _month(),
    *_key("type", "edition", "quintile", "age_band", "sex"),
    _n(),
    comment="(d) Contacts of the organisation by type, quintile, five-year age and sex, for standardised rates.",
    sqlite_with_rowid=False,
)
completeness = Table(
    "completeness",
    metadata,
    _month(),
    *_key("client", "status"),
    _n(),
    comment="(f) Contacts by client and postcode status.",
    sqlite_with_rowid=False,
)
KINDS: Final = (flow, one_way, organisation_total, age_sex, completeness)
"""The five kinds that contacts add to. The sixth, the waiting list, is a stock and is replaced whole."""

waiting_list_snapshot = Table(
    "waiting_list_snapshot",
    metadata,
    _month(),
    Column("snapshot", String(64), nullable=False),
    Column("edition", String(40), nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("patients", BigInteger, nullable=False),
    Column("received_on", String(10), nullable=False),
    comment="(e) The waiting list at a month's end; it counts only when it was declared complete.",
)
waiting_list = Table(
    "waiting_list",
    metadata,
    _month(),
    *_key("specialty", "wait_band", "edition", "band"),
    _n(),
    comment="(e) People waiting at a month's end by specialty, wait and decile. Never summed over time.",
    sqlite_with_rowid=False,
)

# ------------------------------------------------------------------------------ what keeps them right

financial_year = Table(
    "financial_year",
    metadata,
    Column("year", SmallInteger, primary_key=True, autoincrement=False),  # it begins on 1 April of this year
    Column("edition", String(40), nullable=False),
    comment="The one edition that each financial year is counted on.",
)
month = Table(
    "month",
    metadata,
    _month(),
    Column("year", SmallInteger, nullable=False),
    Column("edition", String(40), nullable=False),
    Column("state", String(6), nullable=False),  # open, closed (no more writes), sealed (published)
    Column("closed_at", String(25)),
    comment="Where each month is on its way from open to sealed.",
    sqlite_with_rowid=False,
)
reporting_unit = Table(
    "reporting_unit",
    metadata,
    Column("year", SmallInteger, primary_key=True, autoincrement=False),
    Column("specialty", String(40), primary_key=True),
    Column("basis", String(20), nullable=False),  # counted, declared
    comment="Specialties with a row of their own in a year, fixed before its first month is published.",
)
batch = Table(
    "batch",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("day", Integer, nullable=False, index=True),  # days since 1970
    comment="Batches committed of late, so that one whose commit was in doubt is not added twice.",
    sqlite_with_rowid=False,
)
event_key = Table(
    "event_key",
    metadata,
    Column("hash", String(32), primary_key=True),
    Column("batch", String(32), nullable=False, index=True),
    Column("day", Integer, nullable=False, index=True),
    comment="Keyed hashes of idempotency keys, kept for a week.",
    sqlite_with_rowid=False,
)
late = Table(
    "late",
    metadata,
    _month(),
    *_key("specialty"),
    _n(),
    comment="Contacts that reached the store after their month was closed: in no published table.",
)
host = Table(
    "host",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("seen_at", BigInteger, nullable=False),  # seconds since 1970
    Column("spooled", BigInteger, nullable=False),  # batches that wait on the host's own disk
    Column("oldest", BigInteger),  # when the oldest of them was put there
    Column("stopped", Boolean, nullable=False),
    comment="Hosts that write here, and whether each has anything left to deliver.",
)
file_load = Table(
    "file_load",
    metadata,
    *_key("source"),
    _month(),
    Column("contacts", BigInteger, nullable=False),
    Column("first_at", String(25), nullable=False),
    Column("loaded_at", String(25), nullable=False),
    Column("times", Integer, nullable=False),
    comment="Files of contacts by source and month; a later one takes the place of the one before.",
    sqlite_with_rowid=False,
)
file_load_cell = Table(
    "file_load_cell",
    metadata,
    *_key("source"),
    _month(),
    Column("kind", String(20), primary_key=True),  # the table that the cell is in
    Column("cell", String(300), primary_key=True),  # the rest of its key, as a JSON array of text
    _n(),
    comment="What each file added to which cells, until its month is closed: to be taken back exactly.",
    sqlite_with_rowid=False,
)
population = Table(
    "population",
    metadata,
    *_key("edition", "quintile", "age_band"),
    Column("persons", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    comment="Residents of the catchment by quintile and age, the denominators of standardised rates.",
)
store_fact = Table(
    "store_fact",
    metadata,
    *_key("name"),
    Column("value", Text, nullable=False),
    comment="What is true of the store as a whole: that it is synthetic.",
)
publication = Table(
    "publication",
    metadata,
    *_key("name", "period"),
    _month(key=False),  # the month whose sealing published it
    Column("sealed_at", String(25), nullable=False),
    Column("rule", String(80), nullable=False),
    Column("edition", String(40), nullable=False),
    Column("release", String(120), nullable=False),
    Column("organisation", String(40), nullable=False),
    Column("sentence", Text, nullable=False),
    Column("synthetic", Boolean, nullable=False),
    comment="Every table published, and what was said of it. Nothing here ever changes.",
)
published_row = Table(
    "published_row",
    metadata,
    *_key("name", "period"),
    Column("position", Integer, primary_key=True, autoincrement=False),
    *(
        Column(name, String(40), nullable=False)
        for name in (
            "specialty",
            "rtt_group",
            "contact_type",
            "outcome",
            "imd_decile",
            "imd_quintile",
            "core20",
            "dimension",
            "category",
            "client",
        )
    ),
    Column("n", BigInteger),
    Column("value", BigInteger),
    Column("lower_ci", BigInteger),
    Column("upper_ci", BigInteger),
    Column("suppressed", String(1), nullable=False),
    Index("ix_published_row_specialty", "name", "specialty"),
    comment="Published rows, after disclosure control. Nothing here ever changes.",
)
exact_read = Table(
    "exact_read",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", String(25), nullable=False),
    Column("who", String(80), nullable=False),
    _month(key=False),
    Column("by", String(40), nullable=False),
    comment="Who read exact counts, and when. No patient.",
)
card_feedback = Table(
    "card_feedback",
    metadata,
    _month(),
    Column("service", String(40), primary_key=True),
    Column("outcome", String(10), primary_key=True),  # accepted, overridden
    _n(),
    comment="CDS Hooks cards accepted and overridden, by month. No patient, no user, no words.",
    sqlite_with_rowid=False,
)
