"""Runs migrations on the connection that `app.database` hands over."""

from alembic import context

import app.access.schema
import app.counts.schema  # noqa: F401
from app.database import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by writing it anew
    compare_type=True,
)
context.run_migrations()
