"""What is said can be read by an eleven-year-old, and blames nobody."""

import re
from collections.abc import Iterator
from statistics import median

import pytest

from app.context.prompts import AUDIENCES
from app.context.rulebook import Rulebook

BOOK = Rulebook.load()


def sentences() -> Iterator[tuple[str, str]]:
    """Every sentence of the rules, with where it is from."""
    for name, text in (BOOK.summaries.decile | BOOK.summaries.no_decile | BOOK.summaries.core20_reason).items():
        yield name, text.format(n=7, where="England")
    for caution, text in BOOK.cautions.sentences.items():
        yield caution, text
    for facts in (*BOOK.area.domains.values(), *BOOK.area.measures.values(), BOOK.area.rural):
        for fact in facts[::4]:
            yield fact.id, fact.sentence
    for audience in AUDIENCES:
        for prompt in BOOK.prompts.ask_as(audience, None):
            yield prompt.id, prompt.text
    for group in BOOK.inclusion.groups.values():
        yield group.id, group.sentence
    for need in BOOK.inclusion.needs.values():
        yield need.id, need.sentence
    for offer in BOOK.offers.each:
        yield offer.id, offer.sentence
    for key in ("summary", "everybody", "needed"):
        yield key, getattr(BOOK.offers, key)
    for key in ("second", "never"):
        yield key, getattr(BOOK.area, key)


def grade(text: str) -> float:
    """Flesch and Kincaid's school grade, syllables counted as groups of vowels: add five for the age in years."""
    words = re.findall(r"[A-Za-z']+", text)
    ends = max(1, len(re.findall(r"[.?!:](\s|$)", text)))
    syllables = sum(max(1, len(re.findall(r"[aeiouy]+", re.sub(r"e$", "", word.lower())))) for word in words)
    return 0.39 * len(words) / ends + 11.8 * syllables / len(words) - 15.59


def test_the_usual_sentence_is_for_readers_of_eleven_and_none_is_for_scholars() -> None:
    grades = {f"{name}: {text}": grade(text) for name, text in sentences()}
    assert median(grades.values()) <= 6
    assert not {text for text, g in grades.items() if g > 12}


@pytest.mark.parametrize(
    "word",
    [
        "deprived person",
        "deprived patient",
        "is deprived",
        "suffer",
        "victim",
        "refuse",
        "fail",
        "non-compliant",
        "hard to reach",
    ],
)
def test_no_sentence_labels_or_blames(word: str) -> None:
    assert not [text for _, text in sentences() if word in text.lower()]


def test_no_sentence_holds_a_term_of_art_without_its_meaning_beside_it() -> None:
    terms = re.compile(r"\b(LSOA|ICB|IMD|quintile|decile|DNA|PLUS5)\b")
    assert not [text for _, text in sentences() if terms.search(text)]
