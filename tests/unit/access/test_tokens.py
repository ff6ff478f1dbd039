"""Tokens of identity providers, clients and EPRs: who is let in, as whom, and to do what."""

import hashlib
import hmac
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from app.access import tokens
from app.access.caller import Caller
from app.access.tokens import TokenError, TokenReader, is_jwt
from tests.unit.access.signers import (
    ALL,
    BASE,
    ENGINE,
    ENGINE_KEY,
    EPR,
    EPR_KEY,
    FILE,
    HASHES,
    HOOK,
    IDP,
    IDP_KEYS,
    JKU,
    NOW,
    access_claims,
    b64,
    client_claims,
    hook_claims,
    key_set,
    reader,
    signer,
    without,
    write_file,
)

RS256, ES256 = IDP_KEYS["RS256"], IDP_KEYS["ES256"]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> TokenReader:
    return reader(tmp_path_factory.mktemp("access"))


def refused(known: TokenReader, token: bytes | str, now: float = NOW) -> str:
    with pytest.raises(TokenError) as caught:
        known.caller(token, now)
    assert str(caught.value) == caught.value.reason
    assert caught.value.__cause__ is None
    return caught.value.reason


def refused_hook(known: TokenReader, token: bytes | str, path: str = HOOK, now: float = NOW) -> str:
    with pytest.raises(TokenError) as caught:
        known.hook(token, path, now)
    return caught.value.reason


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: str = "AA") -> str:
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}.{signature}"


# Who is let in


@pytest.mark.parametrize("algorithm", ALL)
def test_an_access_token_is_read_whatever_listed_algorithm_signed_it(known: TokenReader, algorithm: str) -> None:
    token = IDP_KEYS[algorithm].token(access_claims())
    expected = Caller("epr", frozenset({"enrich"}), "token", NOW + 600)
    assert known.caller(token, NOW) == expected
    assert known.caller(token.encode(), NOW) == expected


def test_a_client_that_signs_its_own_tokens_may_do_what_its_table_says(known: TokenReader) -> None:
    token = ENGINE_KEY.token(client_claims(scope="admin", scopes=["admin"]))
    assert known.caller(token, NOW) == Caller("integration-engine", frozenset({"enrich", "area"}), "token", NOW + 290)


@pytest.mark.parametrize("audience", [BASE + HOOK, [BASE + HOOK], [BASE, BASE + HOOK]])
@pytest.mark.parametrize("jku", [None, JKU])
def test_an_epr_signs_each_call_of_a_hook(known: TokenReader, audience: Any, jku: str | None) -> None:
    hook = known.hook(EPR_KEY.token(hook_claims(aud=audience), jku=jku), HOOK, NOW)
    assert hook == (Caller("epr", frozenset({"enrich"}), "hook", NOW + 290), "a-nonce", NOW + 290)


def test_a_hook_may_be_signed_by_rs384_too(tmp_path: Path) -> None:
    path = write_file(tmp_path)
    rs384 = signer("RS384", "rs")
    (tmp_path / "epr.json").write_text(key_set(EPR_KEY.jwk(), rs384.jwk()))
    assert TokenReader.read(path).hook(rs384.token(hook_claims()), HOOK, NOW).jti == "a-nonce"


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", None])
def test_a_type_is_that_of_a_token_in_any_case_or_none(known: TokenReader, typ: str | None) -> None:
    assert known.caller(RS256.token(access_claims(), typ=typ), NOW).name == "epr"


def test_one_key_needs_no_name_but_is_not_taken_for_one_of_another_name(known: TokenReader, tmp_path: Path) -> None:
    assert known.caller(ENGINE_KEY.token(client_claims(), kid=None), NOW).name == "integration-engine"
    path = write_file(tmp_path)
    (tmp_path / "engine.json").write_text(key_set(ENGINE_KEY.jwk(kid=None)))
    nameless = TokenReader.read(path)
    assert nameless.caller(ENGINE_KEY.token(client_claims(), kid=None), NOW).name == "integration-engine"
    assert refused(nameless, ENGINE_KEY.token(client_claims(), kid="another")) == "key"


def test_headers_that_bring_or_point_to_keys_are_not_read_for_access_tokens(known: TokenReader) -> None:
    mine = signer("RS256", "mine", 9)
    brought = {"jwk": mine.jwk(), "x5u": "https://evil.example/x", "x5c": ["AA"], "jku": "https://evil.example/k"}
    assert known.caller(RS256.token(access_claims(), **brought), NOW).name == "epr"
    assert refused(known, mine.token(access_claims(), **brought)) == "key"
    assert refused(known, mine.token(access_claims(), **brought, kid=RS256.kid)) == "signature"


def test_a_shape_is_three_parts_of_base64url() -> None:
    assert is_jwt("a-_9.b.c")
    assert is_jwt(b"a.b.c")
    for text in ("", "a.b", "a.b.", ".b.c", "a..c", "a.b.c.d", "a.b.c.d.e", "a.b.c=", "a.b.c\n", "a b.c.d", "é.b.c"):
        assert not is_jwt(text), text
    assert not is_jwt(b"\xff.b.c")
    assert not is_jwt("\ud800.b.c")


# Algorithms and keys


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, 0, [], ["RS256"], {}, True])
@pytest.mark.parametrize("signature", ["AA", ""])
def test_no_spelling_of_no_algorithm_is_one(known: TokenReader, algorithm: Any, signature: str) -> None:
    header = {"alg": algorithm, "kid": RS256.kid}
    assert refused(known, unsigned(header, access_claims(), signature)) in ("algorithm", "malformed")
    assert refused(known, unsigned({"kid": RS256.kid}, access_claims())) == "algorithm"


@pytest.mark.parametrize("name", ["HS256", "HS384", "HS512", "hs256"])
@pytest.mark.parametrize("key", [RS256, ES256], ids=["rsa", "ec"])
def test_a_public_key_is_never_a_shared_secret(known: TokenReader, name: str, key: Any) -> None:
    public = key.private.public_key()
    secrets = [
        public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo) for encoding in (Encoding.PEM, Encoding.DER)
    ]
    secrets += [secrets[0].strip(), json.dumps(key.jwk()).encode(), key_set(key.jwk()).encode(), b""]
    for secret in secrets:
        data = unsigned({"alg": name, "kid": key.kid}, access_claims()).rsplit(".", 1)[0]
        digest = hmac.new(secret, data.encode(), getattr(hashlib, f"sha{name[2:]}")).digest()
        assert refused(known, f"{data}.{b64(digest)}") == "algorithm"


@pytest.mark.parametrize("algorithm", ["rs256", " RS256", "RS256 ", "ES256K", "ES521", "Ed448", "RSA-OAEP", "RS1"])
def test_an_algorithm_that_no_list_holds_is_refused(known: TokenReader, algorithm: str) -> None:
    assert refused(known, RS256.token(access_claims(), alg=algorithm)) == "algorithm"


def test_an_algorithm_of_another_issuers_list_is_refused(known: TokenReader) -> None:
    rs256 = signer("RS256", ENGINE_KEY.kid, 1)
    assert refused(known, rs256.token(client_claims())) == "algorithm"
    rs256 = signer("RS256", EPR_KEY.kid, 1)
    assert refused_hook(known, rs256.token(hook_claims())) == "algorithm"


def test_the_key_decides_what_it_checks_and_not_the_header(known: TokenReader) -> None:
    for algorithm in ALL:
        if algorithm[0] not in "RP":
            assert refused(known, IDP_KEYS[algorithm].token(access_claims(), alg="RS256")) == "algorithm"
        other = "ES384" if algorithm == "ES256" else "ES256"
        assert refused(known, IDP_KEYS[algorithm].token(access_claims(), alg=other)) == "algorithm"
    # Of one kind but another padding: the key fits, the signature does not.
    assert refused(known, RS256.token(access_claims(), alg="PS256")) == "signature"


def test_a_key_whose_set_names_its_algorithm_checks_no_other(tmp_path: Path) -> None:
    path = write_file(tmp_path)
    (tmp_path / "idp.json").write_text(key_set(RS256.jwk(alg="PS256")))
    strict = TokenReader.read(path)
    assert refused(strict, RS256.token(access_claims())) == "algorithm"
    assert strict.caller(signer("PS256", RS256.kid).token(access_claims()), NOW).name == "epr"


@pytest.mark.parametrize(
    "kid",
    ["", "x", "../../../../dev/null", "' OR 1=1 --", "idp-RS256\x00", "IDP-RS256", "https://evil.example/", "é" * 99],
)
def test_a_key_that_the_set_does_not_name_is_not_looked_for_elsewhere(known: TokenReader, kid: str) -> None:
    assert refused(known, RS256.token(access_claims(), kid=kid)) == "key"


def test_no_kid_among_several_keys_is_no_key(known: TokenReader) -> None:
    assert refused(known, RS256.token(access_claims(), kid=None)) == "key"


@pytest.mark.parametrize("kid", [0, 1.5, True, [], {}, ["idp-RS256"]])
def test_a_kid_is_a_text(known: TokenReader, kid: Any) -> None:
    assert refused(known, RS256.token(access_claims(), kid=kid)) == "header"


def test_a_key_signs_for_its_own_issuer_alone(known: TokenReader) -> None:
    assert refused(known, ENGINE_KEY.token(access_claims())) == "key"
    assert refused(known, ENGINE_KEY.token(access_claims(), kid="idp-RS512")) == "signature"
    assert refused(known, IDP_KEYS["RS512"].token(client_claims(), kid="engine")) == "signature"
    assert refused_hook(known, IDP_KEYS["ES384"].token(hook_claims(), kid="epr")) == "signature"


# Headers


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": ["b64"], "b64": True},
        {"b64": False},
        {"b64": True},
        {"typ": "JWE"},
        {"typ": "logout+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": ""},
        {"typ": 1},
        {"typ": ["JWT"]},
    ],
)
def test_headers_that_change_the_meaning_are_refused(known: TokenReader, header: dict[str, Any]) -> None:
    assert refused(known, RS256.token(access_claims(), **header)) == "header"
    assert refused_hook(known, EPR_KEY.token(hook_claims(), **header)) == "header"


@pytest.mark.parametrize(
    "jku", ["https://evil.example/jwks.json", JKU + "/", JKU.upper(), f"{JKU}#", "", False, 0, [JKU], {"a": JKU}]
)
def test_a_hook_may_point_to_no_other_keys_than_the_registered(known: TokenReader, tmp_path: Path, jku: Any) -> None:
    assert refused_hook(known, EPR_KEY.token(hook_claims(), jku=jku)) == "header"
    none = reader(tmp_path, FILE.replace(f'jku = "{JKU}"', ""))
    assert refused_hook(none, EPR_KEY.token(hook_claims(), jku=jku)) == "header"
    assert refused_hook(none, EPR_KEY.token(hook_claims(), jku=JKU)) == "header"


# Signatures


@pytest.mark.parametrize("algorithm", ["RS256", "PS384", "ES256", "EdDSA"])
def test_no_byte_of_a_token_can_be_changed(known: TokenReader, algorithm: str) -> None:
    key = IDP_KEYS[algorithm]
    token = key.token(access_claims())
    data, _, signature = token.rpartition(".")
    raw = key.sign(data.encode())
    for i in range(0, len(raw), 5):
        flipped = bytes([*raw[:i], raw[i] ^ (1 << i % 8), *raw[i + 1 :]])
        assert refused(known, f"{data}.{b64(flipped)}") == "signature"
    for wrong in (raw[:-1], raw + b"\0", b"\0" + raw, raw[::-1], b"\0" * len(raw), b"\xff" * len(raw), b"\0"):
        assert refused(known, f"{data}.{b64(wrong)}") == "signature"
    for i in range(0, len(token), 7):
        other = "A" if token[i] != "A" else "B"
        refused(known, token[:i] + other + token[i + 1 :])
        refused(known, token[:i])
    assert signature


def test_the_last_sign_of_a_part_has_one_spelling(known: TokenReader) -> None:
    """Base64 leaves bits unused at its end: a token must not have several texts."""
    key = next(k for k in IDP_KEYS.values() if len(k.sign(b"")) % 3)
    token = key.token(access_claims())
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same = letters[letters.index(token[-1]) ^ 1]
    assert refused(known, token[:-1] + same) == "signature"
    assert refused(known, token + "=") == "malformed"


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512"])
def test_a_signature_of_a_curve_is_two_numbers_in_range_and_no_der(known: TokenReader, algorithm: str) -> None:
    key = IDP_KEYS[algorithm]
    data, _, good = key.token(access_claims()).rpartition(".")
    assert known.caller(f"{data}.{good}", NOW)
    size = (key.private.key_size + 7) // 8
    order = key.private.curve.group_order
    der = key.private.sign(data.encode(), ec.ECDSA(HASHES[algorithm[2:]]))
    wrong = [
        der,
        encode_dss_signature(0, 0),
        b"\0" * 2 * size,
    ]  # r = s = 0: true of any key where ranges are not checked
    wrong += [
        x.to_bytes(size, "big") + y.to_bytes(size, "big") for x, y in ((order, order), (0, 1), (1, 0), (order, 1))
    ]
    for signature in wrong:
        assert refused(known, f"{data}.{b64(signature)}") == "signature"


# Shapes


@pytest.mark.parametrize(
    "claims",
    [
        "",
        "null",
        "[]",
        '"text"',
        "{",
        "{@, @}",
        '{@, "\\u0069ss": "other"}',
        '{@, "more": {"a": 1, "a": 2}}',
        '{@, "exp": NaN}',
        '{@, "exp": Infinity}',
        "{@} {}",
        "\ufeff{}",
        '{"a": ' + "[" * 3000 + "]" * 3000 + "}",
        '{"a": ' + '{"a":' * 900 + "1" + "}" * 901,
    ],
)
def test_claims_are_one_object_of_json_with_each_key_once(known: TokenReader, claims: str) -> None:
    assert refused(known, RS256.token(claims.replace("@", f'"iss": "{IDP}"'))) == "malformed"


def test_a_header_is_one_object_of_json_with_each_key_once(known: TokenReader) -> None:
    claims = b64(json.dumps(access_claims()).encode())
    for header in ('{"alg": "none", "alg": "RS256", "kid": "idp-RS256"}', "[]", "1", '{"a":' + "[" * 3000, "\xff"):
        data = f"{b64(header.encode('latin-1'))}.{claims}"
        assert refused(known, f"{data}.{b64(RS256.sign(data.encode()))}") == "malformed"


def test_a_token_of_more_than_8_kib_is_not_read(known: TokenReader) -> None:
    assert refused(known, "a.b." + "c" * 10_000_000) == "malformed"
    assert refused(known, b"a" * 8193) == "malformed"
    assert refused(known, RS256.token(access_claims(more="x" * 6000))) == "malformed"


@pytest.mark.parametrize(
    "token", ["", ".", "..", "...", "a.b", "a.b.c.d.e", "Bearer a.b.c", "é.é.é", "\ud800", "a.b.c\n"]
)
def test_what_has_another_shape_is_no_token(known: TokenReader, token: str) -> None:
    assert refused(known, token) == "malformed"
    assert refused_hook(known, token) == "malformed"


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300)))
def test_nothing_but_a_refusal_comes_of_random_bytes(known: TokenReader, data: bytes | str) -> None:
    refused(known, data)
    refused_hook(known, data)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from([IDP, EPR, BASE]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_NAMES = st.sampled_from(["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "azp", "scope"])
_HEADS = st.sampled_from(["alg", "kid", "typ", "jku", "crit", "b64", "jwk"])


@given(st.dictionaries(_NAMES, _JSON, max_size=3), st.dictionaries(_HEADS, _JSON, max_size=2))
def test_nothing_but_a_refusal_comes_of_odd_claims_well_signed(
    known: TokenReader, claims: dict[str, Any], header: dict[str, Any]
) -> None:
    with suppress(TokenError):
        assert known.caller(ES256.token(access_claims(**claims), **header), NOW).scopes <= {"enrich", "area"}
    with suppress(TokenError):
        assert known.hook(EPR_KEY.token(hook_claims(**claims), **header), HOOK, NOW).caller.scopes == {"enrich"}


# Claims


@pytest.mark.parametrize(
    "issuer", ["https://evil.example", IDP + "/", IDP.upper(), "", None, 1, [IDP], {"a": IDP}, True]
)
def test_only_listed_issuers_are_believed(known: TokenReader, issuer: Any) -> None:
    assert refused(known, RS256.token(access_claims(iss=issuer))) == "issuer"
    assert refused(known, RS256.token(without(access_claims(), "iss"))) == "issuer"


AUDIENCES = [
    BASE + "/",
    BASE[:-1],
    BASE + ".evil.example",
    BASE.upper(),
    "",
    None,
    1,
    [],
    [BASE + "/"],
    {BASE: 1},
    [[BASE]],
]


@pytest.mark.parametrize("audience", AUDIENCES)
def test_a_token_is_for_this_service_to_the_letter(known: TokenReader, audience: Any) -> None:
    assert refused(known, RS256.token(access_claims(aud=audience))) == "audience"
    assert refused(known, ENGINE_KEY.token(client_claims(aud=audience))) == "audience"
    assert refused(known, RS256.token(without(access_claims(), "aud"))) == "audience"


def test_a_token_may_be_for_others_too(known: TokenReader) -> None:
    assert known.caller(RS256.token(access_claims(aud=["account", BASE])), NOW).name == "epr"


@pytest.mark.parametrize(
    "audience",
    [
        BASE,
        BASE + "/cds-services",
        BASE + HOOK + "/",
        BASE + "/cds-services/access-offers",
        HOOK,
        [BASE],
        BASE + HOOK + "?",
        None,
    ],
)
def test_a_hook_is_for_the_endpoint_that_was_called(known: TokenReader, audience: Any) -> None:
    assert refused_hook(known, EPR_KEY.token(hook_claims(aud=audience))) == "audience"


def test_a_hook_for_one_endpoint_opens_no_other(known: TokenReader) -> None:
    for path in ("/cds-services/access-offers", "/cds-services", HOOK + "/feedback", ""):
        assert refused_hook(known, EPR_KEY.token(hook_claims()), path) == "audience"


def test_a_hooks_token_opens_no_other_door_and_no_other_token_a_hook(known: TokenReader) -> None:
    assert refused(known, EPR_KEY.token(hook_claims(aud=[BASE, BASE + HOOK]))) == "issuer"
    for key, claims in ((RS256, access_claims), (ENGINE_KEY, client_claims)):
        assert refused_hook(known, key.token(claims(aud=[BASE, BASE + HOOK], jti="x"))) == "issuer"
    assert refused_hook(known, EPR_KEY.token(hook_claims(), typ="at+jwt")) == "header"


NO_TIMES = [
    "1800000600", True, False, None, [], {}, -1, 1e11, 10**30, 1800000600000.0 * 1e3,
]  # fmt: skip


@pytest.mark.parametrize("time", NO_TIMES)
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_a_time_is_a_number_of_seconds(known: TokenReader, name: str, time: Any) -> None:
    assert refused(known, RS256.token(access_claims(**{name: time}))) == "claims"
    assert refused(known, ENGINE_KEY.token(client_claims(**{name: time}))) == "claims"
    assert refused_hook(known, EPR_KEY.token(hook_claims(**{name: time}))) == "claims"


@pytest.mark.parametrize("time", ["1e400", "-1e400", "9" * 400, "1e99"])
def test_a_number_that_no_clock_shows_is_no_time(known: TokenReader, time: str) -> None:
    claims = json.dumps(access_claims(exp="@")).replace('"@"', time)
    assert refused(known, RS256.token(claims)) == "claims"


def test_a_token_ends_and_says_when(known: TokenReader) -> None:
    assert refused(known, RS256.token(without(access_claims(), "exp"))) == "claims"
    assert refused(known, RS256.token(access_claims(exp=NOW))) == "expired"
    assert refused(known, RS256.token(access_claims(exp=0))) == "expired"
    assert refused(known, ENGINE_KEY.token(client_claims(exp=NOW - 1))) == "expired"
    assert refused_hook(known, EPR_KEY.token(hook_claims(exp=NOW - 1))) == "expired"
    assert known.caller(RS256.token(access_claims(exp=NOW + 0.5)), NOW).expires == NOW + 0.5


@pytest.mark.parametrize("name", ["iat", "nbf"])
def test_a_token_of_the_future_is_refused_beyond_the_minute_by_which_clocks_differ(
    known: TokenReader, name: str
) -> None:
    for key, claims in ((RS256, access_claims), (ENGINE_KEY, client_claims)):
        assert known.caller(key.token(claims(**{name: NOW + 60})), NOW)
        assert refused(known, key.token(claims(**{name: NOW + 61}))) == "early"
    assert known.hook(EPR_KEY.token(hook_claims(**{name: NOW + 60})), HOOK, NOW)
    assert refused_hook(known, EPR_KEY.token(hook_claims(**{name: NOW + 61}))) == "early"


def test_no_token_lives_longer_than_its_kind_may(known: TokenReader) -> None:
    assert known.caller(RS256.token(access_claims(exp=NOW + 86_400)), NOW)
    assert refused(known, RS256.token(access_claims(exp=NOW + 86_401))) == "lifetime"
    assert known.caller(ENGINE_KEY.token(client_claims(iat=NOW - 10, exp=NOW + 3590)), NOW)
    assert refused(known, ENGINE_KEY.token(client_claims(iat=NOW - 10, exp=NOW + 3591))) == "lifetime"
    assert known.hook(EPR_KEY.token(hook_claims(iat=NOW, exp=NOW + 360)), HOOK, NOW)
    assert refused_hook(known, EPR_KEY.token(hook_claims(iat=NOW, exp=NOW + 361))) == "lifetime"


def test_a_token_that_its_sender_signs_says_when_it_was_issued(known: TokenReader) -> None:
    assert known.caller(RS256.token(without(access_claims(), "iat")), NOW)
    assert refused(known, ENGINE_KEY.token(without(client_claims(), "iat"))) == "claims"
    assert refused_hook(known, EPR_KEY.token(without(hook_claims(), "iat"))) == "claims"


@pytest.mark.parametrize("subject", ["another", None, 1, [ENGINE], ENGINE.upper()])
def test_a_client_signs_for_itself(known: TokenReader, subject: Any) -> None:
    assert refused(known, ENGINE_KEY.token(client_claims(sub=subject))) == "claims"
    assert refused(known, ENGINE_KEY.token(without(client_claims(), "sub"))) == "claims"


@pytest.mark.parametrize("jti", ["", "x" * 201, "a\nb", "\0", "é", None, 1, ["a"], True])
def test_a_hook_names_itself_in_1_to_200_plain_signs(known: TokenReader, jti: Any) -> None:
    assert refused_hook(known, EPR_KEY.token(hook_claims(jti=jti))) == "claims"
    assert refused_hook(known, EPR_KEY.token(without(hook_claims(), "jti"))) == "claims"
    assert known.hook(EPR_KEY.token(hook_claims(jti="x" * 200)), HOOK, NOW).jti == "x" * 200


@pytest.mark.parametrize(
    "said", ["other", "epr", "EPR-AZP-ID", "someone@example.nhs.uk", "", None, 1, ["epr-azp-id"], {}]
)
def test_only_clients_in_the_issuers_table_get_a_name(known: TokenReader, said: Any) -> None:
    assert refused(known, RS256.token(access_claims(azp=said))) == "client"
    assert refused(known, RS256.token(without(access_claims(), "azp"))) == "client"


# Scopes


@pytest.mark.parametrize(
    ("said", "scopes"),
    [
        ("imdlens/enrich imdlens/area", {"enrich", "area"}),
        (["imdlens/enrich", "imdlens/area"], {"enrich", "area"}),
        ("openid imdlens/enrich  profile", {"enrich"}),
        ("admin enrich area counts:exact", set()),
        (["admin imdlens/enrich"], set()),
        (["imdlens/enrich imdlens/area"], set()),
        ("imdlens/enrich\timdlens/area", set()),
        ("imdlens/enrich,imdlens/area", set()),
        ("IMDLENS/ENRICH", set()),
        ("imdlens/enrich2", set()),
        ("", set()),
        ([], set()),
    ],
)
def test_words_that_the_table_lists_give_scopes_and_all_others_nothing(
    known: TokenReader, said: Any, scopes: set[str]
) -> None:
    assert known.caller(RS256.token(access_claims(scope=said)), NOW).scopes == scopes


def test_a_token_without_scopes_may_do_nothing(known: TokenReader) -> None:
    assert known.caller(RS256.token(without(access_claims(), "scope")), NOW).scopes == set()


@pytest.mark.parametrize("said", [None, 1, True, {"imdlens/enrich": True}, [["imdlens/enrich"]], ["imdlens/enrich", 1]])
def test_scopes_are_a_text_or_a_list_of_texts(known: TokenReader, said: Any) -> None:
    assert refused(known, RS256.token(access_claims(scope=said))) == "claims"


def test_other_claims_may_name_the_client_and_its_scopes(tmp_path: Path) -> None:
    file = FILE.replace('client_claim = "azp"', 'client_claim = "appid"\nscope_claim = "roles"')
    other = reader(tmp_path, file)
    token = RS256.token(access_claims(appid="portal-azp-id", azp="epr-azp-id", roles=["imdlens/area"]))
    assert other.caller(token, NOW)[:2] == ("portal", {"area"})
    default = reader(tmp_path, FILE.replace('client_claim = "azp"', ""))
    assert default.caller(RS256.token(access_claims(sub="portal-azp-id")), NOW).name == "portal"


# What is remembered


def test_a_token_is_verified_once_and_read_again_until_it_ends(
    known: TokenReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = RS256.token(access_claims(exp=NOW + 5, n="once"))
    first = known.caller(token, NOW)
    monkeypatch.setattr(tokens, "_verified", None)
    assert known.caller(token, NOW + 4.9) is first
    assert refused(known, token, NOW + 5) == "expired"
    assert refused(known, token, NOW + 86_400) == "expired"


def test_no_refusal_and_no_hook_is_remembered(known: TokenReader) -> None:
    before = dict(known._current.cache)
    known.hook(EPR_KEY.token(hook_claims()), HOOK, NOW)
    refused(known, RS256.token(access_claims(aud="another")))
    assert known._current.cache == before


def test_only_so_many_tokens_are_remembered_and_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_MAX_CACHED", 3)
    small = reader(tmp_path)
    signed = [ES256.token(access_claims(n=n)) for n in range(5)]
    for token in signed:
        small.caller(token, NOW)
    kept = [hashlib.sha256(token.encode()).digest() for token in signed[2:]]
    assert list(small._current.cache) == kept
    assert small.caller(signed[0], NOW)


def test_what_is_remembered_is_the_whole_token(known: TokenReader) -> None:
    token = RS256.token(access_claims(n="whole"))
    known.caller(token, NOW)
    data, _, signature = token.rpartition(".")
    assert refused(known, f"{data}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}") == "signature"


def test_the_token_of_a_key_that_was_taken_away_is_refused_at_once(tmp_path: Path) -> None:
    changing = reader(tmp_path)
    token = RS256.token(access_claims())
    assert changing.caller(token, NOW)
    (tmp_path / "idp.json").write_text(key_set(ES256.jwk()))
    assert changing.caller(token, NOW)
    changing.refresh(0.0)
    assert refused(changing, token) == "key"
    assert changing.caller(ES256.token(access_claims()), NOW)


def test_what_old_keys_verified_during_a_change_is_not_remembered_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changing = reader(tmp_path)
    token = RS256.token(access_claims())
    real = tokens._verified

    def slow(*arguments: Any) -> Any:
        result = real(*arguments)
        (tmp_path / "idp.json").write_text(key_set(ES256.jwk()))
        changing.refresh(0.0)
        return result

    monkeypatch.setattr(tokens, "_verified", slow)
    assert changing.caller(token, NOW)
    monkeypatch.setattr(tokens, "_verified", real)
    assert refused(changing, token) == "key"
