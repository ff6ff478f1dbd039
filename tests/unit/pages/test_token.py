"""A token opens what was sealed, for 15 minutes, and nothing else ever does."""

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.pages.token import BLOCK, LIFE_SECONDS, MOST_BLOCKS, open_token, seal
from app.sealing import SKEW_SECONDS, BadTokenError, ExpiredTokenError

NEW, OLD, OTHER = b"the newest of secrets, 32 bytes!", b"the one before", b"of another service"
NOW = 1_795_000_000.25


def refused(token: str, secrets: list[bytes] | None = None, now: float = NOW) -> bool:
    """Whether a token is no token; any other exception is a failure."""
    try:
        open_token(token, [NEW, OLD] if secrets is None else secrets, now)
    except BadTokenError as error:
        return error.args == ()  # it says nothing of what was wrong
    return False


@given(st.binary(max_size=1000), st.sampled_from([[NEW], [NEW, OLD], [OLD, NEW]]))
def test_what_was_sealed_comes_back(payload: bytes, secrets: list[bytes]) -> None:
    assert open_token(seal(payload, secrets, NOW), secrets, NOW + 1) == payload


def test_a_token_holds_for_15_minutes_to_the_millisecond() -> None:
    token = seal(b"card", [NEW], NOW)
    assert LIFE_SECONDS == 15 * 60
    assert open_token(token, [NEW], NOW + 899.999) == b"card"
    with pytest.raises(ExpiredTokenError):
        open_token(token, [NEW], NOW + 900)
    with pytest.raises(ExpiredTokenError):
        open_token(token, [NEW], NOW + 10**9)


def test_a_clock_a_little_ahead_is_forgiven_and_one_far_ahead_is_not() -> None:
    token = seal(b"card", [NEW], NOW)
    assert open_token(token, [NEW], NOW - SKEW_SECONDS) == b"card"
    assert refused(token, now=NOW - SKEW_SECONDS - 0.01)


def test_a_secret_is_replaced_with_overlap() -> None:
    before = seal(b"card", [OLD], NOW)
    assert open_token(before, [NEW, OLD], NOW) == b"card"
    after = seal(b"card", [NEW, OLD], NOW)
    assert open_token(after, [NEW], NOW) == b"card"
    assert refused(after, [OLD])
    assert refused(before, [NEW])


def test_another_secret_an_empty_one_or_none_opens_nothing() -> None:
    token = seal(b"card", [NEW], NOW)
    assert refused(token, [OTHER])
    assert refused(token, [b""])
    assert refused(token, [])


def test_an_expired_token_of_another_secret_is_bad_and_not_expired() -> None:
    assert refused(seal(b"card", [OTHER], NOW), now=NOW + 10_000)


def test_nothing_is_sealed_without_a_secret() -> None:
    for secrets in ([], [b""], [b"", NEW]):
        with pytest.raises(ValueError, match="secret"):
            seal(b"card", secrets, NOW)


def test_every_single_changed_byte_is_noticed() -> None:
    sealed = base64.urlsafe_b64decode(seal(b"card", [NEW], NOW))
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1 << (place % 8)
        assert refused(base64.urlsafe_b64encode(changed).rstrip(b"=").decode())


def test_every_changed_character_is_noticed_and_so_is_another_spelling() -> None:
    token = seal(b"card", [NEW], NOW)
    for place, was in enumerate(token):
        assert refused(token[:place] + ("A" if was != "A" else "B") + token[place + 1 :])
    for other in (token + "=", token + "==", token + " ", token + "\n", "\t" + token, token[:-1], token + "A"):
        assert refused(other)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for last in set(alphabet) - {token[-1]}:
        assert refused(token[:-1] + last)


def test_the_length_says_nothing_of_what_is_inside() -> None:
    dull, lively = b"", random.Random(7).randbytes(BLOCK - 40)
    lengths = {len(seal(payload, [NEW], NOW)) for payload in (dull, b"a" * 10_000, lively)}
    assert lengths == {720}


def test_a_large_payload_goes_up_by_whole_blocks_to_a_limit() -> None:
    noise = random.Random(7).randbytes(70_000)
    lengths = {len(seal(noise[:size], [NEW], NOW)) for size in range(420, 900, 40)}
    assert len(lengths) == 2
    most = noise[: MOST_BLOCKS * BLOCK - 40]
    assert open_token(seal(most, [NEW], NOW), [NEW], NOW) == most
    for too_large in (noise[: MOST_BLOCKS * BLOCK], noise, b"a" * 70_000):
        with pytest.raises(ValueError, match="too large"):
            seal(too_large, [NEW], NOW)


def test_the_largest_payload_that_packs_well_comes_back_whole() -> None:
    payload = b"a" * 64 * 1024
    assert open_token(seal(payload, [NEW], NOW), [NEW], NOW) == payload


def test_two_tokens_of_one_payload_have_nothing_in_common() -> None:
    first, second = (base64.urlsafe_b64decode(seal(b"card", [NEW], NOW)) for _ in range(2))
    assert first[:12] != second[:12]
    assert sum(a == b for a, b in zip(first, second, strict=True)) < 20


def test_a_token_can_stand_in_an_address_as_it_is() -> None:
    assert set(seal(b"card", [NEW], NOW)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_a_very_long_text_is_refused_before_anything_is_done_with_it() -> None:
    assert refused("A" * 50_000_000)


@given(
    st.one_of(
        st.text(),
        st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=", max_size=2000),
        st.binary(max_size=1200).map(lambda b: base64.urlsafe_b64encode(b).decode().rstrip("=")),
        st.integers(1, 9).map(lambda n: base64.urlsafe_b64encode(bytes(28 + n * BLOCK)).decode().rstrip("=")),
    ),
    st.floats(0, 1e11),
)
def test_whatever_else_comes_is_a_bad_token_and_no_other_error(text: str, now: float) -> None:
    assert refused(text, now=now)
