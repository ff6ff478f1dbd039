"""Who may ask: API keys, spent tokens of CDS Hooks, and what became of cards."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = ("card_feedback", "spent_token", "key_version", "api_key")


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(8), primary_key=True, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("scopes", sa.String(200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(80), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_by", sa.String(80), nullable=True),
        comment="Keys of clients, each as a keyed hash: the key itself was shown once and is nowhere.",
    )
    op.create_index("ix_api_key_hash", "api_key", ["hash"], unique=True)
    op.create_table(
        "key_version",
        sa.Column("one", sa.SmallInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        comment="A number that grows with each change of the keys; workers look at it several times a second.",
    )
    op.execute("INSERT INTO key_version (one, version) VALUES (1, 0)")
    op.create_table(
        "spent_token",
        sa.Column("hash", sa.String(64), primary_key=True, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        comment="Hashes of CDS Hooks tokens that were used, until they expire: each is good for one call.",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_spent_token_expires_at", "spent_token", ["expires_at"])
    op.create_table(
        "card_feedback",
        sa.Column("month", sa.String(7), primary_key=True, nullable=False),
        sa.Column("service", sa.String(40), primary_key=True, nullable=False),
        sa.Column("outcome", sa.String(10), primary_key=True, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        comment="CDS Hooks cards accepted and overridden, by month. No patient, no user, no words.",
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)
