"""`fetch` against a real server on 127.0.0.1 that cuts, stalls, lies and refuses."""

import fcntl
import hashlib
import io
import itertools
import json
import os
import re
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app.reference.errors import ReferenceDataError
from app.reference.fetch import FetchOptions, fetch, may_redirect, seconds_to_wait
from app.reference.manifest import Manifest, manifest
from tests.integration.arcgis_server import ArcgisServer, Served, answers, cuts, pours, running, stalls

SEARCH = "/sharing/rest/search"
NEWEST = "0a1b2c"
DATA = f"/sharing/rest/content/items/{NEWEST}/data"
NAME = "ONSPD_AUG_2026.zip"
TABLE = "pcd7,pcd8,pcds,dointr,doterm,usrtypind,gridind,lsoa11cd,lsoa21cd,icb23cd,imd20ind,imd25ind\n"
HEADER_2025 = "LSOA code (2021),{imd} Rank (where 1 is most deprived),{imd} Decile (where 1 is most deprived 10%)\n"
HEADER_2019 = HEADER_2025.replace("2021", "2011").strip() + ",Local Authority District code (2019)\n"
IMD = "Index of Multiple Deprivation (IMD)"
FILE_2025 = HEADER_2025.format(imd=IMD).encode() + b"E01999999,1,1\n"
FILE_2019 = HEADER_2019.format(imd=IMD).encode() + b"E01999998,1,1,E09000099\n"
PADDING = hashlib.shake_256(b"a guide to the data").digest(300_000)


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes | str], method: int = zipfile.ZIP_STORED) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return body.getvalue()


GOOD = ("Data/ONSPD_AUG_2026_UK.csv", TABLE)
DIRECTORY = zipped(("User Guide/guide.pdf", PADDING), GOOD)


def result(name: str, created: int, key: str, **more: Any) -> dict[str, Any]:
    return {"id": key, "name": name, "created": created, "title": "ONS Postcode Directory", **more}


def search_answer(*results: Any) -> Served:
    return Served(json.dumps({"total": len(results), "results": results}).encode())


@dataclass
class Site:
    """A server with everything in its place, and a folder to fetch into."""

    server: ArcgisServer
    folder: Path
    events: list[str] = field(default_factory=list)
    progress: list[tuple[str, int, int | None]] = field(default_factory=list)

    @property
    def manifest(self) -> Manifest:
        """The shipped manifest, with its addresses moved to this server."""
        moved = [replace(r, url=self.server.base + urlsplit(r.url).path) if r.url else r for r in manifest().releases]
        return replace(manifest(), releases=tuple(moved))

    def fetch(self, *, of: Manifest | None = None, **options: Any) -> list[Path]:
        quick = {"arcgis": self.server.base, "back_off_seconds": 0.002, "read_seconds": 2.0} | options
        return fetch(
            of or self.manifest,
            FetchOptions(self.folder, **quick),
            on_progress=lambda *seen: self.progress.append(seen),
            on_event=self.events.append,
        )

    def record(self) -> dict[str, Any]:
        return json.loads((self.folder / "checksums.json").read_text())

    def statuses(self, path: str) -> list[int]:
        return [asked.status[0] for asked in self.server.asked_of(path)]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with running() as server:
        server.files = newest()
        yield Site(server, tmp_path / "files")


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits that would have been, none of which is waited."""
    seen: list[float] = []
    monkeypatch.setattr("app.reference.fetch.time.sleep", seen.append)
    return seen


def url(release: str) -> str:
    return next(urlsplit(r.url).path for r in manifest().releases if r.id == release and r.url)


def newest() -> dict[str, Served]:
    """What the official sites serve: a directory that a search finds, and both English indices."""
    return {
        SEARCH: search_answer(result(NAME, 1_790_000_000_000, NEWEST)),
        DATA: Served(DIRECTORY),
        url("iod2025"): Served(FILE_2025),
        url("iod2019"): Served(FILE_2019),
    }


def nothing_named(site: Site, name: str = NAME) -> bool:
    return not (site.folder / name).exists()


# --- what is asked for


def test_all_files_arrive_whole_named_and_in_the_order_of_the_build(site: Site) -> None:
    paths = site.fetch()
    assert [path.read_bytes() for path in paths] == [DIRECTORY, FILE_2025, FILE_2019]
    assert paths[0].name == NAME
    assert paths[1].name == "File_7_IoD2025_All_Ranks_Scores_Deciles_Population_Denominators.csv"
    assert set(site.folder.iterdir()) == {*paths, site.folder / "checksums.json"}
    assert site.progress[-1][1:] == (len(FILE_2019), len(FILE_2019))
    assert (NAME, len(DIRECTORY), len(DIRECTORY)) in site.progress


def test_the_search_asks_for_the_title_of_the_product_newest_first(site: Site) -> None:
    site.fetch()
    query = parse_qs(urlsplit(site.server.asked_of(SEARCH)[0].target).query)
    assert query == {
        "q": ['title:"ONS Postcode Directory"'],
        "f": ["json"],
        "num": ["50"],
        "sortField": ["created"],
        "sortOrder": ["desc"],
    }


def test_the_newest_matching_name_is_taken_whatever_the_order(site: Site) -> None:
    site.server.files[SEARCH] = search_answer(
        result("ONSPD_MAY_2026.zip", 1_780_000_000_000, "bbbb"),
        result("ONSPD_AUG_2026_User_Guide.zip", 1_799_000_000_000, "cccc"),
        result("NSPL_AUG_2026.zip", 1_799_000_000_000, "dddd"),
        result("ONSPD_NOV_2026.zip", 1_799_000_000_000, "../../../etc"),
        result("ONSPD_NOV_2026.zip.old", 1_799_000_000_000, "abcd"),
        result(NAME, 1_790_000_000_000, NEWEST),
        {"id": "eeee", "name": None, "created": 1_799_000_000_000},
        "not an item",
        result("ONSPD_FEB_2026.zip", 1_770_000_000_000, "ffff"),
    )
    assert site.fetch()[0].name == NAME


def test_the_national_lookup_is_fetched_where_it_is_asked_for(site: Site) -> None:
    site.server.files[SEARCH] = search_answer(
        result(NAME, 1_799_000_000_000, "bbbb"), result("NSPL_AUG_2026.zip", 1, NEWEST)
    )
    assert site.fetch(product="NSPL")[0].name == "NSPL_AUG_2026.zip"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Served(b'{"error": {"code": 400, "message": "Invalid query"}}'), "Invalid query"),
        (Served(b"<!doctype html><p>Sign in to the guest network"), "did not answer in JSON"),
        (Served(b"[" * 100_000), "did not answer in JSON"),
        (Served(b'{"total": 0}'), "without a list of results"),
        (search_answer(), "lists no file named like ONSPD_"),
        (search_answer(result("ONSPD_AUG_2026.csv", 1, "aa")), "download the ONS Postcode Directory by hand"),
    ],
    ids=itertools.count(),
)
def test_a_search_that_finds_nothing_says_why(site: Site, answer: Served, sentence: str) -> None:
    site.server.files[SEARCH] = answer
    with pytest.raises(ReferenceDataError, match=re.escape(sentence)):
        site.fetch()
    assert len(site.server.asked_of(SEARCH)) == 1


def test_a_search_answer_without_end_is_stopped(site: Site) -> None:
    site.server.faults[SEARCH].append(pours)
    with pytest.raises(ReferenceDataError, match="answered with more than 8,388,608 bytes"):
        site.fetch()


def test_a_search_error_that_may_pass_is_tried_again(site: Site) -> None:
    site.server.faults[SEARCH].append(answers(200, b'{"error": {"code": 503}}'))
    assert len(site.fetch()) == 3


def test_a_product_that_is_not_known_is_named_before_anything_is_asked(site: Site) -> None:
    with pytest.raises(ReferenceDataError, match=r"'PAF' is not one .* choose ONSPD or NSPL"):
        site.fetch(product="PAF")
    assert not site.server.asked


@pytest.mark.parametrize("setting", ["mirror", "arcgis"], ids=itertools.count())
@pytest.mark.parametrize(
    "base", ["mirror.trust.local", "ftp://mirror", "http://host:port", "https://"], ids=itertools.count()
)
def test_a_base_that_is_no_address_is_refused_at_once(site: Site, setting: str, base: str) -> None:
    with pytest.raises(ReferenceDataError, match="is not an address to fetch from"):
        site.fetch(**{setting: base})


def test_one_address_that_has_moved_does_not_hold_up_the_other_files(site: Site) -> None:
    del site.server.files[url("iod2025")]
    with pytest.raises(ReferenceDataError, match="answered 404") as raised:
        site.fetch()
    assert url("iod2025") in str(raised.value)
    assert len(site.record()) == 2
    assert not nothing_named(site)


# --- how it is reached


def test_a_mirror_takes_the_place_of_every_host_and_the_record_keeps_the_official_address(site: Site) -> None:
    site.server.files = {f"/imd{path}": file for path, file in site.server.files.items()}
    paths = site.fetch(of=manifest(), mirror=f"{site.server.base}/imd/", arcgis="https://www.arcgis.com")
    assert len(paths) == 3
    assert parse_qs(urlsplit(site.server.asked[0].target).query)["f"] == ["json"]
    assert f"https://www.arcgis.com{DATA}" in site.record()
    assert {r.url for r in manifest().releases if r.url} < set(site.record())


def test_a_part_is_only_continued_from_the_place_it_came_from(site: Site) -> None:
    site.server.files |= {f"/mirror{path}": file for path, file in site.server.files.items()}
    mirror = f"{site.server.base}/mirror"
    for _ in range(2):
        site.server.faults[f"/mirror{DATA}"].append(cuts(100_000))
        with pytest.raises(ReferenceDataError):
            site.fetch(mirror=mirror, attempts=1)
    assert site.statuses(f"/mirror{DATA}") == [200, 206]
    assert site.fetch()[0].read_bytes() == DIRECTORY
    assert site.server.asked_of(DATA)[0].headers["Range"] is None


def test_a_proxy_is_asked_for_addresses_that_are_not_its_own(site: Site) -> None:
    moved = [replace(r, url=r.url and f"http://gov.test{urlsplit(r.url).path}") for r in manifest().releases]
    elsewhere = replace(manifest(), releases=tuple(moved))
    site.fetch(of=elsewhere, arcgis="http://arcgis.test", proxy=site.server.base)
    hosts = [urlsplit(asked.target).hostname for asked in site.server.asked]
    assert hosts == ["arcgis.test", "arcgis.test", "gov.test", "gov.test"]


def test_the_proxy_of_the_environment_is_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", site.server.base)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    site.fetch(arcgis="http://arcgis.test")
    assert site.server.asked[0].target.startswith("http://arcgis.test/")


def test_a_proxy_that_cannot_be_used_is_not_printed_with_its_password(site: Site) -> None:
    options = {"proxy": "gopher://user:hunter2@proxy.test"}
    assert "hunter2" not in repr(FetchOptions(site.folder, **options))
    with pytest.raises(ReferenceDataError, match="check the proxy") as raised:
        site.fetch(**options)
    assert "hunter2" not in str(raised.value)


def test_every_request_names_its_user_agent_and_wants_bytes_as_they_are(site: Site) -> None:
    site.fetch(user_agent="imd-lens (it@trust.example)")
    assert {asked.headers["User-Agent"] for asked in site.server.asked} == {"imd-lens (it@trust.example)"}
    assert {asked.headers["Accept-Encoding"] for asked in site.server.asked} == {"identity"}


def test_a_body_in_a_compression_that_was_not_asked_for_is_an_error(site: Site) -> None:
    site.server.files[DATA] = Served(DIRECTORY, headers={"Content-Encoding": "gzip"})
    with pytest.raises(ReferenceDataError, match="compressed form"):
        site.fetch()


def test_redirects_are_followed(site: Site) -> None:
    site.server.files["/elsewhere"] = site.server.files[DATA]
    site.server.faults[DATA] += [answers(302, Location="/hop"), answers(302, Location="/hop")]
    site.server.faults["/hop"] += [answers(307, Location=f"{site.server.base}/elsewhere")] * 2
    assert site.fetch()[0].read_bytes() == DIRECTORY


def test_redirects_in_a_circle_end(site: Site) -> None:
    site.server.faults[DATA] += [answers(302, Location=DATA)] * 50
    with pytest.raises(ReferenceDataError, match="redirects more than 5 times"):
        site.fetch()


@pytest.mark.parametrize(
    ("origin", "target", "allowed"),
    [
        ("https://a/", "https://b/", True),
        ("https://a/", "http://a/", False),
        ("https://a/", "file:///etc/passwd", False),
        ("http://a/", "http://b/", True),
        ("http://a/", "https://b/", True),
        ("http://a/", "ftp://b/", False),
    ],
    ids=itertools.count(),
)
def test_a_redirect_never_gives_up_https(origin: str, target: str, allowed: bool) -> None:
    assert may_redirect(origin, target) is allowed


def test_a_redirect_that_is_not_allowed_is_not_followed(site: Site) -> None:
    site.server.faults[DATA].append(answers(302, Location="ftp://elsewhere.test/file"))
    with pytest.raises(ReferenceDataError, match="it is not followed"):
        site.fetch()


# --- interruptions


def test_a_cut_connection_is_resumed_from_where_it_stood(site: Site) -> None:
    site.server.faults[DATA].append(cuts(100_000))
    assert site.fetch()[0].read_bytes() == DIRECTORY
    first, second = site.server.asked_of(DATA)
    assert first.headers["Range"] is None
    assert 0 < int(second.headers["Range"].removeprefix("bytes=").removesuffix("-")) <= 100_000
    assert second.headers["If-Range"] == '"v1"'
    assert site.statuses(DATA) == [200, 206]
    assert re.search(r"ONSPD_AUG_2026.zip: retrying in \d+\.\d s: ", site.events[0])


def test_a_run_goes_on_from_where_the_last_one_stopped(site: Site) -> None:
    site.server.faults[DATA].append(cuts(100_000))
    with pytest.raises(ReferenceDataError, match=r"in 1 attempts .* goes on from where this stopped"):
        site.fetch(attempts=1)
    assert nothing_named(site)
    assert site.fetch()[0].read_bytes() == DIRECTORY
    assert site.statuses(DATA) == [200, 206]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'], ids=itertools.count())
def test_a_date_stands_in_for_an_etag_that_promises_no_bytes(site: Site, etag: str | None) -> None:
    date = "Thu, 20 Aug 2026 09:30:00 GMT"
    site.server.files[DATA] = Served(DIRECTORY, etag=etag, modified=date)
    site.server.faults[DATA].append(cuts(100_000))
    site.fetch()
    assert site.server.asked_of(DATA)[1].headers["If-Range"] == date


def test_nothing_is_resumed_where_nothing_proves_the_copy_the_same(site: Site) -> None:
    site.server.files[DATA] = Served(DIRECTORY, etag=None)
    site.server.faults[DATA].append(cuts(100_000))
    assert site.fetch()[0].read_bytes() == DIRECTORY
    assert site.server.asked_of(DATA)[1].headers["Range"] is None


@pytest.mark.parametrize("etag", ['"\xe9"', '"line\tbreak"'], ids=itertools.count())
def test_an_odd_etag_does_no_harm(site: Site, etag: str) -> None:
    site.server.files[DATA] = Served(DIRECTORY, etag=etag)
    site.server.faults[DATA].append(cuts(100_000))
    assert site.fetch()[0].read_bytes() == DIRECTORY


def test_a_copy_that_changed_between_attempts_is_fetched_anew(site: Site) -> None:
    old = zipped(("User Guide/guide.pdf", PADDING[::-1]), GOOD)

    def cut_the_old_copy(handler: Any) -> None:
        handler.serve(Served(old, etag='"v0"'), 100_000)

    site.server.faults[DATA].append(cut_the_old_copy)
    assert site.fetch()[0].read_bytes() == DIRECTORY
    assert site.statuses(DATA) == [200, 200]


def test_a_server_that_sends_a_range_of_another_copy_is_not_believed(site: Site) -> None:
    site.server.faults[DATA] += [
        cuts(100_000),
        lambda handler: handler.answer(
            206, b"x" * 9, ETag='"v2"', **{"Content-Range": f"bytes 100000-100008/{len(DIRECTORY)}"}
        ),
    ]
    assert site.fetch()[0].read_bytes() == DIRECTORY
    assert site.statuses(DATA) == [200, 206, 200]


@pytest.mark.parametrize(
    "extent",
    ["bytes 7-15/300000", "bytes 0-8/300000", "lines 1-2/3", "bytes 0-1/" + "9" * 5000, None],
    ids=range(5),
)
def test_a_range_from_another_place_is_not_joined_on(site: Site, extent: str | None) -> None:
    site.server.faults[DATA] += [
        cuts(100_000),
        lambda handler: handler.answer(206, b"x" * 9, ETag='"v1"', **{"Content-Range": extent}),
    ]
    assert site.fetch()[0].read_bytes() == DIRECTORY


def test_a_server_without_ranges_starts_again_from_the_first_byte(site: Site) -> None:
    site.server.files[DATA] = Served(DIRECTORY, ranges=False)
    site.server.faults[DATA].append(cuts(100_000))
    assert site.fetch()[0].read_bytes() == DIRECTORY
    assert site.statuses(DATA) == [200, 200]


def leave_part(site: Site, content: bytes) -> None:
    site.folder.mkdir()
    (site.folder / f"{NAME}.part").write_bytes(content)
    state = {"url": site.server.base + DATA, "validator": '"v1"'}
    (site.folder / f"{NAME}.part.json").write_text(json.dumps(state))


def test_a_part_that_was_already_whole_is_not_sent_again(site: Site) -> None:
    leave_part(site, DIRECTORY)
    assert site.fetch()[0].read_bytes() == DIRECTORY
    assert site.statuses(DATA) == [416]


def test_a_part_longer_than_the_file_is_thrown_away(site: Site) -> None:
    leave_part(site, DIRECTORY + b"x")
    assert site.fetch()[0].read_bytes() == DIRECTORY
    assert site.statuses(DATA) == [416, 200]


@pytest.mark.parametrize(
    "state", ["", "[]", "{", '{"url": 1}', '{"url": "u", "validator": "\\u0000"}', "\xff"], ids=itertools.count()
)
def test_a_damaged_sidecar_means_a_fresh_start(site: Site, state: str) -> None:
    leave_part(site, b"rubbish")
    (site.folder / f"{NAME}.part.json").write_bytes(state.encode("latin-1"))
    assert site.fetch()[0].read_bytes() == DIRECTORY
    assert site.server.asked_of(DATA)[0].headers["Range"] is None


def test_a_server_that_always_answers_416_is_given_up(site: Site) -> None:
    site.server.faults[DATA] += [answers(416)] * 50
    with pytest.raises(ReferenceDataError, match="in 3 attempts"):
        site.fetch(attempts=3)
    assert len(site.server.asked_of(DATA)) == 3


def test_a_stalled_body_is_noticed_and_resumed(site: Site) -> None:
    site.server.faults[DATA].append(stalls)
    assert site.fetch(read_seconds=0.2)[0].read_bytes() == DIRECTORY
    assert "ReadTimeout" in site.events[0]
    assert site.statuses(DATA) == [200, 206]


def test_a_range_shorter_than_the_file_is_not_taken_for_the_whole(site: Site) -> None:
    site.server.faults[DATA] += [cuts(1000), lambda h: partial_to(h, 200_000)]
    assert site.fetch()[0].read_bytes() == DIRECTORY
    assert site.statuses(DATA) == [200, 206, 206]
    assert any("the body stopped at 200,000 of" in event for event in site.events)


def partial_to(handler: Any, end: int) -> None:
    """Less than the range that was asked for, and honest about it."""
    start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    extent = f"bytes {start}-{end - 1}/{len(DIRECTORY)}"
    handler.answer(206, DIRECTORY[start:end], **{"Content-Range": extent, "ETag": '"v1"'})


def test_a_busy_server_is_asked_again_when_it_says(site: Site, waits: list[float]) -> None:
    site.server.faults[DATA] += [answers(429, Retry_After="7"), answers(503, Retry_After="86400")]
    assert len(site.fetch()) == 3
    assert waits == [7.0, 120.0]
    assert site.events == [
        f"{NAME}: retrying in 7.0 s: the server answered 429",
        f"{NAME}: retrying in 120.0 s: the server answered 503",
    ]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 12:00:30 -0000", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
    ids=itertools.count(),
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str, seconds: float | None) -> None:
    assert seconds_to_wait(header, datetime(2026, 11, 22, 12, tzinfo=UTC)) == seconds


def test_three_errors_of_the_server_pass_and_no_byte_is_lost(site: Site) -> None:
    site.server.faults[DATA] += [answers(500), answers(502), answers(504)]
    assert site.fetch()[0].read_bytes() == DIRECTORY


def test_an_error_that_stays_ends_after_the_attempts_with_doubling_waits(site: Site, waits: list[float]) -> None:
    site.server.faults[DATA] += [answers(500)] * 50
    with pytest.raises(ReferenceDataError, match=r"in 5 attempts \(the server answered 500\)"):
        site.fetch(attempts=5, back_off_seconds=30.0)
    assert len(site.server.asked_of(DATA)) == 5
    assert len(waits) == 4
    for wait, ceiling in zip(waits, (30, 60, 60, 60), strict=True):
        assert ceiling / 2 <= wait <= ceiling


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410], ids=itertools.count())
def test_an_answer_that_no_retry_mends_is_not_retried(site: Site, status: int) -> None:
    site.server.faults[DATA] += [answers(status)] * 50
    with pytest.raises(ReferenceDataError, match=f"answered {status}"):
        site.fetch()
    assert len(site.server.asked_of(DATA)) == 1


def test_a_host_that_does_not_listen_is_a_sentence(tmp_path: Path, site: Site) -> None:
    with running() as gone:
        address = gone.base
    with pytest.raises(ReferenceDataError, match=r"ConnectError.*check the network"):
        site.fetch(arcgis=address, attempts=2)


# --- limits


def test_a_body_without_end_is_stopped_and_not_kept(site: Site) -> None:
    site.server.faults[DATA].append(pours)
    with pytest.raises(ReferenceDataError, match="larger than 500,000 bytes"):
        site.fetch(largest_download=500_000)
    assert not list(site.folder.glob(f"{NAME}*"))


def test_a_length_over_the_limit_is_not_read_at_all(site: Site) -> None:
    with pytest.raises(ReferenceDataError, match="larger than 200,000 bytes"):
        site.fetch(largest_download=200_000)
    assert NAME not in {name for name, _, _ in site.progress}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device that is always full is of Linux")
@pytest.mark.parametrize("name", [NAME, Path(url("iod2019")).name], ids=itertools.count())
def test_a_full_disk_is_one_sentence(site: Site, name: str) -> None:
    site.folder.mkdir()
    (site.folder / f"{name}.part").symlink_to("/dev/full")
    with pytest.raises(ReferenceDataError, match=r"the disk that holds .* is full: free space"):
        site.fetch()


def test_a_folder_that_cannot_be_made_is_one_sentence(site: Site) -> None:
    site.folder.write_text("a file stands here")
    with pytest.raises(ReferenceDataError, match=re.escape(str(site.folder))):
        site.fetch()


def test_two_runs_do_not_write_into_one_folder(site: Site) -> None:
    site.folder.mkdir()
    held = os.open(site.folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ReferenceDataError, match="another run"):
            site.fetch()
    finally:
        os.close(held)
    assert len(site.fetch()) == 3


# --- what is refused


def linked() -> bytes:
    link = zipfile.ZipInfo("Data/link.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zipped(GOOD, (link, "/etc/passwd"))


def patched(body: bytes, offset: int, form: str, value: int) -> bytes:
    """The archive with one field of the first entry of its directory changed."""
    changed = bytearray(body)
    struct.pack_into(form, changed, body.index(b"PK\x01\x02") + offset, value)
    return bytes(changed)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (zipped(("../outside.csv", "x"), GOOD), "'../outside.csv' has a path that leaves"),
        (zipped(("Data/../../outside.csv", "x"), GOOD), "has a path that leaves"),
        (zipped(("/etc/cron.d/job", "x"), GOOD), "has a path that leaves"),
        (zipped(("C:/Windows/x.csv", "x"), GOOD), "has a path that leaves"),
        (zipped(("Data\\..\\..\\x.csv", "x"), GOOD), "has a path that leaves"),
        (linked(), "'Data/link.csv' is a link"),
        (patched(zipped(GOOD), 8, "<H", 1), "is encrypted"),
        (patched(zipped(GOOD), 24, "<I", 2**31), "unpacks to 2,147,483,648 bytes"),
        (b"PK\x03\x04" + DIRECTORY[4:-22], "is not a zip file"),
        (b"XXXX" + DIRECTORY[4:], "is not a sound zip file"),
        (patched(DIRECTORY, 0, "<I", 0), "is not a sound zip file"),
        (patched(zipped(GOOD), 10, "<H", 99), "is not a sound zip file"),
        (b"<!doctype html><title>Sign in</title>", "it begins '<!doctype html><title>Sign in</title>'"),
        (b'{"error": {"code": 498}}', '"code": 498'),
        (b"", "is not a zip file"),
        (zipped(("Documents/ONSPD.csv", TABLE)), "none of its 0 tables"),
        (zipped(("Data/other.csv", "a,b,c\n1,2,3\n")), "none of its 1 tables in Data has the columns"),
        (zipped(("Data/empty.csv", ""), ("Data/iod.csv", FILE_2025)), "none of its 2 tables"),
    ],
    ids=itertools.count(),
)
def test_a_zip_that_is_hostile_broken_or_another_is_set_aside(site: Site, body: bytes, sentence: str) -> None:
    site.server.files[DATA] = Served(body)
    with pytest.raises(ReferenceDataError, match=re.escape(sentence)):
        site.fetch()
    assert nothing_named(site)
    assert (site.folder / f"{NAME}.refused").read_bytes() == body
    assert not list(site.folder.glob("*.part*"))
    assert len(site.server.asked_of(DATA)) == 1


def test_members_that_are_too_large_together_are_refused(site: Site) -> None:
    members = [(f"Data/{number}.csv", TABLE + "0" * 60_000) for number in range(2)]
    site.server.files[DATA] = Served(zipped(*members, method=zipfile.ZIP_DEFLATED))
    with pytest.raises(ReferenceDataError, match="unpacks to more than 100,000 bytes"):
        site.fetch(largest_unpacked=100_000)
    assert len(site.fetch(largest_unpacked=130_000)) == 3


def test_any_damage_to_a_zip_is_a_sentence_and_never_another_error(site: Site) -> None:
    body = zipped(GOOD, ("Data/multi_csv/é.csv", "x"), method=zipfile.ZIP_DEFLATED)
    alone = replace(site.manifest, releases=tuple(replace(r, url=None) for r in manifest().releases))
    outcomes = []
    for turn in range(60):
        damaged = bytearray(body)
        chance = hashlib.shake_256(bytes([turn])).digest(12)
        for where, what in struct.iter_unpack("<HB", chance[: 3 * (1 + turn % 4)]):
            damaged[where % len(damaged)] = what
        site.server.files[DATA] = Served(bytes(damaged))
        (site.folder / NAME).unlink(missing_ok=True)
        try:
            site.fetch(of=alone, accept_changes=True)
        except ReferenceDataError as error:
            outcomes.append(str(error))
    assert 30 < len(outcomes) < 60
    assert all("was refused because" in outcome for outcome in outcomes)


@pytest.mark.parametrize(
    "members",
    [
        [("Data/ONSPD_AUG_2026_UK.csv", '\ufeff"PCDS","LSOA21CD"\r\n')],
        [("DATA/MULTI_CSV/ONSPD_AUG_2026_UK_AB.CSV", "pcds,lsoa11\n")],
        [("Data/", ""), ("Data/notes.csv", "a,b\n"), ("Data/nspl.csv", "pcd,pcd2,pcds,lsoa21\nAB1 0AA")],
    ],
    ids=itertools.count(),
)
def test_the_table_is_known_by_its_columns_however_they_are_written(site: Site, members: list[tuple[str, str]]) -> None:
    site.server.files[DATA] = Served(zipped(*members))
    assert site.fetch()[0].name == NAME


def test_a_large_member_of_equal_rows_is_no_bomb(site: Site) -> None:
    rows = zipped(("Data/ONSPD_AUG_2026_UK.csv", TABLE + "0" * 5_000_000), method=zipfile.ZIP_DEFLATED)
    site.server.files[DATA] = Served(rows)
    assert len(site.fetch()) == 3


@pytest.mark.parametrize(
    "body",
    [b"<!doctype html><p>Moved", b"a,b\n1,2\n", FILE_2019, b"", b"\x00\xff", b'"' + b"x" * 200_000],
    ids=itertools.count(),
)
def test_a_csv_that_is_another_file_is_set_aside(site: Site, body: bytes) -> None:
    name = Path(url("iod2025")).name
    site.server.files[url("iod2025")] = Served(body)
    with pytest.raises(ReferenceDataError, match=r"its columns are not those of English Indices .* 2025"):
        site.fetch()
    assert nothing_named(site, name)
    assert (site.folder / f"{name}.refused").read_bytes() == body


def test_a_quoted_column_name_may_run_over_two_lines(site: Site) -> None:
    body = FILE_2025.replace(f"{IMD} Rank".encode(), f'"{IMD}\nRank'.encode(), 1).replace(b"),", b')",', 2)
    body = b'"' + body
    site.server.files[url("iod2025")] = Served(body)
    assert site.fetch()[1].read_bytes() == body


# --- trust on first use

OTHER = zipped(("User Guide/guide.pdf", PADDING[:1000]), GOOD)


def test_the_first_fetch_records_what_each_address_gave(site: Site) -> None:
    site.fetch()
    entry = site.record()[site.server.base + DATA]
    assert entry["file"] == NAME
    assert entry["sha256"] == hashlib.sha256(DIRECTORY).hexdigest()
    assert entry["size"] == len(DIRECTORY)
    assert datetime.fromisoformat(entry["fetched"])


def test_a_file_that_is_here_as_recorded_is_not_downloaded_again(site: Site) -> None:
    paths = site.fetch()
    site.server.asked.clear()
    assert site.fetch() == paths
    assert [urlsplit(asked.target).path for asked in site.server.asked] == [SEARCH]
    assert len([event for event in site.events if "is already here" in event]) == 3


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(DIRECTORY[:-1])], ids=itertools.count())
def test_a_lost_or_damaged_file_is_fetched_again(site: Site, harm: Callable[[Path], Any]) -> None:
    harm(site.fetch()[0])
    assert site.fetch()[0].read_bytes() == DIRECTORY


def test_an_address_that_gives_other_content_is_refused(site: Site) -> None:
    site.fetch()[0].unlink()
    before = site.record()
    site.server.files[DATA] = Served(OTHER)
    with pytest.raises(ReferenceDataError, match="run with --accept-changes") as raised:
        site.fetch()
    for content in (DIRECTORY, OTHER):
        assert hashlib.sha256(content).hexdigest()[:12] in str(raised.value)
    assert nothing_named(site)
    assert (site.folder / f"{NAME}.refused").read_bytes() == OTHER
    assert site.record() == before


def test_other_content_is_taken_and_recorded_where_changes_are_accepted(site: Site) -> None:
    site.fetch()[0].unlink()
    site.server.files[DATA] = Served(OTHER)
    assert site.fetch(accept_changes=True)[0].read_bytes() == OTHER
    assert site.record()[site.server.base + DATA]["sha256"] == hashlib.sha256(OTHER).hexdigest()
    assert any("the change is accepted" in event for event in site.events)


@pytest.mark.parametrize("content", ["{", "[]", '{"u": {"file": "x"}}', '{"u": 1}', "\xff"], ids=itertools.count())
def test_a_damaged_record_is_never_taken_for_an_empty_one(site: Site, content: str) -> None:
    site.folder.mkdir()
    (site.folder / "checksums.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ReferenceDataError, match=r"checksums\.json is damaged"):
        site.fetch()
