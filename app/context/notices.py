"""What a caller should know about what it sent."""

from typing import NamedTuple


class Notice(NamedTuple):
    """Something the caller should know: which field, and what about it. Never a value."""

    field: str
    code: str
