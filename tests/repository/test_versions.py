from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from usage_credits.dsl.categories import DEFAULT_CATEGORIES
from usage_credits.version import __version__

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "_build" not in page.parts
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def mentions(pattern: str) -> list[tuple[str, str]]:
    return [
        (str(page.relative_to(ROOT)), match[1])
        for page in PAGES
        for match in re.finditer(pattern, page.read_text(encoding="utf-8"))
    ]


def least(requirement: str, requirements: list[str]) -> str:
    (found,) = [line for line in requirements if line.startswith(f"{requirement}>=")]
    return found.removeprefix(f"{requirement}>=").split(",")[0]


@pytest.mark.parametrize(
    ("pattern", "version"),
    [
        (r"Python (\d+\.\d+)", PROJECT["requires-python"].removeprefix(">=")),
        (r"Django (\d+\.\d+)", least("Django", PROJECT["dependencies"])),
        (r"dj-stripe (\d+\.\d+)", least("dj-stripe", PROJECT["optional-dependencies"]["stripe"])),
    ],
)
def test_docs_name_the_versions_that_the_package_requires(pattern: str, version: str) -> None:
    named = mentions(pattern)
    assert named
    assert not [(page, found) for page, found in named if found != version]


def test_changelog_tells_of_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {__version__}" in changelog or "## Unreleased" in changelog


@pytest.mark.behaviour("CAT-08")
def test_docs_use_categories_that_exist_without_configuration() -> None:
    # A transfer's category is a word of the caller's own; that of a row is one of the settings'.
    named = mentions(r"(?m)^(?!.*transfer_to\().*category=\"(\w+)\"")
    assert named
    assert not [(page, category) for page, category in named if category not in DEFAULT_CATEGORIES]


def test_readme_links_to_files_that_exist() -> None:
    linked = re.findall(r"\]\(((?!https?:)[^)#]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert linked
    assert not [path for path in linked if not (ROOT / path).exists()]
