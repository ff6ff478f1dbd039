"""Pages from templates, with the strictest reading of what may stand in them."""

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(template: str, **values: object) -> bytes:
    """A page. What is in `values` stays text, whatever it holds."""
    # A lone surrogate cannot be sent; one odd sign must not cost the whole page.
    return _pages().get_template(template).render(values).encode("utf-8", "replace")


@lru_cache(maxsize=1)
def _pages() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
