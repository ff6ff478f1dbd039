"""Sends any number of records to `/v1/enrich/stream` and gives the answers while they come. Standard library alone.

Two threads: one sends, one reads. Most HTTP libraries (httpx, requests) send the whole body before they read anything:
with a long one, each side would wait for the other. For plain HTTP, beside the service; for TLS take curl.
"""

import socket
from collections.abc import Iterable, Iterator
from http.client import HTTPConnection, HTTPException
from threading import Thread
from typing import Final
from urllib.parse import urlsplit

SECONDS: Final = 120
"""How long nothing may come: a client that used up its allowance of rows waits for up to a minute."""
_MOST_READ: Final = 64 * 2**10


class RefusedError(Exception):
    """The service does not take the stream; the message is its problem details."""


def answers(
    url: str, key: str, body: Iterable[bytes], kind: str = "application/x-ndjson", query: str = ""
) -> Iterator[bytes]:
    """Pieces of the answer to a body, both of any length and cut anywhere.

    RefusedError before the first piece; http.client.HTTPException or OSError where the answer breaks off, or what
    `body` raised. Then what came is not whole: do not use it as if it were.
    """
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "localhost", parts.port, timeout=SECONDS)
    try:
        connection.putrequest("POST", f"{parts.path}/v1/enrich/stream{query}")
        for name, value in (
            ("Authorization", f"Bearer {key}"),
            ("Content-Type", kind),
            ("Transfer-Encoding", "chunked"),
        ):
            connection.putheader(name, value)
        connection.endheaders()
        broken: list[BaseException] = []
        sender = Thread(target=_send, args=(connection.sock, body, broken), daemon=True)
        sender.start()
        try:
            response = connection.getresponse()
            if response.status != 200:
                raise RefusedError(response.read().decode())
            while piece := response.read1(_MOST_READ):
                yield piece
            sender.join()
        except (HTTPException, OSError):
            if broken:  # it breaks off since the body did
                raise broken[0] from None
            raise
    finally:
        connection.close()


def _send(to: socket.socket, body: Iterable[bytes], broken: list[BaseException]) -> None:
    try:
        for piece in body:
            if piece:  # an empty chunk would be the end
                to.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        to.sendall(b"0\r\n\r\n")
    except OSError:
        pass  # whoever reads learns what it was
    except BaseException as error:  # noqa: BLE001 - raised again by whoever reads
        broken.append(error)
        to.shutdown(socket.SHUT_RDWR)  # a body that breaks off must not look whole either
