"""Whether there is an index, whole and fresh."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from app.current import open_current
from app.doctor.finding import Finding, doubtful, well, wrong
from app.lookup.layout import IndexFileError
from app.reference.errors import ReferenceDataError
from app.reference.releases import provenance
from app.settings import Settings

_OLD_DAYS: Final = 120  # a directory comes out each quarter


def index(settings: Settings) -> Iterator[Finding]:
    """The current release: read as a whole against its checksum, as the service does."""
    build = "imdlens data fetch, or imdlens data build FOLDER"
    try:
        release = open_current(settings).release
        told = provenance(settings.data_dir)
        age = (datetime.now(UTC) - built_at(settings)).days
    except IndexFileError as error:
        yield wrong("index", str(error), f"imdlens data rollback; or build again: {build}")
        return
    except ReferenceDataError as error:
        yield wrong("index", str(error), build)
        return
    if release.starter:
        yield doubtful("index", f"{release.id} is starter data: almost every postcode is not found.", build)
    elif told.get("part"):
        yield doubtful("index", f"{release.id} is a part of the country: other postcodes are not found.", build)
    elif age > _OLD_DAYS:
        yield doubtful("index", f"{release.id} was built {age} days ago.", build)
    else:
        yield well("index", f"{release.id} is sound, {release.count:,} postcodes, built {age} days ago.")


def built_at(settings: Settings) -> datetime:
    """When the current release was built. ReferenceDataError where that cannot be read."""
    try:
        return datetime.fromisoformat(provenance(settings.data_dir)["built_at"]).astimezone(UTC)
    except (KeyError, ValueError):
        raise ReferenceDataError("The release does not say when it was built: build it again.") from None
