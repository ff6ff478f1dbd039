"""Another release reaches running workers without a dropped request, and a bad one does not."""

import asyncio
import csv
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import httpx
import pytest

from app.context.rulebook import Rulebook
from app.current import CurrentRelease
from app.enrichment import Rules
from app.reference.build import BuildOptions, BuildReport, build
from app.reference.manifest import manifest, packaged_data
from app.reference.releases import current_index, held, publish, rollback
from tests.integration.running import imdlens, serving
from tests.service import bearer, key_in

RECORD = {"postcode": "NG1 1AA"}


def write(made: Path, starter: bool = True) -> BuildReport:
    return build([packaged_data() / "starter"], made, manifest(), BuildOptions(allow_part=True, starter=starter))


def quarter(folder: Path, *, moved: bool) -> None:
    """The starter files; in the quarter after, ONS has placed NG1 1AA in another area, of decile 7."""
    shutil.copytree(packaged_data() / "starter", folder)
    file = folder / "starter_postcodes.csv"
    with file.open(encoding="utf-8", newline="") as text:
        rows = {row["pcds"]: row for row in csv.DictReader(text)}
    if moved:
        rows["NG1 1AA"] = rows["NG7 1JT"] | {"pcds": "NG1 1AA"}
    with file.open("w", encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, list(rows["NG1 1AA"]))
        writer.writeheader()
        writer.writerows(rows.values())


class Asking:
    """Callers of every kind until they are told to stop; what each answer said, and none of it may be a failure."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client, self.until = client, False
        self.seen: dict[str, list[set[tuple[str, int]]]] = {"single": [], "batch": [], "stream": []}

    async def single(self) -> set[tuple[str, int]]:
        answer = await self.client.post("/v1/enrich", json=RECORD)
        assert answer.status_code == 200
        return {(answer.json()["data"]["release"], answer.json()["imd_decile"])}

    async def batch(self) -> set[tuple[str, int]]:
        answer = await self.client.post("/v1/enrich/batch", json={"records": [RECORD] * 200})
        assert answer.status_code == 200
        assert len(answer.json()["results"]) == 200
        return {(r["data"]["release"], r["imd_decile"]) for r in answer.json()["results"]}

    async def stream(self) -> set[tuple[str, int]]:
        """A slow stream, so that releases change while it runs; its lines do not name the release."""

        async def body() -> AsyncIterator[bytes]:
            for _ in range(5):
                yield (json.dumps(RECORD).encode() + b"\n") * 100
                await asyncio.sleep(0.1)

        kind = {"Content-Type": "application/x-ndjson"}
        answer = await self.client.post("/v1/enrich/stream", content=body(), headers=kind)
        assert answer.status_code == 200
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert len(lines) == 500
        return {("", line["imd_decile"]) for line in lines}

    async def go_on(self, kind: str) -> None:
        while not self.until:
            self.seen[kind].append(await getattr(self, kind)())
            await asyncio.sleep(0.02)  # leaves the processor to whoever builds


def test_updates_and_rollbacks_under_load_fail_no_request_and_never_mix(tmp_path: Path) -> None:
    """Two workers, callers of each kind, and an operator who updates, goes back, is refused, and insists."""
    for month, moved in (("may", False), ("august", True)):
        quarter(tmp_path / month, moved=moved)

    def data(command: str, *arguments: str) -> int:
        return imdlens("data", command, *arguments, "--out", "data", cwd=tmp_path).returncode

    def update(*arguments: str) -> int:
        return data("update", "august", "--allow-part", *arguments)

    assert data("build", "may", "--allow-part") == 0
    folder = tmp_path / "data"
    first = current_index(folder).parent.name
    environment = {"IMDLENS_DATA_DIR": str(folder), "IMDLENS_DATA_POLL_SECONDS": "0.1"}
    key = bearer(key_in(tmp_path, **environment))

    async def run(url: str) -> Asking:
        async with httpx.AsyncClient(base_url=url, timeout=30, headers=key) as client:
            asking = Asking(client)
            tasks = [asyncio.create_task(asking.go_on(kind)) for kind in ("single", "batch", "batch", "stream")]
            steps: list[tuple[int, Callable[[], int]]] = [
                (0, update),
                (0, partial(data, "rollback")),
                (3, update),  # the gate does not bring back by itself what was gone back from
                (0, partial(update, "--accept", "gone-back")),
                (0, partial(data, "rollback")),
            ]
            for code, step in steps:
                assert await asyncio.to_thread(step) == code
                await asyncio.sleep(0.3)
            asking.until = True
            await asyncio.gather(*tasks)
        return asking

    with serving(tmp_path, "--workers", "2", **environment) as (url, _):
        asking = asyncio.run(run(url))
    second = next(release for release in held(folder) if release != first)
    whole = [{(first, 3)}, {(second, 7)}]
    for kind in ("single", "batch"):
        assert len(asking.seen[kind]) > 20
        assert all(answer in whole for answer in asking.seen[kind])
        assert all(each in asking.seen[kind] for each in whole)
    assert len(asking.seen["stream"]) > 5
    assert all(answer in [{("", 3)}, {("", 7)}] for answer in asking.seen["stream"])


@pytest.fixture
def current(tmp_path: Path, rules: Rules) -> CurrentRelease:
    publish(tmp_path / "data", write)
    current = CurrentRelease(tmp_path / "data", rules)
    current.look()
    return current


def test_a_damaged_release_is_refused_and_the_old_one_kept(tmp_path: Path, current: CurrentRelease) -> None:
    before = current.index
    publish(tmp_path / "data", lambda made: write(made, starter=False))
    path = current_index(tmp_path / "data")
    path.write_bytes(path.read_bytes()[:-1])
    current.look()
    assert current.index is before
    assert current.problem is not None
    assert "damaged" in current.problem
    rollback(tmp_path / "data")
    current.look()
    assert current.problem is None


def test_a_data_folder_that_vanishes_costs_nothing_but_a_problem(tmp_path: Path, current: CurrentRelease) -> None:
    shutil.rmtree(tmp_path / "data")
    current.look()
    assert current.index is not None
    assert current.index.one("NG1 1AA").finding.status == "live"
    assert current.problem is not None


def test_a_release_without_the_core20_edition_is_refused(tmp_path: Path) -> None:
    publish(tmp_path / "data", write)
    current = CurrentRelease(tmp_path / "data", Rules("IoD2004", Rulebook.load()))
    current.look()
    assert current.index is None
    assert "IMDLENS_CORE20_EDITION" in (current.problem or "")


def test_the_old_release_is_let_go_once_nothing_holds_it(tmp_path: Path, current: CurrentRelease) -> None:
    import gc
    import weakref

    old = weakref.ref(current.index)
    held = current.index
    publish(tmp_path / "data", lambda made: write(made, starter=False))
    current.look()
    assert held is not None
    assert held.one("NG1 1AA").finding.status == "live"
    del held
    deadline = time.monotonic() + 5
    while old() is not None and time.monotonic() < deadline:
        gc.collect()
    assert old() is None


def test_a_fault_that_passes_is_got_over(tmp_path: Path, rules: Rules, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.current._PAUSE", 0.0)
    publish(tmp_path / "data", write)
    path = current_index(tmp_path / "data")
    away = path.rename(path.with_name("away"))
    current = CurrentRelease(tmp_path / "data", rules)
    current.look()
    assert current.index is None
    away.rename(path)
    current.look()
    assert current.index is not None
    assert current.problem is None


def test_a_folder_that_comes_back_is_no_problem_any_more(tmp_path: Path, current: CurrentRelease) -> None:
    link = (tmp_path / "data" / "current").rename(tmp_path / "data" / "away")
    current.look()
    assert current.problem is not None
    link.rename(tmp_path / "data" / "current")
    current.look()
    assert current.problem is None


def test_no_fault_of_one_look_ends_the_looking(
    tmp_path: Path, current: CurrentRelease, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = []

    def look() -> None:
        looks.append(1)
        raise RuntimeError("about a postcode")

    monkeypatch.setattr(current, "look", look)

    async def watched() -> None:
        watch = asyncio.create_task(current.watch(0.01))
        deadline = time.monotonic() + 20
        while len(looks) < 3 and not watch.done() and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        assert not watch.done()
        watch.cancel()

    asyncio.run(watched())
    assert len(looks) >= 3
    assert "RuntimeError" in caplog.text
    assert "postcode" not in caplog.text
