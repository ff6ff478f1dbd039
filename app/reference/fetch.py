"""Download the official files: found by search, resumed when cut off, checked before they are named.

A download grows as `<name>.part`, with `<name>.part.json` saying which copy it is a part of. It gets its
name once it is whole, is what its name says, and has the sha256 that its address first gave here.
"""

import errno
import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx

from app.reference.admission import RefusedError, check_csv, check_zip
from app.reference.errors import ReferenceDataError
from app.reference.manifest import Manifest, Release, Search
from app.reference.sources import sha256

T = TypeVar("T")

TRANSIENT: Final = frozenset({429, 500, 502, 503, 504})
MOST_REDIRECTS: Final = 5
LONGEST_BACK_OFF_SECONDS: Final = 60.0
LARGEST_ANSWER: Final = 8 * 2**20  # of a search
RECORD: Final = "checksums.json"
ITEM_ID: Final = re.compile("[0-9A-Fa-f]+")
CONTENT_RANGE: Final = re.compile(r"bytes (?:([0-9]{1,18})-[0-9]+|\*)/(?:([0-9]{1,18})|\*)")


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """Where the files go, how they are reached, and how patient and how trusting a run is."""

    destination: Path
    product: str = "ONSPD"
    mirror: str | None = None
    proxy: str | None = field(default=None, repr=False)  # may hold a password
    accept_changes: bool = False
    attempts: int = 6
    back_off_seconds: float = 1.0
    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    longest_wait_seconds: float = 120.0
    largest_download: int = 4 * 2**30
    largest_unpacked: int = 20 * 2**30
    arcgis: str = "https://www.arcgis.com"
    user_agent: str = "imd-lens"


@dataclass(frozen=True, slots=True)
class _Item:
    """One file to fetch: `url` is its official address, whatever mirror it comes through."""

    name: str
    url: str
    release: Release


@dataclass(frozen=True, slots=True)
class _Trusted:
    """What an address gave when it was first fetched."""

    file: str
    sha256: str
    size: int
    fetched: str


@dataclass(frozen=True, slots=True)
class _Run:
    """What every step of one run needs."""

    manifest: Manifest
    options: FetchOptions
    client: httpx.Client
    on_progress: Callable[[str, int, int | None], None]
    on_event: Callable[[str], None]

    def address(self, url: str) -> str:
        """The address that is asked: on the mirror, where there is one."""
        if self.options.mirror is None:
            return url
        parts = urlsplit(url)
        return self.options.mirror.rstrip("/") + parts.path + (f"?{parts.query}" if parts.query else "")


class _FaultError(Exception):
    """Why one attempt failed, where another may succeed; `wait` is what the server asked for."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def fetch(
    manifest: Manifest,
    options: FetchOptions,
    *,
    on_progress: Callable[[str, int, int | None], None] = lambda *_: None,
    on_event: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Download everything; returns the paths, ready for the build. Raises ReferenceDataError."""
    release, search = _search_for(manifest, options.product)
    for base in filter(None, (options.arcgis, options.mirror)):
        _check_base(base)
    try:
        options.destination.mkdir(parents=True, exist_ok=True)
        with _alone_in(options.destination), _client(options) as client:
            run = _Run(manifest, options, client, on_progress, on_event)
            static = (partial(_static, release) for release in manifest.releases if release.url)
            return _fetch_each(run, [partial(_newest, run, release, search), *static])
    except OSError as error:
        where = error.filename or options.destination
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sentence = f"the disk that holds {options.destination} is full: free space there and run again"
        else:
            sentence = f"{where} cannot be used ({error.strerror or error}): check it and run again"
        raise ReferenceDataError(sentence) from error


def _fetch_each(run: _Run, sources: list[Callable[[], _Item]]) -> list[Path]:
    """Fetch what can be fetched: an address that has moved does not hold up the other files."""
    paths, faults = [], []
    for source in sources:
        try:
            paths.append(_obtain(run, source()))
        except ReferenceDataError as error:
            faults.append(str(error))
    if faults:
        raise ReferenceDataError("; and ".join(dict.fromkeys(faults)))
    return paths


def _obtain(run: _Run, item: _Item) -> Path:
    """The file under its final name: the one already here, where it is the recorded one."""
    final = run.options.destination / item.name
    known = _read_record(run.options.destination).get(item.url)
    if known is not None and final.is_file() and sha256(final) == known.sha256:
        run.on_event(f"{item.name} is already here, as recorded on {known.fetched}")
        return final
    part = final.with_name(f"{item.name}.part")
    _persist(run, item.name, item.url, partial(_transfer, run, item, part))
    return _admit(run, item, part, final)


# --- what to ask for


def _search_for(manifest: Manifest, product: str) -> tuple[Release, Search]:
    known = {search.product: (release, search) for release in manifest.releases for search in release.searches}
    if product not in known:
        choice = " or ".join(known)
        raise ReferenceDataError(f"the product {product!r} is not one that can be fetched: choose {choice}")
    return known[product]


def _static(release: Release) -> _Item:
    url = str(release.url)
    return _Item(urlsplit(url).path.rpartition("/")[2], url, release)


def _newest(run: _Run, release: Release, search: Search) -> _Item:
    """The item created last among those that are named like a whole release."""
    query = {"q": f'title:"{search.title}"', "f": "json", "num": 50, "sortField": "created"}
    base = run.options.arcgis.rstrip("/") + "/sharing/rest"
    url = f"{base}/search?{urlencode(query | {'sortOrder': 'desc'}, quote_via=quote)}"
    found: list[tuple[int, str, str]] = []
    for result in _persist(run, search.title, url, partial(_results, run, url)):
        match result:
            case {"id": str(key), "name": str(name), "created": int(created)}:
                if search.name.fullmatch(name) and ITEM_ID.fullmatch(key):
                    found.append((created, name, key))
    if not found:
        raise ReferenceDataError(
            f"{url} lists no file named like {search.name.pattern}: download the {search.title} by hand"
        )
    _, name, key = max(found)
    return _Item(name, f"{base}/content/items/{key}/data", release)


def _results(run: _Run, url: str) -> list[Any]:
    """The results of a search; ArcGIS tells of a failure in a body under status 200."""
    body = b""
    with _answer(run, url, {}) as response:
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > LARGEST_ANSWER:
                raise ReferenceDataError(f"{url} answered with more than {LARGEST_ANSWER:,} bytes")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ReferenceDataError(f"{url} did not answer in JSON but with {body[:60]!r}") from error
    match answer:
        case {"error": {"code": int(code)}} if code in TRANSIENT:
            raise _FaultError(f"the search answered with error {code}")
        case {"error": error}:
            raise ReferenceDataError(f"{url} answered with the error {str(error)[:200]!r}")
        case {"results": list(results)}:
            return results
    raise ReferenceDataError(f"{url} answered without a list of results, with {body[:60]!r}")


# --- the network


def _check_base(base: str) -> None:
    with suppress(httpx.InvalidURL):
        url = httpx.URL(base)
        if url.scheme in ("http", "https") and url.host and not url.query:
            return
    raise ReferenceDataError(f"{base!r} is not an address to fetch from: write it as https://host/path")


def _client(options: FetchOptions) -> httpx.Client:
    """A client that takes bytes as they are stored, so that they can be counted and resumed."""
    timeout = httpx.Timeout(options.read_seconds, connect=options.connect_seconds)
    headers = {"User-Agent": options.user_agent, "Accept-Encoding": "identity"}
    try:
        return httpx.Client(proxy=options.proxy, timeout=timeout, headers=headers)
    except (ValueError, OSError, ImportError, httpx.InvalidURL) as error:
        raise ReferenceDataError(
            "the network settings cannot be used: check the proxy, HTTPS_PROXY, SSL_CERT_FILE and user agent"
        ) from error


def may_redirect(origin: str, target: str) -> bool:
    """Whether a redirect keeps the protection that the first address had."""
    allowed = ("http", "https") if urlsplit(origin).scheme == "http" else ("https",)
    return urlsplit(target).scheme in allowed


@contextmanager
def _answer(run: _Run, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
    """The streamed answer at the end of any redirects: 200, 206 or 416."""
    asked = run.address(url)
    request = run.client.build_request("GET", asked, headers=headers)
    for _ in range(MOST_REDIRECTS + 1):
        with closing(run.client.send(request, stream=True)) as response:
            if response.next_request is None:
                _check_status(response, asked)
                yield response
                return
        request = response.next_request
        if not may_redirect(asked, str(request.url)):
            raise ReferenceDataError(f"{asked} redirects to an address that is not https: it is not followed")
    raise ReferenceDataError(f"{asked} redirects more than {MOST_REDIRECTS} times: check the address")


def _check_status(response: httpx.Response, asked: str) -> None:
    status = response.status_code
    if status in TRANSIENT:
        wait = seconds_to_wait(response.headers.get("Retry-After", ""), datetime.now(UTC))
        raise _FaultError(f"the server answered {status}", wait)
    if status not in (200, 206, 416):
        raise ReferenceDataError(
            f"{asked} answered {status}: check the address and any proxy, or download the file by hand"
        )
    if response.headers.get("Content-Encoding", "identity") not in ("", "identity"):
        raise ReferenceDataError(f"{asked} answered in a compressed form that was not asked for")


def seconds_to_wait(retry_after: str, now: datetime) -> float | None:
    """What a Retry-After header asks for, in seconds or by a date; None where it says neither."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())


def _persist(run: _Run, name: str, url: str, once: Callable[[], T]) -> T:
    """Try until it works, up to the number of attempts, waiting longer each time."""
    options = run.options
    fault = _FaultError("no attempt is allowed")
    for attempt in range(1, options.attempts + 1):
        try:
            return once()
        except _FaultError as error:
            fault = error
        except httpx.TransportError as error:
            fault = _FaultError(f"{type(error).__name__}: {error}")
        if attempt < options.attempts:
            wait = min(_pause(options, attempt, fault), options.longest_wait_seconds)
            run.on_event(f"{name}: retrying in {wait:.1f} s: {fault}")
            time.sleep(wait)
    raise ReferenceDataError(
        f"{name} could not be fetched from {run.address(url)} in {options.attempts} attempts ({fault}): "
        "check the network, any proxy and SSL_CERT_FILE, and run again, which goes on from where this stopped"
    )


def _pause(options: FetchOptions, attempt: int, fault: _FaultError) -> float:
    """What the server asked for, or a time that doubles, less up to half: sites do not return together."""
    if fault.wait is not None:
        return fault.wait
    ceiling = min(options.back_off_seconds * 2 ** (attempt - 1), LONGEST_BACK_OFF_SECONDS)
    return SystemRandom().uniform(ceiling / 2, ceiling)


# --- one download


def _transfer(run: _Run, item: _Item, part: Path) -> None:
    """Bring the partial file to the whole body, going on from where it stands if that is safe."""
    asked, sidecar, cap = run.address(item.url), _sidecar(part), run.options.largest_download
    size, validator = _resume_point(part, asked)
    headers = {"Range": f"bytes={size}-", "If-Range": validator} if size else {}
    with _answer(run, item.url, headers) as response:
        first, total = _extent(response)
        seen = _validator(response.headers)
        if response.status_code == 416 and size and total == size:
            return  # it was whole, and the last run ended before it was named
        if response.status_code == 416 or (
            response.status_code == 206 and (first != size or seen not in (None, validator))
        ):
            sidecar.unlink(missing_ok=True)
            raise _FaultError("the partial file is not the beginning of what the server has now")
        size = size if response.status_code == 206 else 0
        if total is None or total <= cap:
            with part.open("ab" if size else "wb") as file:
                if not size:
                    # After the old bytes are gone: the two never speak of different copies.
                    _write(sidecar, {"url": asked, "validator": seen})
                for chunk in response.iter_raw():
                    size += file.write(chunk)
                    if size > cap:
                        break
                    run.on_progress(item.name, size, total)
                file.flush()
                os.fsync(file.fileno())
    if max(size, total or 0) > cap:
        _discard(part)
        raise ReferenceDataError(f"{item.name} from {asked} is larger than {cap:,} bytes and was not kept")
    if total is not None and size != total:
        raise _FaultError(f"the body stopped at {size:,} of {total:,} bytes")


def _resume_point(part: Path, asked: str) -> tuple[int, str]:
    """How many bytes can be kept, and what proves that the server still has the same copy."""
    with suppress(OSError, ValueError):
        match json.loads(_sidecar(part).read_bytes()):
            case {"url": url, "validator": str(validator)} if url == asked and validator.isascii():
                return part.stat().st_size, validator
    return 0, ""


def _validator(headers: httpx.Headers) -> str | None:
    """What If-Range may hold: a strong ETag, or else the date; a weak ETag promises no bytes."""
    etag: str = headers.get("ETag", "")
    date: str | None = headers.get("Last-Modified")
    return etag if etag.startswith('"') else date


def _extent(response: httpx.Response) -> tuple[int, int | None]:
    """Where the body starts in the whole file, and how long that file is."""
    found = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status_code != 200:
        first, total = found.groups() if found else (None, None)
        return int(first or -1), None if total is None else int(total)
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


# --- what may have its name


def _admit(run: _Run, item: _Item, part: Path, final: Path) -> Path:
    """Check a whole download, name it and record it; or set it aside for the operator."""
    try:
        if item.name.lower().endswith(".zip"):
            check_zip(part, run.manifest, item.release, run.options.largest_unpacked)
        else:
            check_csv(part, run.manifest, item.release)
        trusted = _Trusted(item.name, sha256(part), part.stat().st_size, datetime.now(UTC).date().isoformat())
        record = _read_record(run.options.destination)
        _compare(run, record.get(item.url, trusted), trusted)
    except RefusedError as error:
        aside = part.replace(final.with_name(f"{item.name}.refused"))
        _discard(part)
        raise ReferenceDataError(
            f"{item.name} from {run.address(item.url)} was refused because {error}; it is kept as {aside}"
        ) from error
    part.replace(final)
    _discard(part)
    record[item.url] = trusted
    _write(run.options.destination / RECORD, {url: asdict(entry) for url, entry in sorted(record.items())})
    return final


def _compare(run: _Run, known: _Trusted, now: _Trusted) -> None:
    if known.sha256 == now.sha256:
        return
    change = f"its sha256 was {known.sha256[:12]} on {known.fetched} and is now {now.sha256[:12]}"
    if not run.options.accept_changes:
        raise RefusedError(f"{change} (if the publisher has announced a change, run with --accept-changes)")
    run.on_event(f"{now.file}: the change is accepted: {change}")


# --- the folder


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder, so that two runs do not write one partial file."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network drives have no locks
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ReferenceDataError(f"another run is fetching into {folder}: wait until it ends") from error
        yield
    finally:
        os.close(handle)


def _read_record(folder: Path) -> dict[str, _Trusted]:
    path = folder / RECORD
    if not path.exists():
        return {}
    try:
        return {url: _Trusted(**entry) for url, entry in json.loads(path.read_bytes()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ReferenceDataError(f"{path} is damaged: restore it, or delete it to trust anew") from error


def _write(path: Path, content: object) -> None:
    """Write JSON as a whole or not at all."""
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _sidecar(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _sidecar(part).unlink(missing_ok=True)
