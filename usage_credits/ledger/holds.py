"""Hold credits of a wallet for work whose price is known only afterwards; extend, capture and release holds."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypedDict, Unpack

from django.utils import timezone

from usage_credits import conf
from usage_credits.dsl.categories import OPERATION_CHARGE
from usage_credits.dsl.setting_values import read_duration
from usage_credits.exceptions import (
    HoldNotOpen,
    IdempotencyConflict,
    InsufficientCredits,
    InvalidValue,
)
from usage_credits.ledger.debits import announce_refusal, debit_entry
from usage_credits.ledger.entries import DebitEntry
from usage_credits.ledger.held import RELEASED
from usage_credits.ledger.journal import posting
from usage_credits.ledger.keys import check_key, find_by_key
from usage_credits.ledger.posting import Posting
from usage_credits.ledger.uses import use_named_in
from usage_credits.models import HeldLot, Hold, Transaction, Wallet
from usage_credits.values import check_amount, check_metadata, check_moment


class HoldOptions(TypedDict, total=False):
    ttl: datetime.timedelta | None
    category: str | None
    metadata: Mapping[str, Any] | None
    idempotency_key: str | None
    attributed_to: str | None
    operation: str | None


class CaptureOptions(TypedDict, total=False):
    final: bool
    metadata: Mapping[str, Any] | None
    idempotency_key: str | None


def hold(wallet: Wallet, amount: int, **options: Unpack[HoldOptions]) -> Hold:
    """Reserve `amount` credits (int, 1 to 2**63 - 1) for `ttl` (at least a second; default HOLD_TTL).

    Takes them out of the lots as a debit does: nobody else can spend them, and they do not expire meanwhile. The
    ledger shows nothing of it. `category` (default operation_charge), `metadata`, `attributed_to` and `operation` are
    those of the charge to come. A repeated `idempotency_key` returns the first hold, open or not, with `replayed` set;
    holds have keys of their own, apart from those of transactions. Never takes a balance below zero.

    Locks the wallet's row; commits with the caller's transaction, or by itself. Raises InvalidValue (InvalidAmount
    for the amount), IdempotencyConflict, and InsufficientCredits, announced as `insufficient_credits` at once.
    """
    ttl = options.pop("ttl", None)
    entry = debit_entry(amount, **{"category": OPERATION_CHARGE, **_given(options)})
    return post_hold(wallet, entry, ttl)


def post_hold(wallet: Wallet, entry: DebitEntry, ttl: datetime.timedelta | None = None) -> Hold:
    """Hold what a checked entry would debit, or return the hold that used its key before; see `hold`."""
    lasts = conf.current().hold_ttl if ttl is None else read_duration(ttl, "ttl")
    try:
        with posting(wallet, takes=True) as post:
            return _find_hold(post, entry) or post.holds.place(
                Hold(
                    wallet=post.wallet,
                    amount=entry.amount,
                    expires_at=_after(post.now, lasts),
                    category=entry.category,
                    metadata=entry.metadata,
                    idempotency_key=entry.idempotency_key,
                    attributed_to=entry.attributed_to,
                    operation=entry.operation,
                    created_at=post.now,
                )
            )
    except InsufficientCredits as refusal:
        announce_refusal(wallet, entry, refusal)
        raise


def extend(
    held: Hold,
    ttl: datetime.timedelta | None = None,
    *,
    until: datetime.datetime | datetime.date | None = None,
) -> Hold:
    """Let the hold stay open for `ttl` from now (default HOLD_TTL), or until `until`; never shorter than before.

    Raises InvalidValue for both, for less than a second and for a moment that has passed, and HoldNotOpen.
    """
    if ttl is not None and until is not None:
        raise InvalidValue("until", "give either ttl or until.")
    lasts = conf.current().hold_ttl if ttl is None else read_duration(ttl, "ttl")
    end = check_moment(until, "until")
    if end is not None and end <= timezone.now():
        raise InvalidValue("until", f"got {end.isoformat()}, it must be in the future.")
    with _opened(held) as (post, parts):
        stored = _still_open(held, post, parts)
        stored.expires_at = max(stored.expires_at, end or _after(post.now, lasts))
        post.holds.changed[stored.pk] = stored
    return held


def capture(held: Hold, amount: int | None = None, **options: Unpack[CaptureOptions]) -> Transaction:
    """Charge `amount` of the hold (default: all that is left) and return the debit.

    The lots that it keeps pay, also where they have expired meanwhile. A capture of less leaves the hold open for the
    next one, unless `final`, which releases the rest. A capture of more takes the rest from the wallet, as a debit for
    the hold's operation does, and closes the hold. `metadata` is laid under the hold's own. A repeated
    `idempotency_key`, one of the wallet's ledger, returns the first transaction with `replayed` set.

    Locks the wallet's row; commits with the caller's transaction, or by itself. Raises InvalidAmount, HoldNotOpen,
    IdempotencyConflict, and InsufficientCredits, which leaves the hold as it was.
    """
    if amount is not None:
        check_amount(amount)
    extra, key = check_metadata(options.get("metadata")), check_key(options.get("idempotency_key"))
    with _opened(held) as (post, parts):
        replay = _find_capture(post, held, amount, key)
        if replay:
            return replay
        stored = _still_open(held, post, parts)
        kept = sum(part.amount for part in parts)
        entry = DebitEntry(
            kept if amount is None else amount,
            category=stored.category,
            metadata={**extra, **stored.metadata},
            idempotency_key=key,
            attributed_to=stored.attributed_to,
            operation=stored.operation,
            use=use_named_in(stored.metadata),
        )
        return post.holds.capture(stored, parts, entry, final=options.get("final", False))


def post_capture(held: Hold, entry: DebitEntry) -> Transaction:
    """Charge a checked entry for what the hold was placed for, and release the rest; otherwise as `capture`."""
    with _opened(held, entry.metadata) as (post, parts):
        replay = _find_capture(post, held, entry.amount, entry.idempotency_key)
        return replay or post.holds.capture(_still_open(held, post, parts), parts, entry, final=True)


def release(held: Hold) -> Hold:
    """Give back what the hold still keeps, each part to its own lot; what has expired meanwhile is gone at once.

    Nothing is charged; what was captured before stays. Raises HoldNotOpen where it was captured or released before.
    """
    with _opened(held) as (post, parts):
        stored = _stored(held, parts)
        if stored.expires_at <= post.now:
            post.book_expired()
            stored.is_open = False
        else:
            post.holds.release(stored, parts, RELEASED, post.lots)
    return held


@contextmanager
def _opened(held: Hold, metadata: dict[str, Any] | None = None) -> Iterator[tuple[Posting, list[HeldLot]]]:
    """Yield a posting to the hold's wallet and what the hold keeps, none if it is closed; refresh `held` after it.

    `metadata` (default: the hold's) says what for where credits lack.
    """
    parts: list[HeldLot] = []
    try:
        with posting(held.wallet, takes=True) as post:
            found = HeldLot.objects.using(post.wallet._state.db).filter(hold=held.pk, hold__is_open=True)
            parts += found.select_related("hold", "lot").order_by("pk")
            for part in parts:
                part.hold = parts[0].hold
            yield post, parts
    except InsufficientCredits as refusal:
        said = held.metadata if metadata is None else metadata
        entry = DebitEntry(refusal.required, held.category, said, operation=held.operation)
        announce_refusal(held.wallet, entry, refusal)
        raise
    for name in ("captured", "is_open", "expires_at") if parts else ():
        setattr(held, name, getattr(parts[0].hold, name))


def _stored(held: Hold, parts: list[HeldLot]) -> Hold:
    if not parts:
        raise HoldNotOpen(f"The hold {held.pk} was captured or released before.")
    return parts[0].hold


def _still_open(held: Hold, post: Posting, parts: list[HeldLot]) -> Hold:
    stored = _stored(held, parts)
    if stored.expires_at <= post.now:
        raise HoldNotOpen(f"The hold {held.pk} ran out at {stored.expires_at.isoformat()}.")
    return stored


def _find_hold(post: Posting, entry: DebitEntry) -> Hold | None:
    if entry.idempotency_key is None:
        return None
    holds = Hold.objects.using(post.wallet._state.db).filter(wallet=post.wallet)
    found = holds.filter(idempotency_key=entry.idempotency_key).first()
    if found is None:
        return None
    if (found.amount, found.category) != (entry.amount, entry.category):
        raise IdempotencyConflict(
            f"The idempotency key {entry.idempotency_key!r} was used for a hold of {found.amount} for "
            f"{found.category}, now it is given for {entry.amount} for {entry.category}."
        )
    found.wallet = post.wallet
    found.replayed = True
    return found


def _find_capture(post: Posting, held: Hold, amount: int | None, key: str | None) -> Transaction | None:
    found = find_by_key(post.wallet, key)
    if found and (found.hold_id != held.pk or amount not in (None, -found.amount)):
        raise IdempotencyConflict(
            f"The idempotency key {key!r} was used for {found.category} {found.amount:+d}, "
            f"now it is given for a capture of the hold {held.pk}."
        )
    return found


def _after(now: datetime.datetime, ttl: datetime.timedelta) -> datetime.datetime:
    try:
        return now + ttl
    except OverflowError:
        raise InvalidValue("ttl", f"got {ttl}, which ends after the last day of the calendar.") from None


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
