"""TLS, and certificates of clients, as the settings say."""

import datetime
import ipaddress
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.integration.running import free_port, imdlens
from tests.service import bearer, key_in


class Issued(NamedTuple):
    certificate: x509.Certificate
    private: ec.EllipticCurvePrivateKey


def issue(name: str, by: Issued | None = None, usage: Any = None, hosts: tuple[str, ...] = ()) -> Issued:
    """A certificate for 127.0.0.1 and the hosts named, good for a day; by itself when nobody signs it."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    if by:
        here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        names = x509.SubjectAlternativeName([here, *(x509.DNSName(host) for host in hosts)])
        builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return Issued(builder.sign(by.private if by else private, hashes.SHA256()), private)


def write(folder: Path, name: str, issued: Issued) -> tuple[str, str]:
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(issued.certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    key.write_bytes(issued.private.private_bytes(serialization.Encoding.PEM, form, plain))
    return str(certificate), str(key)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    folder = tmp_path_factory.mktemp("certificates")
    authority, stranger = issue("authority"), issue("stranger")
    client = ExtendedKeyUsageOID.CLIENT_AUTH
    made = {
        "authority": authority,
        "server": issue("127.0.0.1", authority, ExtendedKeyUsageOID.SERVER_AUTH),
        "engine": issue("engine", authority, client),
        "stranger": issue("engine", stranger, client),
    }
    return {name: write(folder, name, issued) for name, issued in made.items()}


def context(certificates: dict[str, tuple[str, str]], client: str | None = None) -> ssl.SSLContext:
    found = ssl.create_default_context(cafile=certificates["authority"][0])
    if client:
        found.load_cert_chain(*certificates[client])
    return found


@contextmanager
def serving_tls(folder: Path, verify: ssl.SSLContext, **environment: str) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve", "--port", str(port)],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url, end = f"https://127.0.0.1:{port}", time.monotonic() + 60
        while time.monotonic() < end and process.poll() is None:
            try:
                if httpx.get(f"{url}/readyz", verify=verify, timeout=2).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        else:
            raise AssertionError("it never became ready")
        yield url
    finally:
        process.terminate()
        process.wait(30)


def test_with_a_certificate_it_speaks_tls_and_nothing_else(
    starter: Path, tmp_path: Path, certificates: dict[str, tuple[str, str]]
) -> None:
    named = {"IMDLENS_DATA_DIR": str(starter), "IMDLENS_COUNTS_DIR": str(tmp_path / "counts")}
    tls = dict(zip(("IMDLENS_TLS_CERTIFICATE", "IMDLENS_TLS_KEY"), certificates["server"], strict=True))
    key, verify = bearer(key_in(tmp_path, **named)), context(certificates)
    with serving_tls(tmp_path, verify, **named, **tls) as url:
        answer = httpx.post(f"{url}/v1/enrich", json={"postcode": "NG1 1AA"}, headers=key, verify=verify)
        assert answer.json()["imd_decile"] == 3
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{url.replace('https', 'http')}/livez")
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/livez")  # nobody who does not know the authority believes it
        old = context(certificates)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/livez", verify=old)


def test_with_an_authority_of_clients_only_theirs_get_through(
    starter: Path, tmp_path: Path, certificates: dict[str, tuple[str, str]]
) -> None:
    named = {"IMDLENS_DATA_DIR": str(starter), "IMDLENS_COUNTS_DIR": str(tmp_path / "counts")}
    tls = dict(zip(("IMDLENS_TLS_CERTIFICATE", "IMDLENS_TLS_KEY"), certificates["server"], strict=True))
    tls["IMDLENS_TLS_CLIENT_CA"] = certificates["authority"][0]
    engine = context(certificates, "engine")
    with serving_tls(tmp_path, engine, **named, **tls) as url:
        for stranger in (None, "stranger"):
            with pytest.raises(httpx.HTTPError):
                httpx.get(f"{url}/livez", verify=context(certificates, stranger))
        # A certificate opens the connection; who may ask is still said by a key.
        refused = httpx.post(f"{url}/v1/enrich", json={"postcode": "NG1 1AA"}, verify=engine)
        assert refused.status_code == 401


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"IMDLENS_TLS_CERTIFICATE": "x.pem"}, "IMDLENS_TLS_KEY"),
        ({"IMDLENS_TLS_KEY": "x.key"}, "IMDLENS_TLS_CERTIFICATE"),
        ({"IMDLENS_TLS_CLIENT_CA": "x.pem"}, "IMDLENS_TLS_CERTIFICATE"),
        ({"IMDLENS_TLS_CERTIFICATE": "x.pem", "IMDLENS_TLS_KEY": "x.key"}, "x.pem"),
    ],
)
def test_half_a_configuration_stops_the_start_and_is_never_plain_text(
    tmp_path: Path, environment: dict[str, str], named: str
) -> None:
    refused = imdlens("serve", "--port", "0", cwd=tmp_path, **environment)
    assert refused.returncode == 1
    assert named in refused.stderr
    assert "Traceback" not in refused.stderr
