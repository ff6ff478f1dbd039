"""Charts drawn in a process of their own, which is started with the first and ends with the one that asks.

What draws holds the interpreter while it starts (some 700 ms) and draws (some 30 ms), so that nothing else of its
process is answered meanwhile; a fault in it ends its process. Neither may happen where postcodes are looked up.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any, BinaryIO, Final, cast

_SECONDS: Final = 20  # for one drawing, the start included
_IDLE: Final = 600  # seconds without a drawing after which the process ends, and its memory is given back
_NICER: Final = 10  # it gives way to whatever answers


class DrawingError(Exception):
    """A chart could not be drawn."""


class Drawer:
    """Draws charts, for one thread at a time; a process that ended is started again."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def draw(self, spec: dict[str, Any]) -> str:
        """The SVG of a Vega-Lite specification. DrawingError."""
        line = json.dumps(spec).encode() + b"\n"
        # Twice: the process may have ended since the last drawing, for want of work or of memory.
        answer = self._ask(line) or self._ask(line)
        if not answer:
            raise DrawingError("the process that draws charts ended twice")
        drawn: str | None = json.loads(answer)
        if drawn is None:
            raise DrawingError("what was to be drawn is not a chart")
        return drawn

    def close(self) -> None:
        """End the process; the next drawing starts another."""
        if self._process is None:
            return
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.__exit__(None, None, None)
        self._process = None

    def _ask(self, line: bytes) -> bytes:
        """One line of answer, empty where the process ended or took too long."""
        try:
            self._process = process = self._process or _started()
        except OSError as error:
            raise DrawingError("no process can be started to draw charts") from error
        asked, answered = cast("BinaryIO", process.stdin), cast("BinaryIO", process.stdout)
        overdue = threading.Timer(_SECONDS, process.kill)
        overdue.start()
        try:
            asked.write(line)
            asked.flush()
            answer = answered.readline()
        except BrokenPipeError:
            answer = b""
        finally:
            overdue.cancel()
        if answer.endswith(b"\n"):
            return answer
        self.close()
        return b""


def _started() -> subprocess.Popen[bytes]:
    # It needs no secret. In a session of its own, a signal to the terminal's group ends the one that asks, whose end
    # ends this.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("IMDLENS_")}
    return subprocess.Popen(  # noqa: S603 - our own file
        [sys.executable, "-P", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=plain,
        start_new_session=True,
    )


def serve(specs: BinaryIO, drawings: BinaryIO) -> None:
    """Answer each line, a specification, with a line: its SVG, or null where it cannot be drawn."""
    import vl_convert

    signal.alarm(_IDLE)
    for line in specs:
        signal.alarm(_IDLE)
        try:
            drawn = vl_convert.vegalite_to_svg(json.loads(line), allowed_base_urls=[])
        except ValueError:
            drawn = None
        drawings.write(json.dumps(drawn).encode() + b"\n")
        drawings.flush()


if __name__ == "__main__":
    os.nice(_NICER)
    serve(sys.stdin.buffer, sys.stdout.buffer)
