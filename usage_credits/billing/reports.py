"""Reports of a provider: each is taken in only where no other was since it was asked for.

Nothing is asked while a wallet is locked, so another answer may be taken in before one's own. `Fulfillment.revision`
counts what was taken in; who finds that it went on asks again. So an older answer never undoes a newer one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from django.db import router
from django.db.models import F

from usage_credits.billing.notices import SOURCE
from usage_credits.models import Fulfillment
from usage_credits.models.fulfillment import FulfillmentQuerySet

ATTEMPTS = 5
"""How often the provider is asked where other reports are taken in meanwhile."""

T = TypeVar("T")


class OutdatedReport(Exception):
    """Another report was taken in since the provider was asked for this one: ask again."""


def find_fulfillment(key: str, using: str | None = None) -> Fulfillment | None:
    """Return the fulfillment of a payment (`pi:<id>`, `cs:<id>`) or subscription (`sub:<id>`), or None."""
    fulfillments = Fulfillment.objects.using(using or router.db_for_write(Fulfillment))
    # With its wallet: read later, that would come from wherever the routers read.
    return fulfillments.filter(source=SOURCE, source_id=key).select_related("wallet").first()


def ask_again(settle: Callable[[], T]) -> T:
    """Return what `settle` does, which asks and takes the answer in; call it again while that is outdated.

    Raises OutdatedReport where it was overtaken ATTEMPTS times.
    """
    for _attempt in range(ATTEMPTS - 1):
        with suppress(OutdatedReport):
            return settle()
    return settle()


def revision_of(fulfillment: Fulfillment) -> int:
    """Return how many reports were taken in by now; read it before asking for one."""
    return _row(fulfillment).values_list("revision", flat=True).get()


def take_in(fulfillment: Fulfillment, revision: int) -> None:
    """Count a report that was asked for at `revision`; call it under the wallet's lock, before what it leads to.

    Raises OutdatedReport where another was taken in since.
    """
    if not _row(fulfillment).filter(revision=revision).update(revision=F("revision") + 1):
        raise OutdatedReport(fulfillment.source_id)


def _row(fulfillment: Fulfillment) -> FulfillmentQuerySet:
    return Fulfillment.objects.using(fulfillment._state.db).filter(pk=fulfillment.pk)
