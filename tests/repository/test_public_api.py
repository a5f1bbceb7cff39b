from __future__ import annotations

import subprocess
import sys

import pytest

import usage_credits


def run_python(code: str, **environment: str) -> list[str]:
    """Run code in an interpreter of its own and return the words it printed."""
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    ).stdout.split()


@pytest.mark.parametrize("name", usage_credits.__all__)
def test_public_name_resolves(name: str) -> None:
    assert getattr(usage_credits, name) is not None
    assert name in dir(usage_credits)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'spend'"):
        _ = usage_credits.spend


def test_definitions_load_no_django_in_settings() -> None:
    loaded = run_python(
        "import sys\n"
        "from usage_credits import CreditPack, Operation, SubscriptionPlan, WalletOptions\n"
        "from usage_credits import cents, credits, dollars, euros, pounds\n"
        "CreditPack('starter', gives=1_000, costs=dollars(49))\n"
        "Operation('image', costs=credits(10) + credits(1).per('mb'))\n"
        "print(*sys.modules)"
    )
    assert "usage_credits.dsl.packs" in loaded
    assert not {"django.db", "django.conf", "usage_credits.models", "djstripe", "stripe"} & set(loaded)


def test_project_without_djstripe_never_imports_stripe() -> None:
    loaded = run_python(
        "import sys, django\n"
        "django.setup()\n"
        "from django.core.management import call_command\n"
        "call_command('check', '--fail-level', 'ERROR')\n"
        "import usage_credits\n"
        "[getattr(usage_credits, name) for name in usage_credits.__all__]\n"
        "print(*sys.modules)",
        DJANGO_SETTINGS_MODULE="tests.settings_no_stripe",
        TEST_DATABASE="sqlite",
    )
    assert "usage_credits.models" in loaded
    assert not {"djstripe", "stripe"} & set(loaded)
