"""What the share of the most deprived fifth of areas is to be compared with: shares of residents, matched for age.

Pure. Never 20%: that is England's, and no catchment's.
"""

from collections.abc import Mapping


def resident_share(core20: float, persons: float) -> float:
    """The residents of Core20 areas among all residents, as a proportion.

    ValueError unless 0 <= core20 <= persons and persons > 0.
    """
    if not 0 <= core20 <= persons or persons <= 0:
        raise ValueError("a share of residents needs 0 <= core20 <= persons, and residents")
    return core20 / persons


def age_matched_share(ages: Mapping[str, float], residents: Mapping[str, tuple[float, float]]) -> float:
    """The Core20 share, as a proportion, that residents would have at the ages of those who came.

    Sum over age bands of (the band's part of `ages`) x (its Core20 residents over its residents): direct
    standardisation to the unit's own ages. `ages` are counts by band, `residents` Core20 residents and all residents
    by band. ValueError where nobody came, for a count below 0, and for a band with people but no residents.
    """
    everybody = sum(ages.values())
    if everybody <= 0 or any(n < 0 for n in ages.values()):
        raise ValueError("ages need people, and no count below 0")
    return sum(n / everybody * resident_share(*residents.get(band, (0, 0))) for band, n in ages.items() if n)
