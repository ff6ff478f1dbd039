"""A published year of three units, written down by hand: one with a gap, one that is hidden, and the rest."""

from dataclasses import replace
from datetime import date

from app.context.organisation import Lead, Organisation
from app.context.practice import Initiative, Practice
from app.context.rulebook import Rulebook
from app.context.targets import Target, Targets
from app.counts.parts import Published
from app.counts.tables import Figure
from app.findings.options import Options
from app.report.evidence import Evidence, gather
from tests.unit.findings.plain import Plain, months

OPTIONS = Options()
QUARTERS = ("2025-26-Q1", "2025-26-Q2", "2025-26-Q3", "2025-26-Q4")
YEAR = "2025-26"


def tables(*, synthetic: bool = False, core20: int = 180) -> Published:
    """Every table that a board paper reads, of the financial year 2025/26."""
    plain = Plain()
    for quarter in QUARTERS:
        plain.missed(quarter, "340", (core20, 1200), (160, 2000))
        plain.missed(quarter, "110", ("*", 400), ("w", 900))
        plain.missed(quarter, "all_other", (90, 700), (100, 1100))
    for unit in ("340", "110", "all_other"):
        plain.by_fifths(YEAR, unit, [(260, 2000), (240, 2100), (200, 2200), (180, 2300), (160, 2400)], [60] * 5)
    fifths = {
        str(q): {
            "attended": 900,
            "did_not_attend": 140 - 15 * q,
            "cancelled_by_provider": 30,
            "cancelled_by_patient": 25,
        }
        for q in range(1, 6)
    }
    fifths["no_decile"] = {"attended": 40, "did_not_attend": 10, "cancelled_by_provider": 0, "cancelled_by_patient": 0}
    for month in months("2025-04", 12):
        plain.outcomes(month, fifths)
        for unit in ("340", "110", "all_other"):
            plain.contacts(month, unit, 400, 700, "*" if unit == "110" else 45)
            plain.waiting(month, unit, core20=(300, 150, 20), rest=(500, 170, 15), unknown=(20, 10, 0))
    under18 = Figure(
        "organisation_under18_emergency", YEAR, contact_type="emergency", dimension="age_band", category="0-17"
    )
    for band, number in zip((*"12345", "no_decile"), (310, 220, "*", "w", 90, 15), strict=True):
        plain.put(under18._replace(imd_quintile=band), number)
    found = plain.published()
    if synthetic:
        found = Published(plain, [page._replace(synthetic=True) for page in found.publications])
    return found


def book(
    targets: tuple[Target, ...] = (), initiatives: tuple[Initiative, ...] = (), lead: str | None = None
) -> Rulebook:
    """The shipped rules with an organisation's own targets, initiatives and lead."""
    shipped = Rulebook.load()
    leads = tuple(
        Lead(one.id, one.title, lead, None, None, f"{lead}.") if lead else one for one in shipped.organisation.leads
    )
    organisation = Organisation(leads, shipped.organisation.resources)
    return replace(shipped, targets=Targets(targets), practice=Practice(initiatives), organisation=organisation)


def evidence(
    period: str = "2025-Q4", unit: str = "", *, synthetic: bool = False, rules: Rulebook | None = None
) -> Evidence:
    """The findings of a period of that year."""
    return gather(tables(synthetic=synthetic), rules or book(), OPTIONS, period, unit)


def target(
    measure: str = "missed", unit: str = "340", baseline: int = 9, of: str = "2025-26-Q1", aim: int = 3
) -> Target:
    """A target, by default one for missed appointments in respiratory medicine."""
    return Target(measure, unit, baseline, of, aim, date(2027, 3, 31), "Clinical lead")


def initiative(title: str = "Evening clinics", who: str = "Matron") -> Initiative:
    """An initiative in respiratory medicine."""
    return Initiative("340", title, "Clinics after work.", who, "More came.", date(2026, 1, 5), "RX1")
