"""Everything that is looked at, in order."""

from collections.abc import Iterator

from pydantic import ValidationError

from app.doctor import configuration, data, machine, store
from app.doctor.finding import Finding, looked, wrong
from app.settings import Settings, UnknownSettingError, read_settings


def examine() -> Iterator[Finding]:
    """All findings about the deployment that the environment describes, each as soon as it is known."""
    try:
        settings = read_settings()
    except UnknownSettingError as error:
        yield wrong("settings", str(error), "correct its name, or unset it; then run the doctor again")
    except ValidationError as error:
        yield configuration.unreadable(error)
    else:
        yield from examine_with(settings)


def examine_with(settings: Settings) -> Iterator[Finding]:
    """All findings about a deployment with these settings."""
    for name, check in (
        ("settings", configuration.contradictions),
        ("secret", configuration.secret),
        ("tls", configuration.tls),
        ("rules", configuration.files),
        ("index", data.index),
        ("clock", machine.clock),
        ("disk", machine.space),
        ("permissions", machine.permissions),
        ("audit", machine.audit),
        ("spool", store.spool),
        ("database", store.store),
    ):
        yield from looked(name, lambda check=check: check(settings))  # type: ignore[misc]
