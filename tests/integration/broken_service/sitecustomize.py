"""Breaks the service on purpose, with what the request holds in every message, and has every logger say everything.

Python reads this when it starts, if its folder is in PYTHONPATH.
"""

import sys
from typing import Any

WORD = "breakme"
"""A question with this in it makes a door fail from within. The header X-Break makes the guard fail before any door."""


class _PanicError(BaseException):
    pass


class _Sad:
    def __init__(self, value: str) -> None:
        self.value = value

    def __del__(self) -> None:
        raise ValueError(self.value)


def _say_everything(config: dict[str, Any]) -> None:
    config["root"]["level"] = 1
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        config["loggers"][name] = {"handlers": [], "level": 1, "propagate": True}
    for name in ("sqlalchemy", "sqlalchemy.engine", "sqlalchemy.pool", "httpx", "httpcore", "asyncio", "urllib3",
                 "opentelemetry", "alembic", "fastapi", "starlette", "concurrent", "psycopg", "jinja2"):  # fmt: skip
        config["loggers"][name] = {"level": 1}


def _fail(value: str) -> None:
    raise ValueError(value)


def _make_trouble(value: str) -> None:
    """What happens beside a request."""
    import asyncio
    import logging
    import threading
    import warnings

    threading.Thread(target=_fail, args=(value,), name=value).start()
    loop = asyncio.get_running_loop()
    loop.call_soon(int, value)
    loop.call_later(0.01, _fail, value)

    async def fail() -> None:
        await asyncio.sleep(0)
        _fail(value)

    task = asyncio.create_task(fail(), name=value)
    task.add_done_callback(lambda _: None)
    loop.run_in_executor(None, _fail, value)
    loop.call_exception_handler({"message": value, "exception": ValueError(value), "said": value})
    loop.call_exception_handler({"message": value})
    asyncio.sleep(0.01, value)  # never awaited
    warnings.warn(value, stacklevel=1)
    _Sad(value)
    for name in ("uvicorn.error", "uvicorn.access", "sqlalchemy.engine.Engine", "httpx", "asyncio", "imdlens.of"):
        logger = logging.getLogger(name)
        for level in (5, 10, 20, 30, 40, 50):
            logger.log(level, value)
            logger.log(level, "%s %d", value, value)
        try:
            _fail(value)
        except ValueError:
            logger.exception(value, stack_info=True, extra={"said": value})


def _broken_guard(passes: Any) -> Any:
    async def passes_or_breaks(self: Any, scope: Any) -> Any:
        how = dict(scope["headers"]).get(b"x-break")
        if how is None:
            return await passes(self, scope)
        proof = await passes(self, scope) if scope["path"] != "/readyz" else None
        value = repr(scope)
        if how.startswith(b"trouble"):
            _make_trouble(value)
        del proof
        try:
            _fail(value)
        except ValueError as error:
            error.add_note(value)
            if how.startswith(b"panic"):
                raise _PanicError(value) from error
            raise KeyError(value, scope) from error

    return passes_or_breaks


def _broken(door: Any) -> Any:
    def asked(*arguments: Any, **named: Any) -> Any:
        # By its fields: a question shows none of its values.
        shown = "".join(_shown(argument) for argument in arguments)
        if WORD in shown:
            raise ValueError(shown)
        return door(*arguments, **named)

    return asked


def _shown(value: Any) -> str:
    if isinstance(value, (str, tuple, list)):
        return "".join(map(_shown, value)) if not isinstance(value, str) else value
    return str(getattr(value, "text", ""))


class _Finder:
    def find_spec(self, name: str, *_: Any) -> None:
        if name == "app.routers.breakdowns":  # the first of the doors
            sys.meta_path.remove(self)  # type: ignore[arg-type]
            import app.counting
            import app.enrichment
            import app.guard
            import app.logs

            app.enrichment.enrich = _broken(app.enrichment.enrich)
            app.enrichment.enrich_each = _broken(app.enrichment.enrich_each)
            app.counting.Counts.choose = _broken(app.counting.Counts.choose)  # type: ignore[method-assign]
            app.guard.Guard._pass = _broken_guard(app.guard.Guard._pass)  # type: ignore[method-assign]


class _Loud:
    def find_spec(self, name: str, *_: Any) -> None:
        if name == "uvicorn":  # the command imports it after its lines are there to be configured
            sys.meta_path.remove(self)  # type: ignore[arg-type]
            import app.logs

            _say_everything(app.logs.CONFIG)


sys.meta_path.insert(0, _Finder())  # type: ignore[arg-type]
sys.meta_path.insert(0, _Loud())  # type: ignore[arg-type]
