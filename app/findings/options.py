"""What a deployment decided about its findings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """`design_effect` is None where it is not configured: then nothing is ranked but first contacts."""

    least_denominator: int = 100
    design_effect: float | None = None
    unknown_limit: int = 5  # percent of contacts without a decile over which the dashboard warns
    suppress_up_to: int = 7  # what `*` stands for, in words
