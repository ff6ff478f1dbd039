"""Whatever a caller sends as a contact, it is read or refused, in words of ours alone."""

from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.counts.contact import read_contact
from app.counts.vocabulary import ABSENT, UNRECOGNISED, vocabulary

FIELDS = ("specialty", "type", "attendance", "mode", "outcome", "date", "age", "sex", "event_id")
NOTICE_FIELDS = {f"contact.{f}" for f in (*FIELDS, "ethnic_category.system", "ethnic_category.code")}
NOTICE_CODES = {
    "unrecognised",
    "not_a_code",
    "unknown_value",
    "not_a_date",
    "in_future",
    "too_old",
    "not_a_number",
    "out_of_range",
    "not_an_id",
    "system_missing",
}

_anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-1, 1000),
    st.floats(),
    st.text(st.characters(exclude_categories=()), max_size=12),  # surrogates too
    st.text(st.characters(categories=["Nd"]), min_size=1, max_size=6),
    st.sampled_from(["", "9" * 10_000, "x" * 10_000, 10**5000, -(10**5000), "\ud800", "٣٤٠", "0000-00-00"]),
)
_good = {
    "specialty": st.sampled_from(["340", "999", 100]),
    "type": st.sampled_from(["outpatient", "ELECTIVE"]),
    "attendance": st.just("new"),
    "mode": st.just("video"),
    "outcome": st.just("admitted"),
    "date": st.dates(date(1990, 1, 1), date(2030, 1, 1)).map(date.isoformat),
    "age": st.integers(0, 130),
    "sex": st.just("other"),
    "event_id": st.text(min_size=1),
}
_ethnic = st.fixed_dictionaries(
    {},
    optional={
        "system": st.one_of(_anything, st.sampled_from(["england", "wales", "scotland", "northern_ireland"])),
        "code": st.one_of(_anything, st.sampled_from(["H", "H1", "CL", "Z", "99", "1K", "T", "q"])),
    },
)
contacts = st.fixed_dictionaries(
    {},
    optional={
        **{field: st.one_of(good, good, good, _anything) for field, good in _good.items()},
        "ethnic_category": st.one_of(st.none(), _ethnic),
    },
)
_days = st.dates(date(2016, 1, 1), date(2100, 1, 1))


@given(contacts, _days)
def test_a_notice_holds_words_of_ours_and_never_what_was_sent(sent: dict[str, Any], today: date) -> None:
    contact, notices = read_contact(sent, today)
    assert {notice.field for notice in notices} <= NOTICE_FIELDS
    assert {notice.code for notice in notices} <= NOTICE_CODES
    assert contact is not None or notices


@given(contacts, _days)
def test_a_contact_is_made_of_the_vocabulary_whatever_was_sent(sent: dict[str, Any], today: date) -> None:
    words = vocabulary()
    contact, _ = read_contact(sent, today)
    if contact is None:
        return
    assert date.fromisoformat(f"{contact.month}-01") <= today
    assert contact.specialty in {*words.specialties, UNRECOGNISED, ABSENT}
    assert contact.type in {*words.contact_types, ABSENT}
    assert contact.attendance in {*words.attendances, ABSENT}
    assert contact.outcome in words.outcome_grid
    assert contact.age_band in words.age_grid
    assert contact.age_five in {*words.five_year_bands, ABSENT}
    assert contact.sex in words.sex_grid
    assert contact.ethnic_category in words.ethnic_grid
    assert contact.event_id is None or 0 < len(contact.event_id.encode()) <= 4 * 200


@given(contacts, _days)
def test_a_contact_is_refused_for_any_value_but_an_unrecognised_code(sent: dict[str, Any], today: date) -> None:
    contact, notices = read_contact(sent, today)
    assert (contact is None) == any(notice.code != UNRECOGNISED for notice in notices)


@given(contacts, _days, st.sampled_from(FIELDS), _anything)
def test_one_field_does_not_change_what_is_said_of_another(
    sent: dict[str, Any], today: date, field: str, value: Any
) -> None:
    def of_others(contact: dict[str, Any]) -> list[tuple[str, ...]]:
        return [notice for notice in read_contact(contact, today)[1] if notice.field != f"contact.{field}"]

    assert of_others(sent) == of_others({**sent, field: value})
