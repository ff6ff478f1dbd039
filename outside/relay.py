"""What an integration engine does for a system that cannot send a key: passes on what is asked, with the key."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

PASSED_ON = ("content-type", "accept")


@dataclass
class Relay:
    """The address to ask at, and what came back through it: not every client shows the answer it was given."""

    url: str
    answers: list[httpx.Response] = field(default_factory=list)

    @property
    def last(self) -> httpx.Response:
        return self.answers[-1]


@contextmanager
def relaying(target: str, key: str) -> Iterator[Relay]:
    """A relay on this machine alone, to a service that wants a key."""

    class Handler(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
            headers["Authorization"] = f"Bearer {key}"
            answer = service.request(self.command, self.path, content=sent, headers=headers)
            relay.answers.append(answer)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["content-type"])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = pass_on  # noqa: N815 - the names that http.server asks for

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, httpx.Client(base_url=target) as service:
        relay = Relay(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield relay
        finally:
            server.shutdown()
            thread.join()
