"""How to read the dashboard, and what is said where there is nothing to show yet."""

from typing import Final

from app.dashboard.frame import Frame
from app.pages.dashboard import Screen, Section

NOT_FOR: Final = "Never use these pages for triage, to set a patient's priority, or to predict who will attend."
SLOPE: Final = (
    "SII: the difference in points between the most and the least deprived end of a line through all five fifths. RII:"
    " the ratio of the two ends; 1 is no inequality. Both take the change from fifth to fifth for even."
)
ABOUT_AREAS: Final = "Everything here is about areas and services, never about a person."


def nothing_sealed(frame: Frame) -> tuple[Section, ...]:
    """What a new deployment sees: how counting starts, and when the first figures come."""
    if frame.published.publications:
        return (
            Section(
                "empty",
                "The first quarter is not complete yet",
                (
                    (
                        "Months are sealed already, and their tables can be read. These pages begin with the first"
                        " financial quarter of which all three months are sealed."
                    ),
                ),
                items=(
                    "Seal each month when its contacts are in: imdlens counts seal",
                    "Financial quarters end in June, September, December and March.",
                ),
                look="empty",
            ),
        )
    return (
        Section(
            "empty",
            "Nothing is published yet",
            ("These pages show sealed months alone, and no month is sealed. To begin:",),
            items=(
                "Let a system send its contacts: an enrichment with contact is counted, one without is not.",
                "When a month is over and its contacts are in, seal it: imdlens counts seal",
                "The first quarter is shown when its three months are sealed.",
                "To see these pages alive before that, with invented data: imdlens demo",
            ),
            look="empty",
        ),
    )


def screen(frame: Frame) -> Screen:
    """The page of help."""
    most = frame.options.suppress_up_to
    return frame.screen(
        "help",
        "How to read these pages",
        (
            Section(
                "not-for",
                "What these pages are for, and never for",
                (
                    (
                        "They help those who run a service to see whether it reaches people from the"
                        " most deprived areas"
                        " as well as others, and whether that changes."
                    ),
                    (
                        f"{NOT_FOR} {ABOUT_AREAS} Many people in the most deprived areas are not deprived, and many"
                        " deprived people live elsewhere."
                    ),
                ),
            ),
            Section(
                "core20",
                "Core20, fifths and deciles",
                (
                    (
                        "Areas of England are ranked by the Index of Multiple Deprivation. Core20 is the most deprived"
                        " fifth of them: deciles 1 and 2. The rest is deciles 3 to 10."
                    ),
                    (
                        "Contacts without a decile, for example without a postcode or from outside"
                        " England, are shown by"
                        " themselves. They are never counted as not deprived, and they are in no share."
                    ),
                ),
            ),
            Section(
                "contacts",
                "Contacts, not people",
                (
                    (
                        "A person who comes four times counts four times. Limits are therefore too narrow where people"
                        " come often; specialties are ranked only where that has been allowed for."
                    ),
                    (
                        "Missed appointments are a share of those attended or missed. For children we say was not"
                        " brought: a child does not decide. They stand beside the appointments that the hospital itself"
                        " cancelled."
                    ),
                ),
            ),
            Section(
                "limits",
                "Limits: how certain a figure is",
                (
                    (
                        "A figure like 6 (3 to 9) means: 6 is the best estimate, and 3 to 9 are its 95% limits. If the"
                        " limits of a gap include 0, there may be no gap."
                    ),
                    (
                        "In rankings and funnels the limits are 99.8%: among many specialties, one in twenty would else"
                        " stand out by chance."
                    ),
                    (
                        "Shares are in whole percent, since the counts that they are worked out from"
                        " were rounded before"
                        " they were published."
                    ),
                ),
            ),
            Section(
                "gaps",
                "Two ways to say a gap, and the slope over all fifths",
                (
                    (
                        "The absolute gap is the difference in percentage points, the relative gap the ratio of the two"
                        " shares. Both are needed: 2 against 1 in 100 is twice as many, and 1 point."
                    ),
                    (
                        "The slope index of inequality (SII) is the difference between the most and the least deprived"
                        " end of a line through all five fifths. The relative index (RII) is their"
                        " ratio. Here a positive"
                        " SII means that the most deprived areas have more."
                    ),
                ),
            ),
            Section(
                "change",
                "Is it changing? XmR charts",
                (
                    (
                        "Each chart over time shows the mean and the process limits: where points are expected while"
                        " nothing changes. A single point that is higher or lower says little."
                    ),
                    (
                        "Unusual are a point outside the limits, seven points in a row on one side"
                        " of the mean, seven in a"
                        " row up or down, or two of three close to a limit. With fewer than 12"
                        " points, limits are trial."
                    ),
                    "Waiting lists are stocks: no point of them is flagged.",
                ),
            ),
            Section(
                "hidden",
                "What is hidden, and why",
                items=(
                    f"* stands for 1 to {most}: so few that somebody might be recognised.",
                    "w is withheld, so that a * cannot be worked out from its neighbours.",
                    "– is not published. 0 is 0.",
                    "All other counts are rounded to the nearest 5.",
                    f"No share is shown of fewer than {frame.options.least_denominator}.",
                ),
            ),
            Section(
                "sources",
                "Where it comes from",
                (
                    (
                        "Every figure is worked out from tables that were published when a month was"
                        " sealed, and that never"
                        " change. Each chart names its tables, and gives the same numbers as CSV and JSON."
                    ),
                ),
            ),
        ),
        title="Help",
    )
