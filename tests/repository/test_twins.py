from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from tests.repository.public_calls import NEED_NONE, signature, twins, without_twins

DOCS = Path(__file__).parents[2] / "docs"
CALLS, TWINS = without_twins(), twins()


def test_each_call_that_touches_the_database_has_its_twin() -> None:
    assert {"HasWallet.credits", "Wallet.debit", "Sellable.create_checkout_session", "start_plan"} <= set(
        CALLS
    )
    assert sorted(set(CALLS) - set(TWINS)) == sorted(NEED_NONE)


def test_each_twin_has_its_call() -> None:
    assert set(TWINS) <= set(CALLS)


@pytest.mark.parametrize("name", TWINS)
def test_twin_is_its_call_but_for_the_prefix(name: str) -> None:
    twin, method = TWINS[name], name.rpartition(".")[2]
    assert inspect.iscoroutinefunction(twin)
    assert signature(twin) == signature(CALLS[name])
    assert (twin.__name__, twin.__qualname__.rpartition(".")[2]) == (f"a{method}", f"a{method}")
    assert twin.__doc__.startswith(f"Await `{method}`")


@pytest.mark.parametrize("name", TWINS)
def test_document_every_twin(name: str) -> None:
    section = (DOCS / "reference/api.md").read_text(encoding="utf-8").partition("## Async twins\n")[2]
    assert re.search(rf"`(usage_credits\.)?a{name.rpartition('.')[2]}`", section.partition("\n## ")[0])
