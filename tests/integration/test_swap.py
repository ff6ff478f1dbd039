"""Another release reaches running workers without a dropped request, and a bad one does not."""

import asyncio
import shutil
import time
from pathlib import Path

import httpx
import pytest

from app.context.rulebook import Rulebook
from app.current import CurrentRelease
from app.enrichment import Rules
from app.reference.build import BuildOptions, BuildReport, build
from app.reference.manifest import manifest, packaged_data
from app.reference.releases import current_index, publish, rollback
from tests.integration.running import serving
from tests.service import bearer, key_in


def write(made: Path, starter: bool = True) -> BuildReport:
    return build([packaged_data() / "starter"], made, manifest(), BuildOptions(allow_part=True, starter=starter))


def test_two_releases_swapped_under_load_drop_nothing_and_never_mix(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first = publish(folder, write).release
    second = publish(folder, lambda made: write(made, starter=False)).release
    batch = {"records": [{"postcode": "NG1 1AA"}] * 200}

    async def ask(client: httpx.AsyncClient, until: list[bool], seen: list[set[str]]) -> None:
        while not until:
            answer = await client.post("/v1/enrich/batch", json=batch)
            assert answer.status_code == 200
            results = answer.json()["results"]
            assert all(r["imd_decile"] == 3 for r in results)
            seen.append({r["data"]["release"] for r in results})

    async def run(url: str) -> list[set[str]]:
        until: list[bool] = []
        seen: list[set[str]] = []
        async with httpx.AsyncClient(base_url=url, timeout=30, headers=key) as client:
            asking = [asyncio.create_task(ask(client, until, seen)) for _ in range(4)]
            for _ in range(6):
                await asyncio.sleep(0.4)
                rollback(folder)
            until.append(True)
            await asyncio.gather(*asking)
        return seen

    environment = {"IMDLENS_DATA_DIR": str(folder), "IMDLENS_DATA_POLL_SECONDS": "0.1"}
    key = bearer(key_in(tmp_path, **environment))
    with serving(tmp_path, "--workers", "2", **environment) as (url, _):
        seen = asyncio.run(run(url))
    assert len(seen) > 20
    assert all(len(releases) == 1 for releases in seen)
    assert {next(iter(releases)) for releases in seen} == {first, second}


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
