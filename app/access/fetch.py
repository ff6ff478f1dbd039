"""Fetches one small file from an address that the operator wrote down: the one call that this service ever makes."""

import asyncio
from typing import Final
from urllib.parse import urlsplit

SECONDS: Final = 5.0
MAX_BYTES: Final = 262_144
_THIS_MACHINE: Final = frozenset({"127.0.0.1", "localhost"})


class FetchError(Exception):
    """Nothing was fetched; the message ends a sentence and holds nothing of the address or the answer."""


def may_fetch(url: str) -> bool:
    """Whether this may be fetched: https, or http on this machine; without a name, a password or a fragment."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # ValueError where it is none
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _THIS_MACHINE)
    return plain and secure and bool(parts.hostname) and "@" not in parts.netloc and "#" not in url


def fetch(url: str) -> bytes:
    """What stands at this address, after at most SECONDS in all. Blocks, so never call it on an event loop.

    FetchError for any other answer than 200 (a redirect is not followed), for more than MAX_BYTES, for compressed
    answers, and when nothing comes.
    """
    import httpx  # here, as a service without such an address does without it

    async def get() -> bytes:
        # A limit to each read alone would let a server drip for hours.
        client = httpx.AsyncClient(
            follow_redirects=False,
            timeout=SECONDS,
            trust_env=url.startswith("https:"),  # the proxy and the certificates of this deployment
        )
        async with asyncio.timeout(SECONDS), client:
            headers = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}
            async with client.stream("GET", url, headers=headers) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise FetchError("was not answered with 200")
                if "content-encoding" in answer.headers:
                    raise FetchError("was answered compressed")
                body = b""
                async for part in answer.aiter_raw(65_536):
                    body += part
                    if len(body) > MAX_BYTES:
                        raise FetchError(f"is larger than {MAX_BYTES} bytes")
                return body

    try:
        return asyncio.run(get())
    except FetchError:
        raise
    except TimeoutError:
        raise FetchError(f"was not answered within {SECONDS:.0f} seconds") from None
    except Exception as error:  # noqa: BLE001 - whatever a server brings about, keys at other addresses must be renewed
        raise FetchError(f"cannot be fetched ({type(error).__name__})") from None
