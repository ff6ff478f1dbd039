"""The operator's file of who may send tokens, and key sets: read strictly, and refused without quoting them."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from app.access.access_file import AccessFileError, read_access_file
from app.access.fetch import may_fetch
from app.access.jwks import KeySetError, read_keys
from app.access.tokens import TokenReader
from tests.unit.access.signers import (
    ALL,
    BASE,
    ENGINE,
    ENGINE_KEY,
    EPR,
    EPR_KEY,
    FILE,
    HOOK,
    IDP,
    IDP_KEYS,
    JKU,
    NOW,
    client_claims,
    hook_claims,
    key_set,
    reader,
    signer,
    write_file,
)

RSA_1024 = json.loads(RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key()))  # noqa: S505
ISSUER, CLIENT, CDS = "access.toml, issuer 1", "access.toml, client 1", "access.toml, cds_client 1"


def test_a_file_lists_parties_of_three_kinds_by_what_their_tokens_say(tmp_path: Path) -> None:
    parties, sources = read_access_file(write_file(tmp_path))
    assert [(iss, party.name) for iss, party in parties.items()] == [
        (IDP, "trust-login"),
        (ENGINE, "integration-engine"),
        (EPR, "epr"),
    ]
    assert parties[EPR].algorithms == {"ES384", "RS384"}
    assert list(sources) == [("jwks_file", "idp.json"), ("jwks_file", "engine.json"), ("jwks_file", "epr.json")]


def test_a_file_that_lists_nobody_lets_nobody_in(tmp_path: Path) -> None:
    assert read_access_file(write_file(tmp_path, "")) == ({}, {})
    assert TokenReader.read(write_file(tmp_path, "")).problem is None


def test_parties_of_one_key_set_share_it(tmp_path: Path) -> None:
    file = (
        FILE
        + f"""
[[cds_client]]
name = "other-epr"
issuer = "other"
jwks_file = "epr.json"
audience_base = "{BASE}"
"""
    )
    parties, sources = read_access_file(write_file(tmp_path, file))
    assert len(sources) == 3
    assert parties["other"].keys is parties[EPR].keys


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[[issuer]]", "[issuer]", "access.toml: issuer is not an array of tables: write [[issuer]]."),
        ("[[client]]", "[[clients]]", "access.toml: there is no clients; there are issuer, client, cds_client."),
        ('name = "trust-login"', "", f"{ISSUER}, name: a text is missing, or begins or ends with a space."),
        ('name = "trust-login"', "name = 7", f"{ISSUER}, name: a text is missing, or begins or ends with a space."),
        ("trust-login", "Trust", f"{ISSUER}, name: a name has 1 to 40 of a-z"),
        ('"portal"', '"someone@nhs.uk"', f"{ISSUER}, clients: a name has 1 to 40 of a-z"),
        ('"portal"', "7", f"{ISSUER}, clients: a table of texts is missing."),
        ('[issuer.clients]\n"epr-azp-id" = "epr"\n"portal-azp-id" = "portal"', "", f"{ISSUER}, clients: a table of"),
        ('"epr-azp-id" = "epr"\n"portal-azp-id" = "portal"', "", f"{ISSUER}, clients: a table of texts is missing."),
        ('= "area"', '= "everything"', f"{ISSUER}, scopes: holds something that is none of enrich, area,"),
        (f'issuer = "{IDP}"', "", f"{ISSUER}, issuer: a text is missing"),
        (f'issuer = "{IDP}"', f'issuer = " {IDP}"', f"{ISSUER}, issuer: a text is missing, or begins or ends"),
        (f'audience = "{BASE}"\njwks_file = "idp', 'audience = ""\njwks_file = "idp', f"{ISSUER}, audience: a text"),
        ('client_claim = "azp"', 'client_claim = ["azp"]', f"{ISSUER}, client_claim: a text is missing"),
        ('client_claim = "azp"', 'clientclaim = "azp"', f"{ISSUER}: there is no clientclaim; there are algorithms, "),
        (f"algorithms = {list(ALL)}", "", f"{ISSUER}, algorithms: a list of texts is missing."),
        (f"algorithms = {list(ALL)}", "algorithms = []", f"{ISSUER}, algorithms: a list of texts is missing."),
        (f"algorithms = {list(ALL)}", 'algorithms = ["none"]', f"{ISSUER}, algorithms: holds something that is none"),
        (f"algorithms = {list(ALL)}", 'algorithms = ["RS256", "HS256"]', f"{ISSUER}, algorithms: holds something"),
        (f"algorithms = {list(ALL)}", 'algorithms = "RS256"', f"{ISSUER}, algorithms: a list of texts is missing."),
        ('jwks_file = "idp.json"', "", f"{ISSUER}: needs either jwks_file or jwks_url."),
        ('jwks_file = "idp.json"', 'jwks_file = "idp.json"\njwks_url = "https://a"', f"{ISSUER}: needs either"),
        ('jwks_file = "idp.json"', 'jwks_file = "none.json"', f"{ISSUER}, jwks_file: cannot be read: No such file or"),
        ('jwks_file = "idp.json"', 'jwks_file = "access.toml"', f"{ISSUER}, jwks_file: is not a JWK Set."),
        ('jwks_file = "idp.json"', 'jwks_file = "epr.json"', ""),
        ('jwks_file = "engine.json"', 'jwks_file = "epr.json"', f"{CLIENT}, jwks_file: holds no key for any of the"),
        ('jwks_file = "idp.json"', 'jwks_url = "http://a.nhs.uk/k"', f"{ISSUER}, jwks_url: is not an https address"),
        ('jwks_file = "idp.json"', 'jwks_url = "https://u:secret@a/k"', f"{ISSUER}, jwks_url: is not an https address"),
        (f'id = "{ENGINE}"', "", f"{CLIENT}, id: a text is missing"),
        (f'id = "{ENGINE}"', f'id = "{IDP}"', f"{CLIENT}, id: stands in another table already."),
        (f'issuer = "{EPR}"', f'issuer = "{ENGINE}"', f"{CDS}, issuer: stands in another table already."),
        ('scopes = ["enrich", "area"]', "", f"{CLIENT}, scopes: a list of texts is missing."),
        ('scopes = ["enrich", "area"]', 'scopes = ["root"]', f"{CLIENT}, scopes: holds something that is none of enr"),
        (f'jku = "{JKU}"', "jku = true", f"{CDS}, jku: a text is missing"),
        (f'jku = "{JKU}"', 'algorithms = ["RS256"]', f"{CDS}, algorithms: holds something that is none of ES384,"),
        (f'audience_base = "{BASE}"', f'audience_base = "{BASE}/"', f"{CDS}, audience_base: is not an address without"),
        (f'audience_base = "{BASE}"', 'audience_base = "imd"', f"{CDS}, audience_base: is not an address without a"),
        (f'audience_base = "{BASE}"', f'scopes = ["admin"]\naudience_base = "{BASE}"', f"{CDS}: there is no scopes;"),
        ("[[client]]", "[[client]", "access.toml is not TOML (at line"),
        ('name = "trust-login"', 'name = "trust-login"\nname = "secret"', "access.toml is not TOML (at line"),
    ],
)  # fmt: skip
def test_a_file_that_must_not_be_used_says_where_and_quotes_nothing(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in FILE
    path = write_file(tmp_path, FILE.replace(old, new, 1))
    if not said:
        assert TokenReader.read(path)
        return
    with pytest.raises(AccessFileError) as caught:
        TokenReader.read(path)
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith(".")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "same", "said"),
    [
        ("client", 'name = "integration-engine"', "access.toml, client 2, name: stands twice."),
        ("client", f'id = "{ENGINE}"', "access.toml, client 2, id: stands in another table already."),
        ("cds_client", f'issuer = "{EPR}"', "access.toml, cds_client 2, issuer: stands in another table already."),
    ],
)
def test_a_name_and_an_issuer_stand_once(tmp_path: Path, kind: str, same: str, said: str) -> None:
    table = FILE[FILE.index(f"[[{kind}]]") :].split("\n\n")[0]
    for line in table.splitlines():
        if line.startswith(("name", "id", "issuer")) and line != same:
            table = table.replace(line, f'{line.split(" = ")[0]} = "another"')
    with pytest.raises(AccessFileError) as caught:
        reader(tmp_path, f"{FILE}\n{table}\n")
    assert str(caught.value) == said


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(AccessFileError, match=r"^access\.toml cannot be read: No such file or directory\.$"):
        TokenReader.read(tmp_path / "access.toml")
    (tmp_path / "access.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(AccessFileError, match=r"^access\.toml is not UTF-8 text\.$"):
        TokenReader.read(tmp_path / "access.toml")


@pytest.mark.parametrize(
    "address", ["https://a.example/k", "https://a:8443/k?x=1", "http://127.0.0.1:80/", "http://localhost/k"]
)
def test_keys_are_fetched_by_https_or_from_this_machine(address: str) -> None:
    assert may_fetch(address)


@pytest.mark.parametrize(
    "address",
    [
        "http://a.example/k", "http://127.0.0.1.evil.example/", "http://127.0.0.1@evil.example/", "http://localhost.evil/",
        "file:///etc/passwd", "ftp://a/k", "https://", "https:///k", "https://a:b/k", "https://u@a/k", "https://a/k#x",
        "https://a/ k", "https://é/k", "https://a\\@b/k", "https://a/\nk", "//a/k", "a", "", "https://[a/k", "http://0/k",
    ],
)  # fmt: skip
def test_no_other_address_is_fetched(address: str) -> None:
    assert not may_fetch(address)


# Key sets


def test_keys_that_check_no_signatures_are_left_out() -> None:
    rsa_key, ec_key = IDP_KEYS["RS256"], IDP_KEYS["ES256"]
    secp256k1 = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256K1()).public_key()))
    x448 = json.loads(OKPAlgorithm.to_jwk(ed448.Ed448PrivateKey.generate().public_key()))
    listed: list[dict[str, Any]] = [
        rsa_key.jwk(kid="enc", use="enc"),
        rsa_key.jwk(kid="oaep", alg="RSA-OAEP"),
        rsa_key.jwk(kid="hmac", alg="HS256"),
        rsa_key.jwk(kid="odd", alg=["RS256"]),
        ec_key.jwk(kid="curve", alg="ES384"),
        rsa_key.jwk(kid="wrap", key_ops=["wrapKey"]),
        rsa_key.jwk(kid="ops", key_ops="verify"),
        {"kty": "AKP", "kid": "new"},
        {"kty": ["RSA"], "kid": "list"},
        {"kid": "nothing"},
        {},
        secp256k1,
        x448,
    ]
    keys = read_keys(key_set(*listed, rsa_key.jwk(kid="good", x5c=["AA"], use=None)).encode())
    assert list(keys.by_kid) == ["good"]
    assert keys.only == keys.find("good") == keys.find(None)
    with pytest.raises(KeySetError, match="holds no key that checks signatures"):
        read_keys(key_set(*listed).encode())


@pytest.mark.parametrize("name", ["d", "p", "k"])
def test_a_private_or_shared_key_is_refused_whatever_it_is_for(name: str) -> None:
    good = IDP_KEYS["RS256"].jwk()
    for bad in (
        IDP_KEYS["ES256"].jwk(**{name: "c2VjcmV0"}),
        IDP_KEYS["RS384"].jwk(use="enc", **{name: "c2VjcmV0"}),
        {"kty": "oct", "kid": "x"},
        {"kty": "oct", "kid": "x", "k": "c2VjcmV0"},
    ):
        with pytest.raises(KeySetError, match=r"^holds a private or shared key \(key 2\)") as caught:
            read_keys(key_set(good, bad).encode())
        assert "c2VjcmV0" not in str(caught.value)


@pytest.mark.parametrize(
    ("jwks", "said"),
    [
        ([RSA_1024], r"an RSA key of fewer than 2048 bits"),
        ([IDP_KEYS["RS256"].jwk(n="AQAB" * 400)], r"more than 8192 \(key 1\)"),
        ([IDP_KEYS["RS256"].jwk(kid=None), IDP_KEYS["ES256"].jwk()], r"several keys, and one without a kid"),
        ([IDP_KEYS["RS256"].jwk(kid="a"), IDP_KEYS["ES256"].jwk(kid="a")], r"stands twice \(key 2\)"),
        ([IDP_KEYS["RS256"].jwk(kid=1)], r"a kid that is no text"),
        ([IDP_KEYS["ES256"].jwk(x="AAAA")], r"cannot be read \(key 1\)"),
        ([IDP_KEYS["ES256"].jwk(x=None)], r"cannot be read \(key 1\)"),
        ([IDP_KEYS["ES256"].jwk(x="A" * 43)], r"cannot be read \(key 1\)"),
        ([IDP_KEYS["RS256"].jwk(e="AQ")], r"cannot be read \(key 1\)"),
        ([IDP_KEYS["RS256"].jwk(n=7)], r"cannot be read \(key 1\)"),
        ([IDP_KEYS["EdDSA"].jwk(x="AAAA")], r"cannot be read \(key 1\)"),
        ([IDP_KEYS["EdDSA"].jwk(x={})], r"cannot be read \(key 1\)"),
        ([], r"holds no key that checks signatures"),
        ([{}] * 101, r"at most 100 keys"),
    ],
)
def test_a_key_set_that_must_not_be_used_says_why(jwks: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(KeySetError, match=said):
        read_keys(key_set(*jwks).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"1", b'"keys"', b"{}", b'{"keys": {}}', b'{"keys": [1]}', b'{"keys": null}', b"<html>",
     b'{"keys": [], "keys": []}', b"[" * 9000, b"\xff", b" " * 262_145],
)  # fmt: skip
def test_what_is_no_key_set_is_refused(data: bytes) -> None:
    with pytest.raises(KeySetError):
        read_keys(data)


# Files that change


def test_a_change_of_the_file_is_taken_up_without_a_restart(tmp_path: Path) -> None:
    changing = reader(tmp_path)
    assert changing.caller(ENGINE_KEY.token(client_claims()), NOW).scopes == {"enrich", "area"}
    write_file(tmp_path, FILE.replace('scopes = ["enrich", "area"]', 'scopes = ["breakdowns"]'))
    changing.refresh(0.0)
    assert changing.caller(ENGINE_KEY.token(client_claims()), NOW).scopes == {"breakdowns"}
    assert changing.problem is None


def test_a_change_that_must_not_be_used_is_told_once_and_the_old_stays_in_force(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changing = reader(tmp_path)
    write_file(tmp_path, FILE.replace('jwks_file = "engine.json"', 'jwks_file = "none.json"'))
    for _ in range(3):
        changing.refresh(0.0)
    sentence = f"{CLIENT}, jwks_file: cannot be read: No such file or directory."
    assert changing.problem == sentence
    assert [r.getMessage() for r in caplog.records] == [f"{sentence} Tokens are read by what was good before."]
    assert changing.caller(ENGINE_KEY.token(client_claims()), NOW)
    # Its own time did not change, and yet it is tried again.
    (tmp_path / "none.json").write_text(key_set(signer("RS512", "new", 7).jwk()))
    changing.refresh(0.0)
    assert changing.problem is None
    assert caplog.records[-1].getMessage() == "all that tokens are read by is well again"
    assert changing.caller(signer("RS512", "new", 7).token(client_claims()), NOW)


@pytest.mark.parametrize(
    "content", [None, "", '{"keys": []}', key_set(RSA_1024)], ids=["gone", "empty", "no keys", "weak"]
)
def test_keys_that_can_no_longer_be_read_stay_as_they_were_and_are_told(tmp_path: Path, content: str | None) -> None:
    changing = reader(tmp_path)
    file = tmp_path / "epr.json"
    good = file.read_text()
    file.unlink() if content is None else file.write_text(content)
    changing.refresh(0.0)
    assert str(changing.problem).startswith(f"{CDS}, jwks_file: ")
    assert changing.hook(EPR_KEY.token(hook_claims()), HOOK, NOW)
    file.write_text(good)
    changing.refresh(0.0)
    assert changing.problem is None


def test_a_party_taken_out_is_refused_and_its_cached_tokens_too(tmp_path: Path) -> None:
    changing = reader(tmp_path)
    token = ENGINE_KEY.token(client_claims())
    assert changing.caller(token, NOW)
    write_file(tmp_path, "")
    changing.refresh(0.0)
    with pytest.raises(Exception, match="issuer"):
        changing.caller(token, NOW)


def test_what_did_not_change_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same = reader(tmp_path)
    same.caller(ENGINE_KEY.token(client_claims()), NOW)
    before = same._current
    monkeypatch.setattr("app.access.jwks.read_keys", None)
    monkeypatch.setattr("app.access.tokens.read_access_file", None)
    same.refresh(0.0)
    assert same._current is before
