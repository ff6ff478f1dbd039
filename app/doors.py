"""Every door of the service: what its requests are called, which scope opens it, and how large they may be.

One table, from which access, limits, metrics, log lines and the API's document are made. What is not in it is not
there: no request reaches a route that has no door here.
"""

import re
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

Size = Literal["record", "batch", "stream"]
Kind = Literal["data", "open", "page", "operations", "probe"]


class Door(NamedTuple):
    """One method of one path.

    `name` labels metrics and log lines. `scope` is what a caller needs, None where nobody is asked. `kind`: `data`
    answers callers, `open` describes the service, `page` is for browsers, `operations` for those who run it, `probe`
    must answer whatever else happens. A body of the size `stream` has no end that could be too far: its records are
    small.
    """

    name: str
    method: str
    path: str
    scope: str | None
    kind: Kind
    size: Size = "record"


DOORS: Final = (
    Door("enrich", "POST", "/v1/enrich", "enrich", "data"),
    Door("batch", "POST", "/v1/enrich/batch", "enrich", "data", "batch"),
    Door("stream", "POST", "/v1/enrich/stream", "enrich", "data", "stream"),
    Door("tables", "GET", "/v1/breakdowns", "breakdowns", "data"),
    Door("table", "GET", "/v1/breakdowns/{table}", "breakdowns", "data"),
    Door("inequality", "GET", "/v1/inequality", "breakdowns", "data"),
    Door("trend", "GET", "/v1/trend", "breakdowns", "data"),
    Door("exact_counts", "GET", "/v1/counts", "counts:exact", "data"),
    Door("card_make", "POST", "/card", "enrich", "page"),
    Door("card", "GET", "/card/{sealed}", None, "page"),  # the link itself is the key, for 15 minutes
    Door("ask", "GET", "/", "enrich", "page"),
    Door("sign_in_page", "GET", "/sign-in", None, "page"),
    Door("sign_in", "POST", "/sign-in", None, "page"),
    Door("sign_out", "POST", "/sign-out", None, "page"),
    Door("dashboard", "GET", "/dashboard", "breakdowns", "page"),
    Door("dashboard_specialty", "GET", "/dashboard/specialties/{unit}", "breakdowns", "page"),
    Door("dashboard_detail", "GET", "/dashboard/specialties/{unit}/detail", "breakdowns", "page"),
    Door("dashboard_brief", "GET", "/dashboard/specialties/{unit}/brief", "breakdowns", "page"),
    Door("dashboard_ranking", "GET", "/dashboard/ranking", "breakdowns", "page"),
    Door("dashboard_completeness", "GET", "/dashboard/completeness", "breakdowns", "page"),
    Door("dashboard_inclusion", "GET", "/dashboard/inclusion-health", "breakdowns", "page"),
    Door("dashboard_editions", "GET", "/dashboard/editions", "breakdowns", "page"),
    Door("dashboard_practice", "GET", "/dashboard/practice", "breakdowns", "page"),
    Door("dashboard_help", "GET", "/dashboard/help", "breakdowns", "page"),
    Door("dashboard_figure", "GET", "/dashboard/figures/{chart}", "breakdowns", "page"),
    Door("cds_discovery", "GET", "/cds-services", None, "open"),
    # A prefetched Patient may hold a photo.
    Door("cds_context", "POST", "/cds-services/deprivation-context", "enrich", "data", "batch"),
    Door("cds_offers", "POST", "/cds-services/access-offers", "enrich", "data", "batch"),
    Door("cds_feedback", "POST", "/cds-services/{service_id}/feedback", "enrich", "data"),
    Door("fhir_enrich", "POST", "/fhir/R4/$enrich", "enrich", "data"),
    Door("fhir_metadata", "GET", "/fhir/R4/metadata", None, "open"),
    Door("fhir_operation", "GET", "/fhir/R4/OperationDefinition/enrich", None, "open"),
    Door("fhir_codes", "GET", "/fhir/R4/CodeSystem/{name}", None, "open"),
    Door("livez", "GET", "/livez", None, "probe"),
    Door("readyz", "GET", "/readyz", None, "probe"),
    Door("version", "GET", "/version", None, "open"),
    Door("ping", "GET", "/_ping", None, "probe"),
    Door("status", "GET", "/_status", "admin", "operations"),
    Door("metrics", "GET", "/metrics", "admin", "operations"),
    Door("openapi", "GET", "/openapi.json", None, "open"),
    Door("docs", "GET", "/docs", None, "open"),
    Door("static", "GET", "/static/{path:path}", None, "open"),
)

HOOKS: Final = frozenset({"cds_context", "cds_offers", "cds_feedback"})
"""Doors at which an EPR proves who it is by a token for the one call."""

_HOLE: Final = re.compile(r"\\\{([a-z_]+)(:path)?\\\}")


class Doors:
    """Finds the door of a request."""

    def __init__(self, doors: Iterable[Door]) -> None:
        self._exact: dict[str, dict[str, Door]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, Door]]] = {}
        for door in doors:
            if "{" in door.path:
                pattern = _HOLE.sub(lambda hole: ".+" if hole[2] else "[^/]+", re.escape(door.path))
                self._patterns.setdefault(door.path, (re.compile(pattern), {}))[1][door.method] = door
            else:
                self._exact.setdefault(door.path, {})[door.method] = door

    def at(self, path: str) -> dict[str, Door]:
        """The doors at a path by method; none where there is no such path. A path that is there wins over patterns."""
        if (found := self._exact.get(path)) is not None:
            return found
        for pattern, doors in self._patterns.values():
            # The whole path and nothing more: `$` would let a line feed at its end pass.
            if pattern.fullmatch(path):
                return doors
        return {}
