"""`/dashboard`: pages about inequalities, for whoever may read the published tables. No cell is ever read for them."""

from collections.abc import Callable
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Query, Request, Response
from pydantic_core import to_json

from app.counts.parts import Published
from app.dashboard.dashboard import Asked, Place
from app.dashboard.frame import NoSuchPageError
from app.errors import Problem
from app.page_doors import above, page
from app.pages.charts import Chart, as_csv, as_json
from app.pages.dashboard import with_account
from app.report.brief import brief_pdf
from app.routers.forms import visitor_of
from app.routers.state import dashboard_of
from app.routers.tagged import ask_store, with_tag

router = APIRouter(prefix="/dashboard", include_in_schema=False)

_T = TypeVar("_T")
_FORMATS: Final = {"csv": "text/csv; charset=utf-8", "json": "application/json"}

# Not async: a page is worked out and drawn beside the loop, which answers others meanwhile.


@router.get("")
def organisation(request: Request, period: str | None = None) -> Response:
    """The organisation's first screen, with the list of its specialties."""
    return _page(request, "organisation", period=period)


@router.get("/specialties/{unit}")
def specialty(request: Request, unit: str, period: str | None = None) -> Response:
    """A specialty in five minutes."""
    return _page(request, "specialty", unit, period)


@router.get("/specialties/{unit}/detail")
def detail(request: Request, unit: str, period: str | None = None) -> Response:
    """What lies behind a specialty's first screen: slopes, deciles, limits and method."""
    return _page(request, "detail", unit, period)


@router.get("/specialties/{unit}/brief")
def brief(request: Request, unit: str, period: str | None = None) -> Response:
    """A specialty on one page of paper, as PDF."""
    asked = _asked(request, "specialty", unit, period)
    made = _found(request, lambda published: dashboard_of(request).brief(published, asked, brief_pdf))
    headers = {"Content-Disposition": 'attachment; filename="imd-lens-brief.pdf"'}
    return with_tag(request, Response(made, media_type="application/pdf", headers=headers))


@router.get("/ranking")
def ranking(request: Request, period: str | None = None, measure: str | None = None) -> Response:
    """All specialties side by side, or why they are not."""
    return _page(request, "ranking", period=period, measure=measure)


@router.get("/completeness")
def completeness(request: Request) -> Response:
    """How many postcodes each integration sent that could not be read."""
    return _page(request, "completeness")


@router.get("/inclusion-health")
def inclusion(request: Request) -> Response:
    """Contacts of people in inclusion-health groups, of the whole organisation alone."""
    return _page(request, "inclusion")


@router.get("/editions")
def editions(request: Request) -> Response:
    """Where the edition of the index changes, and what that means."""
    return _page(request, "editions")


@router.get("/practice")
def practice(
    request: Request, specialty: str = "", kind: Annotated[str | None, Query(alias="format")] = None
) -> Response:
    """The bank of good practice; with `format=csv` all of it as a file."""
    if kind is not None:
        if kind != "csv" or specialty:
            raise Problem(404)
        headers = {"Content-Disposition": 'attachment; filename="good-practice.csv"'}
        body = dashboard_of(request).practice_csv()
        return with_tag(request, Response(body, media_type="text/csv; charset=utf-8", headers=headers))
    return _page(request, "practice", specialty)


@router.get("/help")
def how_to_read(request: Request) -> Response:
    """How to read these pages."""
    return _page(request, "help")


@router.get("/figures/{chart}")
def figure(
    request: Request,
    chart: str,
    unit: str = "",
    period: str | None = None,
    measure: str | None = None,
    kind: Annotated[str, Query(alias="format")] = "json",
) -> Response:
    """The numbers of a chart, as they stand beneath it."""
    if kind not in _FORMATS:
        raise Problem(404)
    asked = _asked(request, "organisation", unit, period, measure)
    made = _found(request, lambda published: dashboard_of(request).chart(published, chart, asked))
    name = f'{"attachment" if kind == "csv" else "inline"}; filename="{made.id}.{kind}"'
    return with_tag(
        request, Response(_written(made, kind), media_type=_FORMATS[kind], headers={"Content-Disposition": name})
    )


def _written(chart: Chart, kind: str) -> bytes:
    return as_csv(chart).encode() if kind == "csv" else to_json(as_json(chart))


def _page(
    request: Request, place: Place, unit: str = "", period: str | None = None, measure: str | None = None
) -> Response:
    asked = _asked(request, place, unit, period, measure)
    html = _found(request, lambda published: dashboard_of(request).page(published, asked))
    return with_tag(request, page(request.scope, with_account(html, asked.above, visitor_of(request))))


def _asked(
    request: Request, place: Place, unit: str = "", period: str | None = None, measure: str | None = None
) -> Asked:
    return Asked(place, above(request.scope), unit, period, measure)


def _found(request: Request, find: Callable[[Published], _T]) -> _T:
    try:
        return ask_store(request, lambda counts: counts.find(find))
    except NoSuchPageError:
        raise Problem(404) from None
