"""Grant the same credits to many owners: one lock and a fixed number of statements a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import models, router, transaction

from usage_credits.exceptions import UsageCreditsError, WalletNotFound
from usage_credits.ledger.entries import CreditEntry
from usage_credits.ledger.journal import lock_all, write
from usage_credits.ledger.keys import find_replay, wallets_that_used
from usage_credits.ledger.wallets import asset_of, open_wallet, options_of, owner_type
from usage_credits.models import Transaction, Wallet


@dataclass(frozen=True)
class Grant:
    """How one owner of a batch fared: the transaction, or the error for which nothing was posted."""

    owner: models.Model
    transaction: Transaction | None = None
    error: UsageCreditsError | None = None


def grant_all(
    owners: Sequence[models.Model], entry: CreditEntry, *, asset: str | None = None, using: str | None = None
) -> list[Grant]:
    """Post `entry` to the wallet of each owner (different rows of one model) and return how each fared.

    A wallet that is missing is created where its owner's options allow that, before the rest and by itself. Then the
    wallets are locked in key order, and what is posted commits together, or with the caller's transaction. An owner
    that is refused (WalletNotFound, IdempotencyConflict, InvalidAmount) keeps nobody else from the grant. Where the
    entry's idempotency key was used before, the transaction is the first one, with `replayed` set.
    """
    using = using or router.db_for_write(Wallet)
    wallets, fared = _open_wallets(owners, asset, using)
    with transaction.atomic(using=using):
        posts = lock_all([opened.pk for opened in wallets.values()], using)
        for opened in wallets.values():
            posts[opened.pk].wallet.owner = opened.owner
        used = wallets_that_used(entry.idempotency_key, list(posts), using)
        for owner in owners:
            wallet = wallets.get(owner.pk)
            if wallet is None:
                continue
            post = posts[wallet.pk]
            try:
                replay = find_replay(post, entry) if wallet.pk in used else None
                fared[owner.pk] = Grant(owner, replay or post.credit(entry))
            except UsageCreditsError as refusal:
                fared[owner.pk] = Grant(owner, error=refusal)
                del posts[wallet.pk]
        write(list(posts.values()), using)
    return [fared[owner.pk] for owner in owners]


def _open_wallets(
    owners: Sequence[models.Model], asset: str | None, using: str
) -> tuple[dict[object, Wallet], dict[object, Grant]]:
    """Return the wallets by their owner's primary key, and the refusals of owners that have none."""
    if not owners:
        return {}, {}
    model = type(owners[0])
    asset = asset_of(model, asset)
    found = Wallet.objects.using(using).filter(
        owner_type=owner_type(model, using), owner_id__in=[owner.pk for owner in owners], asset=asset
    )
    wallets: dict[object, Wallet] = {model._meta.pk.to_python(wallet.owner_id): wallet for wallet in found}
    refusals: dict[object, Grant] = {}
    for owner in owners:
        if owner.pk in wallets:
            wallets[owner.pk].owner = owner
        elif options_of(owner).auto_create:
            wallets[owner.pk] = open_wallet(owner, asset)
        else:
            missing = WalletNotFound(f"it has no {asset} wallet and auto_create is off.")
            refusals[owner.pk] = Grant(owner, error=missing)
    return wallets, refusals
