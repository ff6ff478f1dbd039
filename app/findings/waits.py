"""People waiting at the end of a month: a stock, never added over months and never a special cause."""

from app.counts.parts import Published
from app.counts.tables import CORE20_PARTS, Figure
from app.findings import drawn
from app.findings.findings import Share, Waits
from app.findings.gaps import gap
from app.findings.options import Options

_WITHIN, _OVER = "within_18_weeks", "over_18_weeks"


def waits(published: Published, unit_code: str, month: str, options: Options) -> Waits | None:
    """The list of one unit, or of all of them together; None where no list of that month is published."""
    if not published.of("waiting_list", month):
        return None
    units = [unit_code] if unit_code else published.units("waiting_list", month)
    sums = []
    for part in CORE20_PARTS:
        base = [Figure("waiting_list", month, u, core20=part, dimension="wait") for u in units]
        within = tuple(b._replace(category=_WITHIN) for b in base)
        over = tuple(b._replace(category=_OVER) for b in base)
        sums.append(drawn.count(published, drawn.Drawn(within, within + over)))
    within_18: tuple[Share, Share] = (drawn.share_of(sums[0], options), drawn.share_of(sums[1], options))
    return Waits(
        month,
        gap(published, "over_18_weeks", unit_code, month, options),
        gap(published, "over_52_weeks", unit_code, month, options),
        within_18,
        (sums[0].total.n, sums[1].total.n, sums[2].total.n),
    )
