"""The tables of access: keys, their version, and spent tokens."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, SmallInteger, String, Table

from app.database import metadata

_MOMENT: Final = BigInteger  # seconds since 1970, so that both databases compare them alike

api_key = Table(
    "api_key",
    metadata,
    Column("id", String(8), primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("name", String(40), nullable=False),
    Column("scopes", String(200), nullable=False),  # separated by spaces
    Column("created_at", _MOMENT, nullable=False),
    Column("created_by", String(80), nullable=False),
    Column("expires_at", _MOMENT, nullable=False),
    Column("used_at", _MOMENT),
    Column("revoked_at", _MOMENT),
    Column("revoked_by", String(80)),
    Index(None, "hash", unique=True),
    comment="Keys of clients, each as a keyed hash: the key itself was shown once and is nowhere.",
)
key_version = Table(
    "key_version",
    metadata,
    Column("one", SmallInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    comment="A number that grows with each change of the keys; workers look at it several times a second.",
)
spent_token = Table(
    "spent_token",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("expires_at", _MOMENT, nullable=False, index=True),
    comment="Hashes of CDS Hooks tokens that were used, until they expire: each is good for one call.",
    sqlite_with_rowid=False,
)
