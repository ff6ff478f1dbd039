"""Asks a service on 127.0.0.1:8080 from within its own network: contacts in threads, and a stream that takes its time.

Started by image_check.py. Reads a key from its input, says `begun` when all is in flight, and then what became of it.
"""

import json
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException
from typing import Final

PORT: Final = 8080
THREADS: Final = 8


def main() -> None:
    """Send until all is sent or nobody answers."""
    key = sys.stdin.readline().strip()
    asker = Asker(key, int(sys.argv[1]))
    threads = [threading.Thread(target=asker.contacts) for _ in range(THREADS)]
    stream = threading.Thread(target=asker.stream)
    for thread in (stream, *threads):
        thread.start()
    asker.begun.wait(30)
    print("begun", flush=True)
    for thread in (stream, *threads):
        thread.join()
    print(json.dumps({"counted": asker.counted, "cut": asker.cut, "stream": asker.answered}))


class Asker:
    """What was sent, and what came of it."""

    def __init__(self, key: str, contacts: int) -> None:
        self.left, self.counted, self.cut, self.answered = contacts, 0, 0, 0
        self.begun, self._lock = threading.Event(), threading.Lock()
        self._headers = {"Authorization": f"Bearer {key}"}

    def contacts(self) -> None:
        """One contact after the other, until there are no more or the service is gone."""
        contact = {"specialty": "340", "type": "outpatient"}
        body = json.dumps({"postcode": "NG1 1AA", "contact": contact})
        connection = HTTPConnection("127.0.0.1", PORT, timeout=30)
        while True:
            with self._lock:
                if self.left <= 0:
                    return
                self.left -= 1
            sent = False
            try:
                connection.connect() if connection.sock is None else None
                sent = True
                connection.request("POST", "/v1/enrich", body, {**self._headers, "Content-Type": "application/json"})
                answer = json.loads(connection.getresponse().read())
            except (HTTPException, OSError):
                with self._lock:
                    self.cut += sent
                return
            with self._lock:
                self.counted += bool(answer.get("counted"))
            time.sleep(0.02)

    def stream(self) -> None:
        """A line, and another one when the service has been told to stop for some time."""
        line = b'{"postcode":"NG1 1AA"}\n'
        chunk = b"%x\r\n%s\r\n" % (len(line), line)
        connection = HTTPConnection("127.0.0.1", PORT, timeout=30)
        connection.putrequest("POST", "/v1/enrich/stream")
        kind = {"Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked"}
        for name, value in {**self._headers, **kind}.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(chunk)
        response = connection.getresponse()
        read = response.read1(65_536)
        self.begun.set()
        time.sleep(3)
        connection.send(chunk + b"0\r\n\r\n")
        while piece := response.read1(65_536):
            read += piece
        self.answered = read.count(b'"imd_decile":3')


if __name__ == "__main__":
    main()
