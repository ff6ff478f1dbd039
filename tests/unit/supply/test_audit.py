"""An audit that found nothing, one that found a fault and one that asked nobody are told apart. The tool is real."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from supply.audit import Outcome, audit, read

FAULT = {
    "id": "PYSEC-2026-1",
    "summary": "An invented fault",
    "modified": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.7"}]}],
        }
    ],
}


class Advisories(BaseHTTPRequestHandler):
    """Speaks OSV's language: knows one fault, in jinja2, or fails as it is told to."""

    broken: str | None = None

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"vulns": [FAULT]} if asked["package"]["name"] == "jinja2" else {})
        self.send_response(503 if self.broken == "" else 200)
        self.end_headers()
        self.wfile.write((body if self.broken is None else self.broken).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def advisories(answer: str | None = None) -> Iterator[str]:
    handler = type("Handler", (Advisories,), {"broken": answer})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def pinned(folder: Path, *lines: str) -> Path:
    path = folder / "constraints.txt"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_a_known_fault_fails_and_names_package_fault_and_the_version_that_mends_it(tmp_path: Path) -> None:
    with advisories() as url:
        found = audit(pinned(tmp_path, "Jinja2==3.1.6", "idna==3.20"), osv_url=url)
    assert (found.outcome, found.checked, found.passes) == (Outcome.FAULTS, 2, False)
    assert "jinja2 3.1.6: PYSEC-2026-1, mended in 3.1.7" in found.words()


def test_without_a_fault_it_passes_and_says_how_many_versions_were_asked_about(tmp_path: Path) -> None:
    with advisories() as url:
        found = audit(pinned(tmp_path, "h11==0.16.0", "idna==3.20"), osv_url=url)
    assert (found.words(), found.passes) == ("no known fault in 2 pinned versions", True)


def test_where_nobody_listens_it_says_that_nothing_was_checked_and_passes(tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and never listens
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"
        found = audit(pinned(tmp_path, "idna==3.20"), osv_url=url)
    assert (found.words(), found.passes) == ("not checked: no advisory service could be reached", True)


@pytest.mark.parametrize("answer", ["", "<html>A proxy's page</html>"])
def test_an_error_or_another_page_in_its_place_is_not_taken_for_a_clean_answer(tmp_path: Path, answer: str) -> None:
    with advisories(answer) as url:
        assert audit(pinned(tmp_path, "idna==3.20"), osv_url=url).outcome is Outcome.UNREACHED


def test_a_tool_that_cannot_read_its_input_fails_rather_than_passing_for_an_absent_network(tmp_path: Path) -> None:
    with advisories() as url:
        found = audit(pinned(tmp_path, "this is no requirement"), osv_url=url)
    assert (found.outcome, found.passes) == (Outcome.BROKEN, False)


def test_versions_that_the_service_does_not_know_were_not_checked_and_are_named() -> None:
    skipped = {"name": "imd-lens", "skip_reason": "Dependency not found on PyPI and could not be audited"}
    assert read({"dependencies": [skipped]}).outcome is Outcome.UNREACHED
    known = {"name": "idna", "version": "3.20", "vulns": []}
    assert read({"dependencies": [known, skipped]}).words().splitlines() == [
        "no known fault in 1 pinned versions",
        "not checked: the advisory service does not know imd-lens",
    ]
