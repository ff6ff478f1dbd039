"""What tests of tokens share: keys of every kind, tokens written by hand, and a file that lists their signers."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from app.access.tokens import TokenReader

NOW = 1_800_000_000.0
BASE = "https://imd-lens.example.nhs.uk"
IDP = "https://login.example.nhs.uk/realms/trust"
ENGINE = "b5d5a3f0-6c1d-4f4c-9d0a-3a1f5f1f2a11"
EPR = "https://epr.example.nhs.uk"
JKU = "https://epr.example.nhs.uk/jwks.json"
HOOK = "/cds-services/deprivation-context"
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
HASHES: dict[str, Any] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
ALL = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", *CURVES, "EdDSA")

FILE = f"""
[[issuer]]
name = "trust-login"
issuer = "{IDP}"
audience = "{BASE}"
jwks_file = "idp.json"
algorithms = {list(ALL)}
client_claim = "azp"
[issuer.clients]
"epr-azp-id" = "epr"
"portal-azp-id" = "portal"
[issuer.scopes]
"imdlens/enrich" = "enrich"
"imdlens/area" = "area"

[[client]]
name = "integration-engine"
id = "{ENGINE}"
audience = "{BASE}"
jwks_file = "engine.json"
algorithms = ["RS512"]
scopes = ["enrich", "area"]

[[cds_client]]
name = "epr"
issuer = "{EPR}"
jku = "{JKU}"
jwks_file = "epr.json"
audience_base = "{BASE}"
"""


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class Signer(NamedTuple):
    """A private key and what it signs by."""

    algorithm: str
    private: Any
    kid: str

    def jwk(self, **more: Any) -> dict[str, Any]:
        """The public key, as a key set lists it; None takes a member away."""
        public = self.private.public_key()
        kind = {"R": RSAAlgorithm, "P": RSAAlgorithm, "E": ECAlgorithm}[self.algorithm[0]]
        kind = OKPAlgorithm if self.algorithm == "EdDSA" else kind
        jwk: dict[str, Any] = kind.to_jwk(public, as_dict=True) | {"kid": self.kid, "use": "sig"} | more
        return {name: value for name, value in jwk.items() if value is not None}

    def sign(self, data: bytes) -> bytes:
        """A signature as JWS wants it."""
        if self.algorithm == "EdDSA":
            return self.private.sign(data)  # type: ignore[no-any-return]
        digest = HASHES[self.algorithm[2:]]
        if self.algorithm.startswith("ES"):
            size = (self.private.key_size + 7) // 8
            r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(digest)))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
        return self.private.sign(data, padding.PKCS1v15() if self.algorithm[0] == "R" else pss, digest)  # type: ignore[no-any-return]

    def token(self, claims: Mapping[str, Any] | str, **header: Any) -> str:
        """A token; None takes a member of the header away. A text is signed as it stands."""
        said = {"alg": self.algorithm, "typ": "JWT", "kid": self.kid} | header
        head = json.dumps({name: value for name, value in said.items() if value is not None})
        body = claims if isinstance(claims, str) else json.dumps(claims)
        data = f"{b64(head.encode())}.{b64(body.encode())}"
        return f"{data}.{b64(self.sign(data.encode()))}"


@cache
def signer(algorithm: str, kid: str = "one", number: int = 0) -> Signer:
    """A key of the kind that this algorithm wants; another for each number. Keys are costly, so each is made once."""
    return Signer(algorithm, _private("RSA" if algorithm[0] in "RP" else algorithm, number), kid)


@cache
def _private(kind: str, number: int) -> Any:
    if kind == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(CURVES[kind])


IDP_KEYS = {name: signer(name, f"idp-{name}") for name in ALL}
ENGINE_KEY = signer("RS512", "engine", 1)
EPR_KEY = signer("ES384", "epr", 2)


def key_set(*jwks: Mapping[str, Any]) -> str:
    return json.dumps({"keys": list(jwks)})


def write_file(folder: Path, text: str = FILE) -> Path:
    """The file of who may send tokens, and the key sets that it names."""
    (folder / "idp.json").write_text(key_set(*(key.jwk() for key in IDP_KEYS.values())))
    (folder / "engine.json").write_text(key_set(ENGINE_KEY.jwk()))
    (folder / "epr.json").write_text(key_set(EPR_KEY.jwk()))
    path = folder / "access.toml"
    path.write_text(text)
    return path


def reader(folder: Path, text: str = FILE) -> TokenReader:
    return TokenReader.read(write_file(folder, text))


def without(claims: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in claims.items() if name not in names}


def access_claims(**more: Any) -> dict[str, Any]:
    return {
        "iss": IDP, "sub": "service-account", "azp": "epr-azp-id", "aud": BASE, "scope": "imdlens/enrich",
        "iat": NOW - 10, "exp": NOW + 600,
    } | more  # fmt: skip


def client_claims(**more: Any) -> dict[str, Any]:
    return {"iss": ENGINE, "sub": ENGINE, "aud": BASE, "iat": NOW - 10, "exp": NOW + 290} | more


def hook_claims(**more: Any) -> dict[str, Any]:
    return {"iss": EPR, "aud": BASE + HOOK, "iat": NOW - 10, "exp": NOW + 290, "jti": "a-nonce"} | more
