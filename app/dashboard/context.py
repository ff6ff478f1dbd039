"""What a deployment brings to its findings: its options, its catchment, its targets and its bank of good practice."""

from dataclasses import dataclass

from app.context.catchment import Catchments
from app.context.practice import Practice
from app.findings.options import Options


@dataclass(frozen=True, slots=True)
class Context:
    """Read once at the start."""

    options: Options
    catchments: Catchments
    practice: Practice
