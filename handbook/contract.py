"""The pages of doors and of errors, from the table of doors and the API's own document."""

import ast
from functools import cache
from pathlib import Path
from typing import Any, Final

from app.access.caller import SCOPES
from app.contract.problems import WHEN
from app.doors import DOORS, Door
from app.errors import CODES, TITLES
from app.main import create_app
from app.settings import Settings
from handbook.tables import table

_APP: Final = Path(__file__).parents[1] / "app"
_DOORS: Final = """# Doors

Every address that the service answers at, and the scope that opens it. What is not listed is not there. A running
service describes the bodies of requests and answers at `/docs`, and for programs at `/openapi.json`.

"""
_KINDS: Final = {
    "data": "answers callers",
    "open": "describes the service",
    "page": "for browsers",
    "operations": "for those who run it",
    "probe": "must answer whatever else happens",
}
_ERRORS: Final = """# Errors

An error is `application/problem+json` (RFC 9457), and under `/fhir` an OperationOutcome. It names fields, never values.
A postcode that is not known, not usable or not there is no error: it is answered 200 with its `postcode_status`.

"""
_CODES: Final = """
## Codes of fields

`errors` lists `{field, code}`. The codes are:

"""


def doors() -> str:
    """The page of doors."""
    rows = [
        (f"`{d.name}`", f"`{d.method} {d.path}`", f"`{d.scope}`" if d.scope else "nobody is asked", _what(d))
        for d in DOORS
    ]
    scopes = [(f"`{name}`", opens) for name, opens in SCOPES.items()]
    return (
        _DOORS
        + table(("name in logs and metrics", "address", "scope", "what it is"), rows)
        + "\n## Scopes\n\nNone includes another.\n\n"
        + table(("scope", "what it opens"), scopes)
    )


def errors() -> str:
    """The page of errors."""
    rows = [
        (str(status), f"`urn:imdlens:problem:{code}`", title, WHEN[status][0], _answered_by(status))
        for status, (code, title) in TITLES.items()
    ]
    return (
        _ERRORS
        + table(("status", "type", "title", "when", "doors whose description names it"), rows)
        + _CODES
        + ", ".join(f"`{code}`" for code in _codes())
        + ".\n"
    )


@cache
def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = create_app(Settings()).openapi()["paths"]
    return paths


def _operation(door: Door) -> dict[str, Any]:
    found: dict[str, Any] = _paths().get(door.path, {}).get(door.method.lower(), {})
    return found


def _what(door: Door) -> str:
    summary = _operation(door).get("summary")
    return f"{summary}; {_KINDS[door.kind]}" if summary else _KINDS[door.kind]


def _answered_by(status: int) -> str:
    described = [door for door in DOORS if _operation(door)]
    names = [f"`{door.name}`" for door in described if str(status) in _operation(door)["responses"]]
    return ", ".join(names) or "any"


def _codes() -> list[str]:
    """Every code that stands beside a field in the code, and those that stand for Pydantic's."""
    found = set()
    for path in _APP.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Dict):
                entry = {k.value: v for k, v in zip(node.keys, node.values, strict=True) if isinstance(k, ast.Constant)}
                if {"field", "code"} == set(entry) and isinstance(entry["code"], ast.Constant):
                    found.add(str(entry["code"].value))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Fault":
                found |= {str(a.value) for a in node.args[1:2] if isinstance(a, ast.Constant)}
    return sorted(found | {*CODES.values(), "invalid"})
