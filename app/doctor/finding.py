"""What a check found: how it is, one sentence, and what to do about it."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from app.database import DatabaseError
from app.health import Status


class Finding(NamedTuple):
    """One thing that was looked at. `do` is a command or a step wherever it is not well."""

    name: str
    status: Status
    said: str
    do: str = ""


def well(name: str, said: str) -> Finding:
    """All is as it should be."""
    return Finding(name, "pass", said)


def doubtful(name: str, said: str, do: str) -> Finding:
    """The service works, and somebody should look."""
    return Finding(name, "warn", said, do)


def wrong(name: str, said: str, do: str) -> Finding:
    """The service does not start, or will fail, or gives something away."""
    return Finding(name, "fail", said, do)


def looked(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What a check finds; one that cannot even look is a finding too, told by its type and never by its message."""
    try:
        yield from check()
    except DatabaseError as error:
        yield wrong(name, str(error), "docs/settings.md, IMDLENS_DATABASE_URL")
    except OSError as error:
        said = f"{error.filename or 'A file'}: {error.strerror}."
        yield wrong(name, said, "run the doctor as the service's user, and mend the owner or the path")
    except SQLAlchemyError as error:
        # The driver's message may hold the address.
        yield wrong(name, f"The database did not answer this ({type(error).__name__}).", "docs/runbook.md, 3")
