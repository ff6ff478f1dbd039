"""House rules that no general linter knows: each a small program over our own source, with the reason."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
APP = sorted((ROOT / "app").rglob("*.py"))
SET_UP = {"logging.getLogger", "logging.captureWarnings", "logging.config.dictConfig"}
TREES = {path: ast.parse(path.read_text("utf-8")) for path in APP}


def name_of(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", APP, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_that_came_with_a_request_reaches_a_log(path: Path) -> None:
    """A log line holds what we wrote: constants, and names from a short list. Never an exception's message."""
    allowed = re.compile(
        r"^(type\(error\)\.__name__|place_of\(error\)|known\.decode\(\)|index\.release\.id|sentence|'.*)$"
    )
    for call in calls(TREES[path]):
        if name_of(call.func).startswith(("log.", "logging.")) and name_of(call.func) not in SET_UP:
            assert name_of(call.func) != "log.exception", "a traceback ends with the exception's message"
            assert isinstance(call.args[0], ast.Constant), ast.unparse(call)
            for argument in call.args[1:]:
                assert allowed.match(ast.unparse(argument)), ast.unparse(call)


def test_lines_labels_and_spans_are_made_where_their_fields_are_listed() -> None:
    """What leaves as a line, a metric's label or a span's attribute is decided in one module each."""
    makers = {
        "logs.write": {"request_log.py"},
        "os.write": {"logs.py", "request_log.py"},
        "made.labels": {"metrics.py"},
        "start_span": {"tracing.py"},
        "set_attribute": {"tracing.py"},
    }
    for path, tree in TREES.items():
        for call in calls(tree):
            name = name_of(call.func)
            for maker, modules in makers.items():
                assert path.name in modules or not f".{name}".endswith(f".{maker}"), f"{path}: {ast.unparse(call)}"


@pytest.mark.parametrize("path", APP, ids=lambda p: str(p.relative_to(ROOT)))
def test_importing_does_no_input_or_output(path: Path) -> None:
    """Files read, settings parsed or engines built at import fail where nobody can catch them."""
    forbidden = {"open", "Settings", "create_app", "manifest", "rules", "read_text", "read_bytes", "load", "run"}
    for node in TREES[path].body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If)):
            continue
        for call in calls(node):
            assert name_of(call.func).rsplit(".", 1)[-1] not in forbidden, ast.unparse(node)


def test_only_the_command_prints() -> None:
    for path, tree in TREES.items():
        if path.name != "cli.py":
            assert not [c for c in calls(tree) if name_of(c.func) == "print"], path


def test_pandas_and_httpx_stay_where_data_is_built_and_keys_are_fetched() -> None:
    """What serves requests must start fast, stay small, and call nobody but where the operator says so."""
    for path, tree in TREES.items():
        if path.parent.name in ("reference", "batch") or path.name == "export.py":
            continue
        if path.parts[-2:] == ("access", "fetch.py"):
            continue
        for node in ast.walk(tree):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {m.split(".")[0] for m in modules} & {"pandas", "httpx", "requests", "urllib3", "pyarrow"}, path


def test_the_running_service_loads_nothing_that_builds_data() -> None:
    import subprocess
    import sys

    program = "import sys, app.main; print([m for m in ('pandas', 'httpx', 'pyarrow') if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert loaded.stdout.strip() == "[]"


def test_the_command_by_itself_loads_neither_the_database_nor_the_service() -> None:
    import subprocess
    import sys

    program = "import sys, app.cli; print([m for m in ('sqlalchemy', 'fastapi', 'alembic') if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert loaded.stdout.strip() == "[]"


def test_every_module_says_in_its_first_line_what_it_is() -> None:
    for path, tree in TREES.items():
        documentation = ast.get_docstring(tree)
        assert documentation, path
        assert len(documentation.splitlines()[0]) <= 120, path


def test_public_functions_and_classes_are_documented() -> None:
    missing = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
        and not _inside_a_function(tree, node)
        and not _of_a_private_class(tree, node)
    ]
    assert not missing


def _inside_a_function(tree: ast.AST, inner: ast.AST) -> bool:
    outer = [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)) and n is not inner]
    return any(inner in ast.walk(function) for function in outer)


def _of_a_private_class(tree: ast.AST, inner: ast.AST) -> bool:
    private = [n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name.startswith("_")]
    return any(inner in ast.walk(c) for c in private)


def test_no_folder_or_module_has_a_name_that_says_nothing() -> None:
    nothing = {"utils", "util", "helpers", "services", "managers", "common", "misc", "base"}
    assert not [p for p in APP if nothing & {part.removesuffix(".py") for part in p.relative_to(ROOT).parts}]


def test_every_setting_is_documented() -> None:
    from app.settings import Settings

    documented = (ROOT / "docs" / "settings.md").read_text("utf-8")
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"`IMDLENS_{name.upper()}`" in documented, name


def test_nothing_tracked_names_a_place_of_one_machine_or_a_package_index() -> None:
    import subprocess

    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    machine = re.compile(rb"(^|[^\w.])/(work|root|home)/\w|pypi\.org|registry\.npmjs|files\.pythonhosted", re.MULTILINE)
    for name in filter(None, listed.decode().split("\0")):
        path = ROOT / name
        if path.is_file() and name != "tests/test_house_rules.py":
            found = machine.search(path.read_bytes())
            assert not found, f"{name}: {found.group(0)!r}" if found else ""


def test_no_test_copies_the_store_that_tests_share() -> None:
    """Closing a copy's handle of an open SQLite file gives up its locks: once in some runs the next write failed."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for call in calls(ast.parse(path.read_text("utf-8"))):
            if name_of(call.func) == "shutil.copytree" and ast.unparse(call.args[0]) == "starter":
                assert path.name == "starter_data.py", f"{path}: use starter_data.copy_without_counts"


def test_nothing_tracked_holds_a_private_key_or_a_credential_that_opens_anything() -> None:
    import subprocess

    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    secret = re.compile(
        rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{20}|imdl_[A-Za-z0-9_-]{43}|\bAKIA[0-9A-Z]{16}\b"
        rb"|\bgh[pousr]_[A-Za-z0-9]{36}|\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\."
    )
    assert secret.search(b"-----BEGIN PRIVATE KEY-----\n" + b"M" * 64)
    assert secret.search(b"imdl_" + b"x" * 43)
    for name in filter(None, listed.decode().split("\0")):
        path = ROOT / name
        assert not (path.is_file() and secret.search(path.read_bytes())), name
