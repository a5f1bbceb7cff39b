"""Transfer credits from one wallet to another of the same asset."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict, Unpack

from django.contrib.contenttypes.models import ContentType
from django.db import connections, router

from usage_credits import conf
from usage_credits.dsl.categories import MAX_CATEGORY, TRANSFER_IN, TRANSFER_OUT
from usage_credits.exceptions import IdempotencyConflict, InsufficientCredits, InvalidTransfer
from usage_credits.ledger.changes import Insert, store
from usage_credits.ledger.debits import announce_refusal
from usage_credits.ledger.entries import CreditEntry, DebitEntry
from usage_credits.ledger.events import announce
from usage_credits.ledger.journal import postings
from usage_credits.ledger.keys import check_key, find_replay
from usage_credits.ledger.parts import Part, parts_of
from usage_credits.ledger.posting import Posting
from usage_credits.models import ExpirationPolicy, Transaction, Transfer, Wallet
from usage_credits.values import check_amount, check_metadata, check_moment, check_text

DEFAULT_CATEGORY = "transfer"


class TransferOptions(TypedDict, total=False):
    category: str | None
    expiration_policy: str | None
    expires_at: datetime.datetime | datetime.date | None
    metadata: Mapping[str, Any] | None
    idempotency_key: str | None


@dataclass(frozen=True)
class TransferEntry:
    """What a transfer posts, checked."""

    amount: int
    category: str
    policy: str
    expires_at: datetime.datetime | None
    metadata: dict[str, Any]
    idempotency_key: str | None


def transfer(wallet: Wallet, other: Wallet, amount: int, **options: Unpack[TransferOptions]) -> Transfer:
    """Move `amount` credits (int, 1 to 2**63 - 1) to another wallet of the same asset and return the transfer.

    `category` is free text that names the transfer; its rows are always `transfer_out` and `transfer_in`.
    `expiration_policy` is "preserve" (the receiver gets a lot for each distinct expiry), "none" (one that never
    expires) or "fixed" (one that expires at `expires_at`, an aware datetime in the future); by default "fixed" where
    a date is given, else TRANSFER_EXPIRATION_POLICY. A repeated `idempotency_key` of this wallet returns the first
    transfer with `replayed` set.

    Locks both wallets' rows in key order; commits with the caller's transaction, or by itself. What arrives first
    settles what the receiver owes. Raises InvalidTransfer, InvalidValue (InvalidAmount for the amount),
    IdempotencyConflict, and InsufficientCredits, announced at once, also where negatives are allowed: a transfer
    never makes a debt.
    """
    _check_wallets(wallet, other)
    entry = _transfer_entry(amount, **options)
    sent = DebitEntry(entry.amount, TRANSFER_OUT, dict(entry.metadata), entry.idempotency_key)
    try:
        with postings([wallet, other], taking=1) as [sender, receiver]:
            moved = _replay(sender, receiver, entry, sent) or _post(sender, receiver, entry, sent)
    except InsufficientCredits as refusal:
        announce_refusal(wallet, sent, refusal)
        raise
    if not moved.replayed:
        facts = {"amount": moved.amount, "category": moved.category, "metadata": moved.metadata}
        announce("transfer_completed", moved.from_wallet, transfer=moved, **facts)
    return moved


def _check_wallets(wallet: Wallet, other: object) -> None:
    if not isinstance(other, Wallet):
        raise InvalidTransfer.of("other", other, "a wallet")
    if wallet._state.adding or other._state.adding:
        raise InvalidTransfer("other", "an unsaved wallet has no ledger; save it first.")
    if wallet.pk == other.pk:
        raise InvalidTransfer("other", "got the same wallet, allowed is another one.")
    if wallet.asset != other.asset:
        raise InvalidTransfer("other", f"got a wallet of {other.asset}, allowed is one of {wallet.asset}.")
    homes = {router.db_for_write(Wallet, instance=one) for one in (wallet, other)}
    if len(homes) > 1:
        raise InvalidTransfer("other", "got a wallet in another database, allowed is one in the same.")


def _transfer_entry(amount: int, **options: Unpack[TransferOptions]) -> TransferEntry:
    category = options.get("category")
    expires_at = check_moment(options.get("expires_at"), "expires_at")
    return TransferEntry(
        amount=check_amount(amount),
        category=DEFAULT_CATEGORY
        if category is None
        else check_text(category, "category", max_length=MAX_CATEGORY),
        policy=_check_policy(options.get("expiration_policy"), expires_at),
        expires_at=expires_at,
        metadata=check_metadata(options.get("metadata")),
        idempotency_key=check_key(options.get("idempotency_key")),
    )


def _check_policy(given: object, expires_at: datetime.datetime | None) -> str:
    settings = conf.current()
    if given is None:
        policy = settings.transfer_expiration_policy if expires_at is None else ExpirationPolicy.FIXED.value
    else:
        policy = given.strip().lower() if isinstance(given, str) else ""
    allowed = settings.transfer_expiration_policies
    if policy not in allowed:
        raise InvalidTransfer.of("expiration_policy", given or policy, " or ".join(allowed))
    if (policy == ExpirationPolicy.FIXED) != (expires_at is not None):
        raise InvalidTransfer(
            "expires_at", f"got {expires_at}, a date belongs to the policy fixed and no other."
        )
    return policy


def _replay(sender: Posting, receiver: Posting, entry: TransferEntry, sent: DebitEntry) -> Transfer | None:
    """Return the transfer that used the key before; the key is looked up among all the sender's rows."""
    row = find_replay(sender, sent)
    if row is None:
        return None
    first: Transfer | None = row.transfer
    if first is None or (first.to_wallet_id, first.category) != (receiver.wallet.pk, entry.category):
        raise IdempotencyConflict(
            f"The idempotency key {entry.idempotency_key!r} was used for another transfer ({first}), now it is given "
            f"for {entry.category} to wallet {receiver.wallet.pk}."
        )
    first.replayed = True
    return first


def _post(sender: Posting, receiver: Posting, entry: TransferEntry, sent: DebitEntry) -> Transfer:
    if entry.expires_at is not None and entry.expires_at <= sender.now:
        raise InvalidTransfer("expires_at", f"got {entry.expires_at.isoformat()}, it must be in the future.")
    moved = Transfer(
        from_wallet=sender.wallet,
        to_wallet=receiver.wallet,
        asset=sender.wallet.asset,
        amount=entry.amount,
        category=entry.category,
        expiration_policy=entry.policy,
        metadata=entry.metadata,
        created_at=sender.now,
    )
    row = sender.debit(replace(sent, transfer=moved), allow_negative=False)
    parts = [Part(entry.amount, entry.expires_at)]
    if entry.policy == ExpirationPolicy.PRESERVE:
        parts = parts_of(part for part in sender.allocations if part.debit is row)
    legs = [row, *(_receive(receiver, moved, part) for part in parts)]
    # Last, so that a refusal has written nothing; the legs name it.
    with connections[router.db_for_write(Wallet, instance=sender.wallet)].cursor() as cursor:
        store([Insert([moved])], cursor)
    for leg in legs:
        leg.metadata = _leg_metadata(moved, leg)
    return moved


def _receive(receiver: Posting, moved: Transfer, part: Part) -> Transaction:
    entry = CreditEntry(
        part.amount,
        TRANSFER_IN,
        expires_at=part.expires_at,
        transfer=moved,
        priority=part.priority,
        scope=part.scope,
    )
    return receiver.credit(entry)


def _leg_metadata(moved: Transfer, leg: Transaction) -> dict[str, Any]:
    """Return the caller's metadata with what names the transfer and the other side laid over it."""
    other = moved.from_wallet if leg.amount > 0 else moved.to_wallet
    using = router.db_for_write(Wallet, instance=other)
    types = ContentType.objects.db_manager(using)  # remembers the types it has read
    owner_type = types.get_for_id(other.owner_type_id) if other.owner_type_id else None
    return {
        **moved.metadata,
        "transfer_id": moved.pk,
        "asset": moved.asset,
        "transfer_category": moved.category,
        "expiration_policy": moved.expiration_policy,
        "counterparty_wallet_id": other.pk,
        # Spelled as the column is.
        "counterparty_owner_id": Wallet._meta.get_field("owner_id").get_db_prep_value(
            other.owner_id, connections[using]
        ),
        "counterparty_owner_type": f"{owner_type.app_label}.{owner_type.model}" if owner_type else None,
    }
