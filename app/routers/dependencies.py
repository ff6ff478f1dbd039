"""What a door asks for, by name.

They are `async` though they await nothing: the framework runs any other kind in a thread, which costs
more than the answer.
"""

from typing import Annotated

from fastapi import Depends, Request

from app.current import CurrentRelease
from app.enrichment import Rules
from app.errors import Problem
from app.lookup.index import Index
from app.settings import Settings


async def _current(request: Request) -> CurrentRelease:
    current: CurrentRelease = request.app.state.current
    return current


async def _rules(request: Request) -> Rules:
    rules: Rules = request.app.state.rules
    return rules


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _index(request: Request) -> Index:
    index: Index | None = request.app.state.current.index
    if index is None:
        raise Problem(503, "No data is loaded.", headers={"Retry-After": "5"})
    return index


CurrentDep = Annotated[CurrentRelease, Depends(_current)]
IndexDep = Annotated[Index, Depends(_index)]
RulesDep = Annotated[Rules, Depends(_rules)]
SettingsDep = Annotated[Settings, Depends(_settings)]
