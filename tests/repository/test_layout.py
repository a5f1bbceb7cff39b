from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LONGEST_MODULE = 300
LONGEST_FUNCTION = 50
FOLDERS = ("usage_credits", "benchmarks")


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def functions(source: str) -> Iterable[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_modules_are_short() -> None:
    lengths = {name: len(source.splitlines()) for name, source in sources(*FOLDERS)}
    assert not {
        name: length
        for name, length in lengths.items()
        if length > LONGEST_MODULE and "/migrations/" not in name
    }


def test_functions_are_short() -> None:
    lengths = {
        f"{name}:{function.name}": (function.end_lineno or function.lineno) - function.lineno + 1
        for name, source in sources(*FOLDERS)
        for function in functions(source)
    }
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}


# A CI run refuses to leave out what carries the marker, and nothing else.
def test_concurrency_tests_are_marked_as_such() -> None:
    modules = {name: source for name, source in sources("tests/concurrency") if "/test_" in name}
    assert modules
    assert not [name for name, source in modules.items() if "pytest.mark.concurrency" not in source]
