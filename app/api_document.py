"""The API's document: OpenAPI, made of the routes, the models and the table of doors, and the page that shows it."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any, Final

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.staticfiles import StaticFiles
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from starlette.responses import HTMLResponse, Response

from app.access.caller import SCOPES
from app.contract.breakdowns import Breakdown, Breakdowns, ExactCounts
from app.contract.card import CardLink
from app.contract.cds_hooks import (
    AppointmentBookRequest,
    CdsCards,
    CdsFeedback,
    CdsFeedbackAnswer,
    CdsServices,
    PatientViewRequest,
)
from app.contract.enrich import BatchRequest, BatchResponse, EnrichRequest, EnrichResponse
from app.contract.fhir import OperationOutcome, outcomes
from app.contract.inequality import InequalityAnswer, RankingAnswer, TrendAnswer
from app.contract.platform import Alive, Ping, Ready, Status, Version
from app.contract.problems import ProblemDetails, problems
from app.doors import DOORS, HOOKS
from app.pages.card import STATIC

DESCRIPTION: Final = """
A home postcode in; the published IMD decile, the Core20 flag and what may be said of the area out.

A decile is about an **area**, never about a person. `null` is **unknown**, never "not deprived". Never for triage,
priority, predicting attendance, overbooking or discharge.
"""

# In the order of the document.
_MODELS: Final[list[tuple[type[Any], JsonSchemaMode]]] = [
    (EnrichRequest, "validation"),
    (BatchRequest, "validation"),
    (PatientViewRequest, "validation"),
    (AppointmentBookRequest, "validation"),
    (CdsFeedback, "validation"),
    *(
        (model, "serialization")
        for model in (
            EnrichResponse,
            BatchResponse,
            Breakdowns,
            Breakdown,
            ExactCounts,
            InequalityAnswer,
            RankingAnswer,
            TrendAnswer,
            CardLink,
            CdsServices,
            CdsCards,
            CdsFeedbackAnswer,
            ProblemDetails,
            OperationOutcome,
            Alive,
            Ready,
            Version,
            Ping,
            Status,
        )
    ),
]


class _InOrder(GenerateJsonSchema):
    """Fields and examples in the order in which they are written, which is the order of the answers."""

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        """Leave the order alone."""
        return value


_PROOFS: Final = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "imdl_… or JWT",
        "description": "A key by `imdlens keys create`, or a token of an issuer that the access file lists. Scopes:\n\n"
        + "\n".join(f"- `{name}`: {opens}" for name, opens in SCOPES.items()),
    },
    "hook": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The token that an EPR signs for this one call, as CDS Hooks has it.",
    },
}


def document(app: FastAPI) -> dict[str, Any]:
    """The document, with the models that only a media type names, and what each door asks of its callers."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            summary=app.summary,
            description=app.description,
            version=app.version,
            license_info=app.license_info,
            routes=app.routes,
        )
        # The framework leaves out models that only a media type names, and nulls in examples.
        _, models = TypeAdapter.json_schemas(
            [(m.__name__, mode, TypeAdapter(m)) for m, mode in _MODELS],
            ref_template="#/components/schemas/{model}",
            schema_generator=_InOrder,
        )
        made["components"]["schemas"] = models["$defs"]
        made["components"]["securitySchemes"] = _PROOFS
        _say_who_may(made["paths"])
        app.openapi_schema = made
    return app.openapi_schema


def _say_who_may(paths: dict[str, Any]) -> None:
    """Scopes, and the refusals that go with them, from the table that the guard reads."""
    for door in DOORS:
        operation = paths.get(door.path, {}).get(door.method.lower())
        if operation is None:  # a page
            continue
        if door.scope is None:
            operation["security"] = []
            continue
        operation["security"] = [{"key": []}, *([{"hook": []}] if door.name in HOOKS else [])]
        operation["description"] += f"\n\nScope: `{door.scope}`."
        refusals = outcomes if door.path.startswith("/fhir/") else problems
        answers = operation["responses"] | {str(status): said for status, said in refusals(401, 403).items()}
        operation["responses"] = dict(sorted(answers.items()))


class _Kept(StaticFiles):
    """Style sheets, which a browser may keep: without them in its store a card would flash on each opening."""

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        """Answer a file that may be kept for a day."""
        response = super().file_response(*arguments, **named)
        response.headers["cache-control"] = "public, max-age=86400"
        return response


def add_docs(app: FastAPI) -> None:
    """`/docs` from assets of our own, so that no browser asks a third party for them."""
    assets = Path(fastapi_offline.__file__).parent / "static"
    app.mount("/static/swagger", StaticFiles(directory=assets), name="swagger")
    app.mount("/static", _Kept(directory=STATIC), name="static")

    async def docs() -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="IMD Lens: the API",
            swagger_js_url="/static/swagger/swagger-ui-bundle.js",
            swagger_css_url="/static/swagger/swagger-ui.css",
            swagger_favicon_url="/static/swagger/favicon.png",
        )
        page.headers["content-security-policy"] = _docs_policy(bytes(page.body))
        return page

    app.add_api_route("/docs", docs, include_in_schema=False)


def _docs_policy(page: bytes) -> str:
    """Lets the page run its own script and the one written into it, and ask this service alone."""
    inline = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'" for text in inline]
    return (
        f"default-src 'none'; script-src 'self' {' '.join(hashes)}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
