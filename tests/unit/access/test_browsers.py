"""Who opens a page: sessions, the tokens of forms, proxies and where a request says it comes from."""

import base64
import ipaddress
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.access.browsers import Browsers, Sent
from app.access.forms import Forms
from app.access.keys import KeyHasher, KeyRing, KeysAwayError, StoredKey, make_key
from app.access.sessions import LIFE_SECONDS, Sessions
from app.pages import token
from app.proxies import Proxies, ProxyListError
from app.settings import Settings

NEW, OLD, OTHER = b"the newest of secrets, 32 bytes!", b"the one before it", b"of another service"
NOW = 1_795_000_000.0
LOCAL = (b"host", b"127.0.0.1:8080")


def sent(*headers: tuple[bytes, bytes], scheme: str = "http", peer: str | None = "127.0.0.1") -> Sent:
    return Sent(scheme, peer, headers)


# --------------------------------------------------------------------------------------------- sessions


def test_a_session_is_read_for_eight_hours_and_no_second_longer() -> None:
    value = Sessions([NEW]).begin("0a1b2c3d", NOW).encode()
    assert LIFE_SECONDS == 8 * 3600
    session = Sessions([NEW]).read(value, NOW + LIFE_SECONDS - 0.01)
    assert session is not None
    assert (session.key_id, len(session.id), session.ends) == ("0a1b2c3d", 16, NOW + LIFE_SECONDS)
    assert Sessions([NEW]).read(value, NOW + LIFE_SECONDS) is None
    assert Sessions([NEW]).read(value, NOW - 61) is None


def test_each_session_has_an_id_of_its_own_and_a_value_that_nobody_can_foresee() -> None:
    sessions = Sessions([NEW])
    values = [sessions.begin("0a1b2c3d", NOW).encode() for _ in range(100)]
    assert len({sessions.read(value, NOW).id for value in values}) == 100  # type: ignore[union-attr]
    assert len({len(value) for value in values}) == 1


def test_a_secret_is_changed_without_ending_sessions() -> None:
    before = Sessions([OLD]).begin("0a1b2c3d", NOW).encode()
    assert Sessions([NEW, OLD]).read(before, NOW) is not None
    after = Sessions([NEW, OLD]).begin("0a1b2c3d", NOW).encode()
    assert Sessions([NEW]).read(after, NOW) is not None
    assert Sessions([NEW]).read(before, NOW) is None
    assert Sessions([OTHER]).read(after, NOW) is None


def test_every_changed_byte_of_a_session_is_noticed() -> None:
    value = Sessions([NEW]).begin("0a1b2c3d", NOW)
    sealed = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1 << (place % 8)
        assert Sessions([NEW]).read(base64.urlsafe_b64encode(changed).rstrip(b"="), NOW) is None


@given(st.binary(max_size=300) | st.text(alphabet="AZaz09-_=", max_size=120).map(str.encode))
def test_whatever_else_comes_as_a_session_is_none(value: bytes) -> None:
    assert Sessions([NEW]).read(value, NOW) is None


def test_a_card_is_no_session_and_a_session_no_card() -> None:
    assert Sessions([NEW]).read(token.seal(b"0a1b2c3d" * 3, [NEW], NOW).encode(), NOW) is None
    with pytest.raises(token.BadTokenError):
        token.open_token(Sessions([NEW]).begin("0a1b2c3d", NOW), [NEW], NOW)


# ------------------------------------------------------------------------------------------------ forms


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_the_token_of_a_form_fits_its_own_session_alone(one: bytes, other: bytes) -> None:
    forms = Forms([NEW])
    made = forms.token(one, NOW)
    assert forms.fits(made, one, NOW)
    assert forms.fits(made, other, NOW) is (one == other)


@given(st.text(max_size=80))
def test_no_other_text_is_the_token_of_a_form(text: str) -> None:
    assert not Forms([NEW]).fits(text, b"session", NOW)


def test_the_token_of_a_form_is_good_for_a_day_or_two_and_under_every_listed_secret() -> None:
    made = Forms([OLD]).token(b"session", NOW)
    assert Forms([NEW, OLD]).fits(made, b"session", NOW + 86_400)
    assert not Forms([NEW, OLD]).fits(made, b"session", NOW + 2 * 86_400)
    assert not Forms([NEW, OLD]).fits(made, b"session", NOW - 86_400)
    assert not Forms([NEW]).fits(made, b"session", NOW)


# ---------------------------------------------------------------------------------------------- proxies


@pytest.mark.parametrize(
    ("listed", "peer", "is_listed"),
    [
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.4", False),
        ("10.1.2.0/24 192.0.2.7", "192.0.2.7", True),
        ("10.1.2.0/24", "10.1.3.0", False),
        ("10.1.2.0/24", "::ffff:10.1.2.9", True),
        ("::ffff:10.1.2.0/120", "10.1.2.9", True),
        ("::ffff:10.1.2.0/120", "::ffff:10.1.2.9", True),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("fe80::1", "fe80::1%eth0", True),
        ("127.0.0.1", "::1", False),
        ("127.0.0.1", None, False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", "testclient", False),
        ("127.0.0.1", "127.0.0.1, 10.0.0.1", False),
        ("", "127.0.0.1", False),
    ],
)
def test_a_proxy_is_one_by_its_address_alone(listed: str, peer: str | None, is_listed: bool) -> None:
    assert Proxies(listed).lists(peer) is is_listed


@pytest.mark.parametrize(
    "listed", ["0.0.0.0/0", "::/0", "::ffff:0:0/96", "10.1.2.3/8", "localhost", "10.1.2", "10.1.2.3,10.1.2.4", "*"]
)
def test_a_list_that_is_unclear_or_believes_everybody_is_refused(listed: str) -> None:
    with pytest.raises(ProxyListError):
        Proxies(listed)
    with pytest.raises(ValidationError):
        Settings(proxies=listed)


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(1, 32))
def test_an_address_is_the_same_one_in_the_clothes_of_ipv6(
    peer: ipaddress.IPv4Address, of: ipaddress.IPv4Address, bits: int
) -> None:
    network = ipaddress.ip_network(f"{of}/{bits}", strict=False)
    expected = peer in network
    assert Proxies(str(network)).lists(str(peer)) is expected
    assert Proxies(str(network)).lists(f"::ffff:{peer}") is expected
    assert Proxies(f"::ffff:{network.network_address}/{bits + 96}").lists(str(peer)) is expected


@pytest.mark.parametrize(
    "values",
    [
        {"identity_header": "X-Remote-User"},
        {"identity_header": "Authorization", "proxies": "10.0.0.1"},
        {"identity_header": "X-Forwarded-For", "proxies": "10.0.0.1"},
        {"identity_header": "X_Remote_User", "proxies": "10.0.0.1"},
        {"identity_header": "", "proxies": "10.0.0.1"},
        {"identity_scopes": "enrich admin"},
        {"identity_scopes": "counts:exact"},
        {"identity_scopes": " "},
    ],
)
def test_settings_that_would_believe_too_much_are_refused(values: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Settings(**values)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------- browsers


def ring_with(key: str, expires_at: float = 2e10) -> KeyRing:
    hasher = KeyHasher([NEW])
    ring = KeyRing(hasher)
    stored = StoredKey("0a1b2c3d", hasher.newest(key.encode()), "clinic", frozenset({"enrich"}), int(expires_at))
    ring.replace([stored], time.monotonic())
    return ring


def browsers(ring: KeyRing | None = None, **options: Any) -> Browsers:
    return Browsers(ring or ring_with(make_key()), [NEW], **options)


def cookie_of(set_cookie: str) -> tuple[bytes, bytes]:
    return b"cookie", set_cookie.split(";")[0].encode()


def test_a_key_is_exchanged_for_a_session_that_never_outlives_it() -> None:
    key, soon = make_key(), time.time() + 600
    ring = ring_with(key, soon)
    own = browsers(ring)
    signed_in = own.sign_in(sent(LOCAL), key)
    assert signed_in is not None
    visit = own.visit(sent(LOCAL, cookie_of(signed_in.set_cookie)))
    assert visit is not None
    assert visit.proof.caller == ("clinic", {"enrich"}, "session", int(soon))
    assert (visit.proof.key_id, visit.user) == ("0a1b2c3d", None)
    assert visit.proof.holds(ring)
    ring.replace([], time.monotonic())
    assert not visit.proof.holds(ring)
    assert own.visit(sent(LOCAL, cookie_of(signed_in.set_cookie))) is None


def test_a_session_of_a_key_that_is_good_for_years_ends_after_eight_hours() -> None:
    key = make_key()
    own = browsers(ring_with(key))
    signed_in = own.sign_in(sent(LOCAL), key)
    assert signed_in is not None
    visit = own.visit(sent(LOCAL, cookie_of(signed_in.set_cookie)))
    assert visit is not None
    assert visit.proof.caller.expires == pytest.approx(time.time() + LIFE_SECONDS, abs=5)


def test_keys_that_were_not_seen_for_long_are_not_believed_but_one_can_sign_out() -> None:
    key = make_key()
    ring = ring_with(key)
    own = browsers(ring)
    signed_in = own.sign_in(sent(LOCAL), key)
    assert signed_in is not None
    session = sent(LOCAL, cookie_of(signed_in.set_cookie))
    ring.confirm(time.monotonic() - 16 * 60)
    with pytest.raises(KeysAwayError):
        own.visit(session)
    with pytest.raises(KeysAwayError):
        own.sign_in(sent(LOCAL), key)
    assert own.bound_to(session) is not None
    assert own.visit(sent(LOCAL)) is None


def test_by_https_only_a_cookie_that_no_other_host_could_have_set_is_read() -> None:
    key = make_key()
    own = browsers(ring_with(key))
    host = (b"host", b"lens.example.nhs.uk")
    signed_in = own.sign_in(sent(host, scheme="https"), key)
    assert signed_in is not None
    assert signed_in.set_cookie.startswith("__Host-imdlens=")
    assert signed_in.set_cookie.split("; ")[1:] == ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"]
    name, pair = cookie_of(signed_in.set_cookie)
    assert own.visit(sent(host, (name, pair), scheme="https"))
    assert own.visit(sent(host, (name, b"other=1; " + pair + b"; a=b"), scheme="https"))
    assert own.visit(sent(host, (name, pair.removeprefix(b"__Host-")), scheme="https")) is None
    assert own.visit(sent(host, (name, pair), (name, pair), scheme="https")) is None
    assert own.visit(sent(host, (name, pair + b"; " + pair), scheme="https")) is None


@pytest.mark.parametrize(
    ("host", "headers", "may"),
    [
        (b"127.0.0.1:8080", (), True),
        (b"localhost", (), True),
        (b"[::1]:8080", (), True),
        (b"lens.example.nhs.uk", (), False),
        (b"10.0.0.7:8080", (), False),
        (b"127.0.0.1.evil.example", (), False),
        (b"localhost.evil.example", (), False),
        (b"127.0.0.1@evil.example", (), False),
        (b"127.0.0.1:8080", ((b"x-forwarded-for", b"203.0.113.9"),), False),
        (b"127.0.0.1:8080", ((b"via", b"1.1 proxy"),), False),
        (b"127.0.0.1:8080", ((b"host", b"evil.example"),), False),
        (b"lens.example.nhs.uk", ((b"x-forwarded-proto", b"https"),), False),
        (b"", (), False),
    ],
)
def test_without_https_one_signs_in_on_this_machine_alone(
    host: bytes, headers: tuple[tuple[bytes, bytes], ...], may: bool
) -> None:
    assert browsers().may_sign_in(sent((b"host", host), *headers)) is may


def test_a_listed_proxy_is_believed_that_it_was_asked_by_https_and_nobody_else() -> None:
    own = browsers(proxies=Proxies("10.0.0.0/24"))
    said = (b"x-forwarded-proto", b"https")
    assert own.is_secure(sent(said, peer="10.0.0.7"))
    assert own.is_secure(sent(said, peer="::ffff:10.0.0.7"))
    assert not own.is_secure(sent(said, peer="10.0.1.7"))
    assert not own.is_secure(sent((b"x-forwarded-proto", b"http"), peer="10.0.0.7"))
    assert not own.is_secure(sent(said, said, peer="10.0.0.7"))
    assert not own.is_secure(sent(said, (b"x-forwarded-for", b"10.0.0.7"), peer="10.0.1.7"))
    assert browsers(public_url="https://lens.example.nhs.uk/imd").is_secure(sent())
    assert not browsers(public_url="http://lens.example.nhs.uk").is_secure(sent())


def named(*values: bytes, peer: str = "10.0.0.7", header: bytes = b"x-remote-user") -> Sent:
    return sent(*((header, value) for value in values), peer=peer)


def test_a_listed_proxy_names_its_user_whose_name_goes_nowhere() -> None:
    own = browsers(
        proxies=Proxies("10.0.0.0/24"), identity_header="X-Remote-User", identity_scopes=frozenset({"enrich"})
    )
    visit = own.visit(named(b"TRUST\\jo.bloggs"))
    assert visit is not None
    assert visit.proof.caller[:3] == ("proxy", {"enrich"}, "proxy")
    assert visit.proof.key_id is None
    assert visit.user is not None
    assert len(visit.user) == 16
    assert "bloggs" not in repr(visit)
    assert visit.user == own.visit(named(b"TRUST\\jo.bloggs")).user  # type: ignore[union-attr]
    assert visit.user != own.visit(named(b"TRUST\\sam.bloggs")).user  # type: ignore[union-attr]
    for nobody in (
        named(b""),
        named(b"  "),
        named(b"-"),
        named(b"(null)"),
        named(b"jo", b"jo"),
        named(b"jo, sam"),
        named(b"j" * 257),
        named(b"jo", peer="10.0.1.7"),
        named(b"jo", header=b"x_remote_user"),
        named(b"jo", header=b"x-remote-user "),
        named(),
    ):
        assert own.visit(nobody) is None
        assert own.bound_to(nobody) is None
    assert browsers(proxies=Proxies("10.0.0.0/24")).visit(named(b"jo")) is None


def test_forms_of_two_users_and_of_a_user_named_like_a_session_are_bound_to_different_things() -> None:
    key = make_key()
    own = browsers(ring_with(key), proxies=Proxies("10.0.0.7"), identity_header="X-Remote-User")
    signed_in = own.sign_in(sent(LOCAL), key)
    assert signed_in is not None
    session = own.bound_to(sent(LOCAL, cookie_of(signed_in.set_cookie)))
    assert session is not None
    users = {own.bound_to(named(name)) for name in (b"jo", b"sam", session, session.removeprefix(b"session\0"))}
    assert len(users | {session}) == 5


@pytest.mark.parametrize(
    ("headers", "is_own"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": ""}, False),
        ({"sec-fetch-site": "cross-site", "origin": "https://lens.example.nhs.uk"}, False),
        ({"origin": "https://lens.example.nhs.uk"}, True),
        ({"origin": "HTTPS://LENS.example.nhs.uk"}, True),
        ({"origin": "http://lens.example.nhs.uk"}, False),
        ({"origin": "https://lens.example.nhs.uk:8443"}, False),
        ({"origin": "https://lens.example.nhs.uk.evil.example"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({}, False),
    ],
)
def test_a_key_is_taken_from_a_page_of_ours_alone(headers: dict[str, str], is_own: bool) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert browsers().is_own_page(sent((b"host", b"lens.example.nhs.uk"), *raw, scheme="https")) is is_own
    # Behind a proxy that puts another host into the request.
    behind = browsers(public_url="https://lens.example.nhs.uk/imd")
    assert behind.is_own_page(sent((b"host", b"backend:8080"), *raw)) is is_own
    assert not browsers().is_own_page(sent(*[h for h in raw if h[0] == b"origin"], scheme="https"))
