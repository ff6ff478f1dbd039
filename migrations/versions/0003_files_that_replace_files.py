"""Files of contacts: what each added to which cells, so that a later file takes its place exactly."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = ("file_load_cell", "file_load")


def upgrade() -> None:
    op.create_table(
        "file_load",
        sa.Column("source", sa.String(40), primary_key=True, nullable=False),
        sa.Column("month", sa.String(7), primary_key=True, nullable=False),
        sa.Column("contacts", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.String(25), nullable=False),
        sa.Column("loaded_at", sa.String(25), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        comment="Files of contacts by source and month; a later one takes the place of the one before.",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "file_load_cell",
        sa.Column("source", sa.String(40), primary_key=True, nullable=False),
        sa.Column("month", sa.String(7), primary_key=True, nullable=False),
        sa.Column("kind", sa.String(20), primary_key=True, nullable=False),
        sa.Column("cell", sa.String(300), primary_key=True, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        comment="What each file added to which cells, until its month is closed: to be taken back exactly.",
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def downgrade() -> None:
    """What was loaded stays counted; only what a later file would need to replace it is gone."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION forget_loads() CASCADE")
    else:
        op.execute("DROP TRIGGER month_forgets_loads")
    for table in _TABLES:
        op.drop_table(table)


# What must hold whoever writes: no file is put on record for a month that is not open, and when a month is closed, what
# each file added is forgotten, since nothing of it can be replaced any more.


def _guard_sqlite() -> None:
    for table in _TABLES:
        for event in ("INSERT", "UPDATE"):
            unless_open = "NOT EXISTS (SELECT 1 FROM month WHERE month = NEW.month AND state = 'open')"
            op.execute(
                f"CREATE TRIGGER {table}_{event.lower()} BEFORE {event} ON {table} WHEN {unless_open}"
                " BEGIN SELECT RAISE(ABORT, 'this month is not open'); END"
            )
    op.execute(
        "CREATE TRIGGER month_forgets_loads AFTER UPDATE ON month WHEN NEW.state <> 'open'"
        " BEGIN DELETE FROM file_load_cell WHERE month = NEW.month; END"
    )


def _guard_postgresql() -> None:
    for table in _TABLES:
        for event in ("INSERT", "UPDATE"):
            op.execute(
                f"CREATE TRIGGER {table}_{event.lower()} AFTER {event} ON {table}"
                " REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION month_is_open()"
            )
    op.execute("""
        CREATE FUNCTION forget_loads() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            DELETE FROM file_load_cell WHERE month = NEW.month;
            RETURN NULL;
        END $$""")
    op.execute(
        "CREATE TRIGGER month_forgets_loads AFTER UPDATE ON month FOR EACH ROW"
        " WHEN (NEW.state <> 'open') EXECUTE FUNCTION forget_loads()"
    )
