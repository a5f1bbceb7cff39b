from __future__ import annotations

import pytest
from django.template import Context, Template

from tests.factories import make_wallet, stored

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "verb",
    ["hold.release", "hold.capture", "hold.extend", "hold.arelease", "debit.reverse", "transfer.reverse"],
)
def test_template_that_names_a_verb_changes_nothing(verb: str) -> None:
    wallet = make_wallet(100)
    named = {
        "hold": wallet.hold(10),
        "debit": wallet.debit(10),
        "transfer": wallet.transfer_to(make_wallet(), 10),
    }
    before = stored()
    assert Template(f"{{{{ {verb} }}}}").render(Context(named)) == ""
    assert stored() == before
