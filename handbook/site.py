"""What mkdocs does not do by itself: pages that nobody put in order, and links that lead out of `docs/`.

A page that is not in the `nav` of mkdocs.yml stands under "More". A file beside `docs/` that a page links to, such as
an example or the results of the benchmarks, is a page of the site too, under `beside/`.
"""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

from handbook.drawing import svg

ROOT: Final = Path(__file__).parents[1]
MORE: Final = "More"
BESIDE: Final = "beside"
_LINK: Final = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(\))")
_CELL: Final = re.compile(r"<t[dh][ >].*?</t[dh]>", re.DOTALL)
_CODE: Final = re.compile(r"(<code>)([^<]*)")
_SIGN: Final = re.compile(r"([_:/.-])(?=\w)")
_NAMED_SEARCH: Final = 'class="md-search" data-md-component="search" role="dialog" aria-label="Search"'
_MERMAID: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LANGUAGES: Final = {".py": "python", ".toml": "toml", ".csv": "text"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add to the navigation what is in no place of it yet."""
    docs = Path(config.docs_dir)
    pages = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    if left := sorted(pages - set(named(config.nav))):
        config.nav = [*(config.nav or []), {MORE: left}]
    return config


def named(nav: Any) -> Iterator[str]:
    """The pages that a navigation names."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, Mapping):
        for part in nav.values():
            yield from named(part)
    else:
        for part in nav or ():
            yield from named(part)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each file outside of `docs/` that a page leads to."""
    waiting = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    seen = set(waiting)
    while waiting:
        source = waiting.pop()
        if not source.endswith(".md"):
            continue
        for target in links(source):
            if target not in seen and not target.startswith("docs/") and (ROOT / target).is_file():
                seen.add(target)
                waiting.append(target)
                page = File.generated(config, _page_of(target), content=_content(target))
                page.inclusion = InclusionLevel.NOT_IN_NAV
                files.append(page)
    return files


def links(source: str) -> Iterator[str]:
    """Where the links of a file lead, from the root of the repository."""
    for found in _LINK.finditer((ROOT / source).read_text("utf-8")):
        yield _whither(source, found[2])


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to where their files are on the site, and draw what is written as a picture."""
    here = page.file.src_uri
    source = here.removeprefix(f"{BESIDE}/").removesuffix(".md") if here.startswith(f"{BESIDE}/") else f"docs/{here}"
    drawn = _MERMAID.sub(lambda found: svg(found[1]), markdown)
    return _LINK.sub(_leading(source, here), drawn)


def _leading(source: str, here: str) -> Callable[[re.Match[str]], str]:
    def lead(found: re.Match[str]) -> str:
        target = _whither(source, found[2])
        if (ROOT / target).is_dir():  # a folder is no page; one of docs/ has one
            return found[0]
        page = target.removeprefix("docs/") if target.startswith("docs/") else _page_of(target)
        place = posixpath.relpath(page, posixpath.dirname(here) or ".")
        return f"{found[1]}{place}{found[3] or ''}{found[4]}"

    return lead


def _whither(source: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _page_of(target: str) -> str:
    """The name always ends in `.md` once more, so that README.md is no index of a folder."""
    return f"{BESIDE}/{target}.md"


def _content(target: str) -> str:
    text = (ROOT / target).read_text("utf-8")
    if target.endswith(".md"):
        return text
    return f"# {target}\n\n````{_LANGUAGES.get(Path(target).suffix, 'text')}\n{text}\n````\n"


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let long names in tables break after a sign, not within a word."""
    return _CELL.sub(lambda cell: _CODE.sub(_breaking, cell[0]), html)


def _breaking(code: re.Match[str]) -> str:
    return code[1] + _SIGN.sub(r"\1<wbr>", code[2])


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Name the dialog of the search, which the theme leaves without a name."""
    return output.replace('class="md-search" data-md-component="search" role="dialog"', _NAMED_SEARCH)
