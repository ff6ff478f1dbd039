"""What a deployment brings to its findings."""

from dataclasses import dataclass

from app.context.rulebook import Rulebook
from app.findings.options import Options


@dataclass(frozen=True, slots=True)
class Context:
    """Read once, at the start. The rules hold the organisation's catchment, targets and good practice."""

    options: Options
    book: Rulebook
