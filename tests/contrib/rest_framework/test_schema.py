from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.contrib.rest_framework.schema import URLCONF, api_schema
from usage_credits.statements.exports import COLUMNS

ROOT = Path(__file__).parents[3]


def test_schema_is_valid_and_complete_without_a_warning(tmp_path: Path) -> None:
    written = tmp_path / "schema.yml"
    call_command("spectacular", urlconf=URLCONF, validate=True, fail_on_warn=True, file=str(written))
    assert "/api/credits/wallets/{asset}/transactions/:" in written.read_text()


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("wallets/", "get", "200 401 403"),
        ("wallets/{asset}/", "get", "200 401 403 404"),
        ("wallets/{asset}/lots/", "get", "200 401 403 404"),
        ("wallets/{asset}/transactions/", "get", "200 400 401 403 404"),
        ("wallets/{asset}/transactions/{id}/", "get", "200 401 403 404"),
        ("packs/", "get", "200 401 403"),
        ("plans/", "get", "200 401 403"),
        ("estimate/", "post", "200 400 401 403"),
        ("checkout/", "post", "201 400 401 403 503"),
    ],
)
def test_schema_has_each_answer(path: str, method: str, statuses: str) -> None:
    operations = api_schema()["paths"][f"/api/credits/{path}"]
    assert list(operations) == [method]
    assert sorted(operations[method]["responses"]) == statuses.split()
    of_team = api_schema()["paths"][f"/api/teams/{{team}}/credits/{path}"][method]["responses"]
    assert sorted(of_team) == sorted({*statuses.split(), "404"})


def test_schema_has_each_filter_and_column() -> None:
    listed = api_schema()["paths"]["/api/credits/wallets/{asset}/transactions/"]["get"]
    named = {parameter["name"] for parameter in listed["parameters"]}
    filters = {"direction", "category", "operation", "attributed_to", "since", "until"}
    assert named == {"asset", "cursor", "page_size", *filters}
    columns = api_schema()["components"]["schemas"]["CreditTransaction"]["properties"]
    assert tuple(columns) == COLUMNS


def test_api_works_without_drf_spectacular() -> None:
    code = (
        "import sys\n"
        "from django.conf import settings\n"
        "import tests.settings as given\n"
        "apps = [app for app in given.INSTALLED_APPS if app != 'drf_spectacular']\n"
        "named = {name: getattr(given, name) for name in dir(given) if name.isupper()}\n"
        "settings.configure(**{**named, 'INSTALLED_APPS': apps, 'REST_FRAMEWORK': {}})\n"
        "import django\n"
        "django.setup()\n"
        "import usage_credits.contrib.rest_framework.urls as urls\n"
        "print(len(urls.urlpatterns), 'drf_spectacular' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["9", "False"]
