from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client

from tests.views.visiting import seen, url

DOCUMENTED = Path(__file__).parents[2] / "docs/how-to/pages.md"

SITE = """<!doctype html>
<html lang="en"><head>{% block head %}<link rel="icon" href="/own.svg">{% endblock %}</head>
<body><h2>Our site</h2>{% block main %}{% endblock %}</body></html>"""


@pytest.fixture
def templates(tmp_path: Path, settings: Any) -> Path:
    """A folder whose templates come first, as one in DIRS does."""
    engines = copy.deepcopy(django_settings.TEMPLATES)
    engines[0]["DIRS"] = [tmp_path]
    settings.TEMPLATES = engines
    (tmp_path / "usage_credits").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", ["wallet", "statement", "shop", "recharge"])
def test_project_puts_pages_into_its_own_layout_by_one_template(
    client: Client, templates: Path, name: str
) -> None:
    layout = re.search(r"```html\+django\n(.*?)```", DOCUMENTED.read_text(encoding="utf-8"), re.DOTALL)
    assert layout
    (templates / "site.html").write_text(SITE)
    (templates / "usage_credits/base.html").write_text(layout[1])
    page = seen(client.get(url(name)))
    assert "<h2>Our site</h2>" in page
    assert '<link rel="icon" href="/own.svg">' in page
    assert '<link rel="stylesheet" href="/static/usage_credits/pages.css">' in page
    assert f"<title>{name.title()}</title>" in page
    assert f'<a href="{url(name)}" aria-current="page">' in page
    assert f"<h1>{name.title()}</h1>" in page
    assert page.count("<html") == page.count("<main") + 1 == 1


def test_project_overrides_a_part_alone(client: Client, templates: Path) -> None:
    (templates / "usage_credits/_lots.html").write_text("<p>{{ lots|length }} lots</p>")
    assert "<p>0 lots</p>" in seen(client.get(url("wallet")))
