"""A client of `POST /v1/enrich` that never holds a clinic up: an answer in time, or None. An example to copy."""

import logging
import time
from typing import Any, Final

import httpx

SECONDS: Final = 0.3  # to connect, and again for each wait for bytes
log: Final = logging.getLogger("imdlens.client")


def connect(url: str, api_key: str) -> httpx.Client:
    """Connections to the service at `url`. Make one when your program starts, and share it between threads.

    Read the key from where your programs keep secrets: never from the code, never from an address.
    """
    headers = {"Authorization": f"Bearer {api_key}"}
    return httpx.Client(base_url=url, headers=headers, timeout=SECONDS, trust_env=False)  # no proxy sees a postcode


def enrich_or_none(
    client: httpx.Client, postcode: str | None, contact: dict[str, Any] | None, key: str, patience: float = 0
) -> dict[str, Any] | None:
    """The answer, or None where there is none in time: show nothing then, and carry on.

    `key` is sent as `Idempotency-Key`: an opaque id of the contact, the same each time that the contact is sent, so
    that it counts once. The second try comes at once after a broken connection, and after a 503 or 429 when its
    `Retry-After` is at most `patience` seconds: none in a clinic, more in a queue that works behind it.
    """
    for last in (False, True):
        try:
            response = client.post(
                "/v1/enrich", json={"postcode": postcode, "contact": contact}, headers={"Idempotency-Key": key}
            )
        except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
            log.warning("no answer: %s", type(error).__name__)
            continue
        except httpx.HTTPError as error:  # a time-out most of all: it may have been counted, and time is up
            log.warning("no answer: %s", type(error).__name__)
            return None
        if response.status_code == 200:
            return _answer(response)
        log.warning("no answer: status %d", response.status_code)  # never the body, never what was sent
        wait = response.headers.get("Retry-After", "")
        if response.status_code not in (429, 503) or last or not wait.isdecimal() or int(wait) > patience:
            return None
        time.sleep(int(wait))
    return None


def _answer(response: httpx.Response) -> dict[str, Any] | None:
    try:
        answer = response.json()
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
