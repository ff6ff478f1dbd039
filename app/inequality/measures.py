"""Statistics, each one function named by the field, with its reference."""

from math import sqrt
from statistics import NormalDist


def wilson(events: float, total: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score limits of a proportion, as proportions.

    Wilson 1927, as OHID's technical guidance gives it. ValueError unless 0 <= events <= total and total > 0.
    """
    if not 0 <= events <= total or total <= 0:
        raise ValueError("a proportion needs 0 <= events <= total, and a total")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = events / total
    middle = 2 * events + z * z
    spread = z * sqrt(z * z + 4 * events * (1 - share))
    return (middle - spread) / (2 * (total + z * z)), (middle + spread) / (2 * (total + z * z))


# European Standard Population 2013, its 5-year bands; 15-19 is split at 18 as two and three fifths, because the
# store counts people under 18. Eurostat 2013, as OHID uses it.
ESP2013 = {
    "0-4": 5000,
    "5-9": 5500,
    "10-14": 5500,
    "15-17": 3300,
    "18-19": 2200,
    "20-24": 6000,
    "25-29": 6000,
    "30-34": 6500,
    "35-39": 7000,
    "40-44": 7000,
    "45-49": 7000,
    "50-54": 7000,
    "55-59": 6500,
    "60-64": 6000,
    "65-69": 5500,
    "70-74": 5000,
    "75-79": 4000,
    "80-84": 2500,
    "85-89": 1500,
    "90+": 1000,
}


def directly_standardised_rate(events: dict[str, int], population: dict[str, int]) -> float:
    """Events per person, standardised to ESP2013: sum(x w / n) / sum(w) over the age bands.

    ValueError where a band has no population, since a rate of nobody is none.
    """
    if any(population.get(band, 0) <= 0 for band in ESP2013):
        raise ValueError("every age band needs a population")
    weighted = sum(events.get(band, 0) * weight / population[band] for band, weight in ESP2013.items())
    return weighted / sum(ESP2013.values())
