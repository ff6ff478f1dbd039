"""What a deployment brings to its findings: its options, and its own catchment, targets and good practice."""

from dataclasses import dataclass

from app.context.catchment import Catchments
from app.context.practice import Practice
from app.context.targets import Targets
from app.findings.options import Options


@dataclass(frozen=True, slots=True)
class Context:
    """Read once, at the start."""

    options: Options
    catchments: Catchments
    practice: Practice
    targets: Targets
