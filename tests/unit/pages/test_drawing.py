"""Drawing apart from what answers: it ends with whoever asks, comes back when it was ended, and knows no secret."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.pages import drawing
from app.pages.drawing import Drawer, DrawingError, serve

SPEC: dict[str, Any] = {
    "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
    "data": {"values": [{"a": 1}]},
    "mark": "bar",
    "encoding": {"x": {"field": "a", "type": "quantitative"}},
}


@pytest.fixture
def drawer() -> Iterator[Drawer]:
    one = Drawer()
    yield one
    one.close()


def process_of(drawer: Drawer) -> int:
    assert drawer._process is not None
    return drawer._process.pid


def test_a_chart_is_drawn_by_one_process_that_stays(drawer: Drawer) -> None:
    first = drawer.draw(SPEC)
    process = process_of(drawer)
    assert first.startswith("<svg")
    assert drawer.draw(SPEC) == first
    assert process_of(drawer) == process


def test_a_process_that_was_ended_is_started_again(drawer: Drawer) -> None:
    first = drawer.draw(SPEC)
    process = process_of(drawer)
    os.kill(process, signal.SIGKILL)
    assert drawer.draw(SPEC) == first
    assert process_of(drawer) != process


def test_what_is_no_chart_is_an_error_that_repeats_nothing_and_the_next_is_drawn(drawer: Drawer) -> None:
    with pytest.raises(DrawingError) as raised:
        drawer.draw({"value": "24 in 100"})
    assert "24" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert drawer.draw(SPEC).startswith("<svg")


def test_a_process_that_does_not_answer_is_ended(drawer: Drawer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "_SECONDS", 0.01)
    with pytest.raises(DrawingError, match="ended twice"):
        drawer.draw(SPEC)
    assert drawer._process is None


def test_the_process_that_draws_knows_no_setting_of_the_service(
    drawer: Drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMDLENS_SECRET", "a secret that is not needed to draw")
    drawer.draw(SPEC)
    assert b"IMDLENS_" not in Path(f"/proc/{process_of(drawer)}/environ").read_bytes()


def test_whoever_asks_never_loads_what_draws_and_takes_it_along_when_killed() -> None:
    program = (
        "import json, os, signal, sys; from app.pages.drawing import Drawer; drawer = Drawer()\n"
        f"drawer.draw(json.loads({json.dumps(SPEC)!r}))\n"
        "print(drawer._process.pid, 'vl_convert' in sys.modules, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    process, is_loaded = ran.stdout.split()
    assert is_loaded == "False"
    until = time.monotonic() + 20
    while Path(f"/proc/{process}/cmdline").exists() and Path(f"/proc/{process}/cmdline").read_bytes():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_each_line_is_answered_with_a_line() -> None:
    drawings = io.BytesIO()
    serve(io.BytesIO(json.dumps(SPEC).encode() + b"\n" + b"{}\n"), drawings)
    signal.alarm(0)
    first, second = map(json.loads, drawings.getvalue().splitlines())
    assert first.startswith("<svg")
    assert second is None
