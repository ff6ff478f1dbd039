"""The store of counts: six kinds of cells, what keeps them right, and what was published."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    "exact_read",
    "published_row",
    "publication",
    "store_fact",
    "population",
    "host",
    "late",
    "event_key",
    "batch",
    "reporting_unit",
    "month",
    "financial_year",
    "waiting_list",
    "waiting_list_snapshot",
    "completeness",
    "age_sex",
    "organisation_total",
    "one_way",
    "flow",
)


def upgrade() -> None:
    op.create_table(
        "flow",
        sa.Column("month", sa.String(7), primary_key=True, nullable=False),
        sa.Column("specialty", sa.String(40), primary_key=True, nullable=False),
        sa.Column("type", sa.String(40), primary_key=True, nullable=False),
        sa.Column("attendance", sa.String(40), primary_key=True, nullable=False),
        sa.Column("outcome", sa.String(40), primary_key=True, nullable=False),
        sa.Column("edition", sa.String(40), primary_key=True, nullable=False),
        sa.Column("band", sa.String(40), primary_key=True, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        comment="(a) Contacts by specialty, type, attendance, outcome and decile, or why there is none.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "one_way",
        sa.Column("month", sa.String(7), primary_key=True, nullable=False),
        sa.Column("specialty", sa.String(40), primary_key=True, nullable=False),
        sa.Column("edition", sa.String(40), primary_key=True, nullable=False),
        sa.Column("quintile", sa.String(40), primary_key=True, nullable=False),
        sa.Column("dimension", sa.String(40), primary_key=True, nullable=False),
        sa.Column("value", sa.String(40), primary_key=True, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        comment="(b) Contacts by specialty, quintile and one of age band, sex or ethnic category: no outcome, no type.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "organisation_total",
        sa.Column("month", sa.String(7), primary_key=True, nullable=False),
        sa.Column("dimension", sa.String(40), primary_key=True, nullable=False),
        sa.Column("value", sa.String(40), primary_key=True, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        comment="(c) Contacts of the organisation by inclusion group, access need or district, without specialty.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "age_sex",
        sa.Column("month", sa.String(7), primary_key=True, nullable=False),
        sa.Column("type", sa.String(40), primary_key=True, nullable=False),
        sa.Column("edition", sa.String(40), primary_key=True, nullable=False),
        sa.Column("quintile", sa.String(40), primary_key=True, nullable=False),
        sa.Column("age_band", sa.String(40), primary_key=True, nullable=False),
        sa.Column("sex", sa.String(40), primary_key=True, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        comment="(d) Contacts of the organisation by type, quintile, five-year age and sex, for standardised rates.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "completeness",
        sa.Column("month", sa.String(7), primary_key=True, nullable=False),
        sa.Column("client", sa.String(40), primary_key=True, nullable=False),
        sa.Column("status", sa.String(40), primary_key=True, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        comment="(f) Contacts by client and postcode status.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "waiting_list_snapshot",
        sa.Column("month", sa.String(7), primary_key=True, nullable=False),
        sa.Column("snapshot", sa.String(64), nullable=False),
        sa.Column("edition", sa.String(40), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("patients", sa.BigInteger(), nullable=False),
        sa.Column("received_on", sa.String(10), nullable=False),
        comment="(e) The waiting list at a month's end; it counts only when it was declared complete.",
    )
    op.create_table(
        "waiting_list",
        sa.Column("month", sa.String(7), primary_key=True, nullable=False),
        sa.Column("specialty", sa.String(40), primary_key=True, nullable=False),
        sa.Column("wait_band", sa.String(40), primary_key=True, nullable=False),
        sa.Column("edition", sa.String(40), primary_key=True, nullable=False),
        sa.Column("band", sa.String(40), primary_key=True, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        comment="(e) People waiting at a month's end by specialty, wait and decile. Never summed over time.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "financial_year",
        sa.Column("year", sa.SmallInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("edition", sa.String(40), nullable=False),
        comment="The one edition that each financial year is counted on.",
    )
    op.create_table(
        "month",
        sa.Column("month", sa.String(7), primary_key=True, nullable=False),
        sa.Column("year", sa.SmallInteger(), nullable=False),
        sa.Column("edition", sa.String(40), nullable=False),
        sa.Column("state", sa.String(6), nullable=False),
        sa.Column("closed_at", sa.String(25), nullable=True),
        comment="Where each month is on its way from open to sealed.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reporting_unit",
        sa.Column("year", sa.SmallInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("specialty", sa.String(40), primary_key=True, nullable=False),
        sa.Column("basis", sa.String(20), nullable=False),
        comment="Specialties with a row of their own in a year, fixed before its first month is published.",
    )
    op.create_table(
        "batch",
        sa.Column("id", sa.String(32), primary_key=True, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        comment="Batches committed of late, so that one whose commit was in doubt is not added twice.",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_batch_day", "batch", ["day"])
    op.create_table(
        "event_key",
        sa.Column("hash", sa.String(32), primary_key=True, nullable=False),
        sa.Column("batch", sa.String(32), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        comment="Keyed hashes of idempotency keys, kept for a week.",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_event_key_day", "event_key", ["day"])
    op.create_index("ix_event_key_batch", "event_key", ["batch"])
    op.create_table(
        "late",
        sa.Column("month", sa.String(7), primary_key=True, nullable=False),
        sa.Column("specialty", sa.String(40), primary_key=True, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        comment="Contacts that reached the store after their month was closed: in no published table.",
    )
    op.create_table(
        "host",
        sa.Column("id", sa.String(32), primary_key=True, nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("spooled", sa.BigInteger(), nullable=False),
        sa.Column("oldest", sa.BigInteger(), nullable=True),
        sa.Column("stopped", sa.Boolean(), nullable=False),
        comment="Hosts that write here, and whether each has anything left to deliver.",
    )
    op.create_table(
        "population",
        sa.Column("edition", sa.String(40), primary_key=True, nullable=False),
        sa.Column("quintile", sa.String(40), primary_key=True, nullable=False),
        sa.Column("age_band", sa.String(40), primary_key=True, nullable=False),
        sa.Column("persons", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        comment="Residents of the catchment by quintile and age, the denominators of standardised rates.",
    )
    op.create_table(
        "store_fact",
        sa.Column("name", sa.String(40), primary_key=True, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        comment="What is true of the store as a whole: that it is synthetic.",
    )
    op.create_table(
        "publication",
        sa.Column("name", sa.String(40), primary_key=True, nullable=False),
        sa.Column("period", sa.String(40), primary_key=True, nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("sealed_at", sa.String(25), nullable=False),
        sa.Column("rule", sa.String(80), nullable=False),
        sa.Column("edition", sa.String(40), nullable=False),
        sa.Column("release", sa.String(120), nullable=False),
        sa.Column("organisation", sa.String(40), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        comment="Every table published, and what was said of it. Nothing here ever changes.",
    )
    op.create_table(
        "published_row",
        sa.Column("name", sa.String(40), primary_key=True, nullable=False),
        sa.Column("period", sa.String(40), primary_key=True, nullable=False),
        sa.Column("position", sa.Integer(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("specialty", sa.String(40), nullable=False),
        sa.Column("rtt_group", sa.String(40), nullable=False),
        sa.Column("contact_type", sa.String(40), nullable=False),
        sa.Column("outcome", sa.String(40), nullable=False),
        sa.Column("imd_decile", sa.String(40), nullable=False),
        sa.Column("imd_quintile", sa.String(40), nullable=False),
        sa.Column("core20", sa.String(40), nullable=False),
        sa.Column("dimension", sa.String(40), nullable=False),
        sa.Column("category", sa.String(40), nullable=False),
        sa.Column("client", sa.String(40), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=True),
        sa.Column("value", sa.BigInteger(), nullable=True),
        sa.Column("lower_ci", sa.BigInteger(), nullable=True),
        sa.Column("upper_ci", sa.BigInteger(), nullable=True),
        sa.Column("suppressed", sa.String(1), nullable=False),
        comment="Published rows, after disclosure control. Nothing here ever changes.",
    )
    op.create_index("ix_published_row_specialty", "published_row", ["name", "specialty"])
    op.create_table(
        "exact_read",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, nullable=False),
        sa.Column("at", sa.String(25), nullable=False),
        sa.Column("who", sa.String(80), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("by", sa.String(40), nullable=False),
        comment="Who read exact counts, and when. No patient.",
    )
    _guard()


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in _TABLES:
            op.drop_table(table)
        for function in _FUNCTIONS:
            op.execute(f"DROP FUNCTION {function}() CASCADE")
        return
    for table in _TABLES:
        op.drop_table(table)


# What must hold whoever writes, this service or a hand at the database's own prompt:
#   cells change only while their month is open, and on the edition of their year;
#   a month begins open, on its year's edition and after those that are closed, goes to closed and to sealed, and
#   never back;
#   what was published never changes, and nothing is added to a sealed month;
#   the specialties with rows of their own do not change once a month of their year is published.

_CELLS = ("flow", "one_way", "organisation_total", "age_sex", "completeness", "waiting_list", "waiting_list_snapshot")
_ON_AN_EDITION = ("flow", "one_way", "age_sex", "waiting_list", "waiting_list_snapshot")
_PUBLISHED = ("publication", "published_row")
_STAYS = {
    "financial_year": ("year",),
    "month": ("month",),
    "publication": ("name", "period"),
    "published_row": ("name", "period", "position"),
    "exact_read": ("id",),
}
_FUNCTIONS = (
    "month_is_open",
    "month_is_open_on_edition",
    "never_changes",
    "month_begins_open",
    "month_goes_forward",
    "month_is_closed",
    "year_is_unpublished",
)


def _guard() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def _guard_sqlite() -> None:
    for table in _CELLS:
        # One search for each row: these run for every cell that is counted.
        for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            edition = f" AND edition = {row}.edition" if table in _ON_AN_EDITION and row == "NEW" else ""
            wrong = f"NOT EXISTS (SELECT 1 FROM month WHERE month = {row}.month AND state = 'open'{edition})"  # noqa: S608
            moved = "NEW.month IS NOT OLD.month OR " if event == "UPDATE" else ""
            _sqlite_trigger(table, event, moved + wrong, "this month is not open")
    _sqlite_trigger("month", "DELETE", "OLD.state <> 'open'", "a closed month stays")
    forward = "(OLD.state || '>' || NEW.state) NOT IN ('open>open', 'open>closed', 'closed>closed', 'closed>sealed')"
    _sqlite_trigger(
        "month",
        "UPDATE",
        f"{forward} OR NEW.month <> OLD.month OR NEW.year <> OLD.year OR NEW.edition <> OLD.edition",
        "a month only goes forward",
    )
    op.execute(
        "CREATE TRIGGER month_close BEFORE UPDATE ON month WHEN OLD.state = 'open' AND NEW.state = 'closed'"
        " AND EXISTS (SELECT 1 FROM month WHERE month < NEW.month AND state = 'open')"
        " BEGIN SELECT RAISE(ABORT, 'an earlier month is open'); END"
    )
    _sqlite_trigger(
        "month",
        "INSERT",
        "NEW.state <> 'open' OR (SELECT edition FROM financial_year WHERE year = NEW.year) IS NOT NEW.edition"
        " OR NEW.year <> substr(NEW.month, 1, 4) - (substr(NEW.month, 6) < '04')"
        " OR EXISTS (SELECT 1 FROM month WHERE month > NEW.month AND state <> 'open')",
        "a month begins open, on the edition of its year, and after those that are closed",
    )
    for table in (*_PUBLISHED, "financial_year", "exact_read"):
        for event in ("UPDATE", "DELETE"):
            _sqlite_trigger(table, event, "1", "this never changes")
    # REPLACE removes what is in its way without a word to the triggers above. Months and years are inserted with
    # ON CONFLICT DO NOTHING, so there the row is left out, as that would.
    for table, key in _STAYS.items():
        same = " AND ".join(f"{name} = NEW.{name}" for name in key)
        refuse = "IGNORE" if table in ("financial_year", "month") else "ABORT, 'this never changes'"
        op.execute(
            f"CREATE TRIGGER {table}_replace BEFORE INSERT ON {table}"  # noqa: S608
            f" WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) BEGIN SELECT RAISE({refuse}); END"
        )
    closed = "(SELECT state FROM month WHERE month = NEW.month) IS NOT 'closed'"
    _sqlite_trigger("publication", "INSERT", closed, "a sealed month takes nothing more")
    row_closed = (
        "(SELECT m.state FROM publication p JOIN month m USING (month)"
        " WHERE p.name = NEW.name AND p.period = NEW.period) IS NOT 'closed'"
    )
    _sqlite_trigger("published_row", "INSERT", row_closed, "a sealed month takes nothing more")
    for event, years in (("INSERT", "NEW.year"), ("UPDATE", "OLD.year, NEW.year"), ("DELETE", "OLD.year")):
        published = f"EXISTS (SELECT 1 FROM month WHERE year IN ({years}) AND state = 'sealed')"  # noqa: S608
        _sqlite_trigger("reporting_unit", event, published, "this year is published already")


def _sqlite_trigger(table: str, event: str, when: str, message: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_{event.lower()} BEFORE {event} ON {table} WHEN {when}"
        f" BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )


def _guard_postgresql() -> None:
    # The share lock makes a writer wait for a sealing under way, and a sealing for the writers before it.
    for function, wrong in (
        ("month_is_open", "m.state IS DISTINCT FROM 'open'"),
        ("month_is_open_on_edition", "m.state IS DISTINCT FROM 'open' OR m.edition IS DISTINCT FROM c.edition"),
    ):
        op.execute(f"""
            CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM 1 FROM month m WHERE m.month IN (SELECT c.month FROM changed c) ORDER BY m.month FOR SHARE;
                IF EXISTS (SELECT 1 FROM changed c LEFT JOIN month m ON m.month = c.month WHERE {wrong}) THEN
                    RAISE EXCEPTION 'this month is not open' USING ERRCODE = 'integrity_constraint_violation';
                END IF;
                RETURN NULL;
            END $$""")  # noqa: S608 - both conditions stand above
    op.execute("""
        CREATE FUNCTION never_changes() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'this never changes' USING ERRCODE = 'integrity_constraint_violation'; END $$""")
    op.execute("""
        CREATE FUNCTION month_begins_open() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(727734); -- against a later month that is closed meanwhile
            IF NEW.state = 'open' AND NEW.edition = (SELECT edition FROM financial_year WHERE year = NEW.year)
                AND NEW.year = left(NEW.month, 4)::int - (right(NEW.month, 2) < '04')::int
                AND NOT EXISTS (SELECT 1 FROM month m WHERE m.month > NEW.month AND m.state <> 'open') THEN RETURN NEW;
            END IF;
            RAISE EXCEPTION 'a month begins open, on the edition of its year, and after those that are closed'
                USING ERRCODE = 'integrity_constraint_violation';
        END $$""")
    op.execute("""
        CREATE FUNCTION month_goes_forward() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                IF OLD.state = 'open' THEN RETURN OLD; END IF;
                RAISE EXCEPTION 'a closed month stays' USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            IF OLD.state = 'open' AND NEW.state = 'closed' THEN
                PERFORM pg_advisory_xact_lock(727734);
                IF EXISTS (SELECT 1 FROM month m WHERE m.month < NEW.month AND m.state = 'open') THEN
                    RAISE EXCEPTION 'an earlier month is open' USING ERRCODE = 'integrity_constraint_violation';
                END IF;
            END IF;
            IF (OLD.state || '>' || NEW.state) IN ('open>open', 'open>closed', 'closed>closed', 'closed>sealed')
                AND (NEW.month, NEW.year, NEW.edition) = (OLD.month, OLD.year, OLD.edition) THEN RETURN NEW;
            END IF;
            RAISE EXCEPTION 'a month only goes forward' USING ERRCODE = 'integrity_constraint_violation';
        END $$""")
    op.execute("""
        CREATE FUNCTION month_is_closed() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE found_state text;
        BEGIN
            IF TG_TABLE_NAME = 'publication' THEN
                SELECT m.state INTO found_state FROM month m WHERE m.month = NEW.month FOR SHARE;
            ELSE
                SELECT m.state INTO found_state FROM publication p JOIN month m ON m.month = p.month
                WHERE p.name = NEW.name AND p.period = NEW.period FOR SHARE OF m;
            END IF;
            IF found_state IS DISTINCT FROM 'closed' THEN
                RAISE EXCEPTION 'a sealed month takes nothing more' USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            RETURN NEW;
        END $$""")
    op.execute("""
        CREATE FUNCTION year_is_unpublished() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE changed smallint[] := CASE TG_OP
            WHEN 'INSERT' THEN ARRAY[NEW.year] WHEN 'DELETE' THEN ARRAY[OLD.year] ELSE ARRAY[OLD.year, NEW.year] END;
        BEGIN
            IF EXISTS (SELECT 1 FROM month WHERE year = ANY(changed) AND state = 'sealed') THEN
                RAISE EXCEPTION 'this year is published already' USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
        END $$""")
    for table in _CELLS:
        on_edition = "_on_edition" if table in _ON_AN_EDITION else ""
        for event, rows, suffix in (
            ("INSERT", "NEW", on_edition),
            ("UPDATE", "NEW", on_edition),
            ("DELETE", "OLD", ""),
        ):
            op.execute(
                f"CREATE TRIGGER {table}_{event.lower()} AFTER {event} ON {table}"
                f" REFERENCING {rows} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION month_is_open{suffix}()"
            )
        op.execute(
            f"CREATE TRIGGER {table}_stays BEFORE UPDATE ON {table} FOR EACH ROW"
            " WHEN (NEW.month IS DISTINCT FROM OLD.month) EXECUTE FUNCTION never_changes()"
        )
        _never(table, "TRUNCATE")
    op.execute("CREATE TRIGGER month_insert BEFORE INSERT ON month FOR EACH ROW EXECUTE FUNCTION month_begins_open()")
    op.execute(
        "CREATE TRIGGER month_changes BEFORE UPDATE OR DELETE ON month FOR EACH ROW"
        " EXECUTE FUNCTION month_goes_forward()"
    )
    for table in (*_PUBLISHED, "financial_year", "exact_read"):
        _never(table, "UPDATE OR DELETE OR TRUNCATE")
    for table in ("month", "reporting_unit"):
        _never(table, "TRUNCATE")
    for table in _PUBLISHED:
        op.execute(
            f"CREATE TRIGGER {table}_insert BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION month_is_closed()"
        )
    op.execute(
        "CREATE TRIGGER reporting_unit_changes BEFORE INSERT OR UPDATE OR DELETE ON reporting_unit FOR EACH ROW"
        " EXECUTE FUNCTION year_is_unpublished()"
    )


def _never(table: str, events: str) -> None:
    name = f"{table}_never_{events.split()[0].lower()}"
    op.execute(f"CREATE TRIGGER {name} BEFORE {events} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION never_changes()")
