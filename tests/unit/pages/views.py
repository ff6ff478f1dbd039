"""Cards as they may come: every state that looks different, and the fullest that is realistic."""

from dataclasses import replace

from app.pages.card import Bar, CardView, Line

SECOND = "This is about the area. Ask what matters to this person."
GLOSS = "Deprivation brings together income, work, education, health, crime, housing and surroundings."
CUES = (
    "What matters most to you about your health at the moment?",
    "What makes it hard to get here, or to do what we agreed?",
    "Is there anything at home, with money or with work, that we should know to help you?",
)
SOURCE = "Data: ONSPD August 2026, English Indices of Deprivation 2025. Rules: 2026-11-22. Made 22 November 2026."
PRIVATE_EMPTY = "There is nothing private to show on this card."
PARTS = ("Income", "Work", "Education and skills", "Health", "Crime", "Housing and services", "Living environment")


def side(decile: int) -> str:
    """The part of a sentence that tells a decile."""
    return f"more deprived than about {10 - decile}" if decile <= 5 else f"less deprived than about {decile - 1}"


def bars(*deciles: int | None) -> tuple[Bar, ...]:
    """The seven parts of deprivation."""
    return tuple(
        Bar(part, d, f"{side(d).capitalize()} in 10 areas." if d else "Not known for this area.", f"what {part} is")
        for part, d in zip(PARTS, deciles, strict=True)
    )


def english(decile: int) -> CardView:
    """An area in England with nothing else to say of it."""
    inside = decile <= 2
    return CardView(
        notice="",
        never="Do not use this to set priority.",
        asked="Questions that help",
        asked_note="",
        offer_note="For the service.",
        more_signposts="",
        summary=f"This home postcode is in an area {side(decile)} in 10 areas in England.",
        second=SECOND,
        gloss=GLOSS,
        core20="In Core20: yes" if inside else "In Core20: no",
        core20_detail="By the English Indices of Deprivation 2025, published on 30 October 2025.",
        cautions=(),
        bars=bars(*(min(10, max(1, decile + step)) for step in (0, 1, 2, -1, 0, 3, -2))),
        area=("More homes here have no car than in most areas.",),
        cues=CUES,
        follow_ups=(),
        clinical_areas=(),
        signposts=(),
        leads=(),
        resources=(),
        private=(),
        private_empty=PRIVATE_EMPTY,
        source=SOURCE,
    )


def silent(summary: str, reason: str) -> CardView:
    """A card that can say nothing about the area."""
    return replace(
        english(5), summary=summary, core20="In Core20: not known", core20_detail=reason, bars=(), area=(), gloss=""
    )


NO_HOME = "There is no home postcode to look up, so we can say nothing about the area."
NO_REASON = "There is no postcode to look up."

FULL = replace(
    english(1),
    notice="Demonstration data: most postcodes are not in it.",
    asked_note="Ask the child too.",
    more_signposts="There is more in the directory.",
    summary="This is an old postcode, so please check it: its area is more deprived than about 9 in 10 in England.",
    cautions=(
        "This postcode is no longer in use. Please check the address.",
        "This postcode belongs to a large organisation, so it may not be a home.",
    ),
    bars=bars(1, 1, 2, 1, 4, None, 10),
    area=(
        "More homes here have no car than in most areas.",
        "About 4 in 10 people here live in rented homes.",
        "It takes longer than in most areas to reach a hospital by bus.",
    ),
    follow_ups=(
        "Would a phone call or a video call be easier than coming here?",
        "Would help with the cost of travel make a difference?",
    ),
    clinical_areas=(
        Line("Stop-smoking support", "Offer it to everyone who smokes, at every visit."),
        Line("Flu and pneumonia vaccines", "Ask whether these are up to date.", note="For long-term lung disease"),
        Line("High blood pressure", "Check it today and tell the GP practice."),
    ),
    signposts=(
        Line(
            "Healthcare Travel Costs Scheme",
            "Help with the cost of travel for people on a low income.",
            link="https://www.nhs.uk/nhs-services/help-with-health-costs/",
        ),
        Line(
            "Citizens Advice",
            "Free help with money, benefits and housing.",
            "https://www.citizensadvice.org.uk/",
            "0800 144 8848",
        ),
        Line("Social prescribing link worker", "Ask the patient's GP practice.", note="Weekdays, 9am to 5pm"),
        Line(
            "Food help near you",
            "Food banks and community meals.",
            "https://www.example.org/food",
            note="No referral needed",
        ),
        Line("NHS 111", "For help when it is not an emergency.", phone="111"),
        Line("Warm homes advice", "Help with heating bills and damp.", phone="0800 000 0000"),
    ),
    leads=(Line("Dr A. Example", "Health inequalities lead for respiratory medicine.", phone="0115 496 0000"),),
    resources=(
        Line("Core20PLUS5 for adults", "What NHS England asks for.", "https://www.england.nhs.uk/core20plus5/"),
    ),
    private=(
        Line("Interpreter", "The record says that an interpreter is needed.", note="Book one before the visit"),
        Line("Easy read", "The record says that letters should be easy to read."),
    ),
)

VIEWS: dict[str, CardView] = {
    "decile 1": english(1),
    "decile 3": english(3),
    "decile 6": english(6),
    "decile 10": english(10),
    "no fixed abode": replace(
        silent(NO_HOME, NO_REASON),
        private=(
            Line(
                "No fixed abode",
                "The record says 'no fixed abode': ask where they are staying now and how best to reach them.",
            ),
        ),
    ),
    "withheld": silent(NO_HOME, NO_REASON),
    "not found": silent(
        "We could not find this postcode, so we can say nothing about the area: please check it.",
        "We could not find the postcode.",
    ),
    "Wales": replace(
        english(3),
        summary="This home postcode is in an area more deprived than about 7 in 10 areas in Wales. "
        "Core20 is for England only.",
        core20="In Core20: not known",
        core20_detail="Core20 is for England only. The Welsh Index of Multiple Deprivation 2025 was used.",
        bars=(),
    ),
    "terminated": replace(
        english(3),
        summary="This is an old postcode, so please check it: its area is more deprived than about 7 in 10 in England.",
        cautions=("This postcode is no longer in use. Please check the address.",),
    ),
    "full": FULL,
    "nothing": replace(
        silent("We do not know the home postcode, so we can say nothing about the area: please ask for it.", ""),
        source="Data: ONSPD August 2026.",
    ),
}
