"""What an owner agrees to: which pack its wallet buys by itself, when, and how often at most."""

from __future__ import annotations

import datetime
from typing import Any, Final

from django.db import models, router
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from usage_credits import conf
from usage_credits.billing.owner_references import reference_to
from usage_credits.billing.providers import require_provider
from usage_credits.dsl.packs import CreditPack
from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.balances import signed_balance
from usage_credits.ledger.journal import posting
from usage_credits.ledger.wallets import find_wallet, open_wallet
from usage_credits.models import Recharge, RechargeSetting, Wallet
from usage_credits.values import check_amount, check_text

MOST_A_DAY: Final = 3
MOST_A_MONTH: Final = 30
LARGEST_CAP: Final = 2**31 - 1
"""The largest number that a 32-bit column holds."""

PERIOD_OF: Final = {"max_per_day": "day", "max_per_month": "month"}
"""What each cap is for, in UTC."""

STOPPED: Final = "stopped"
"""The reason of a stop that somebody asked for."""


def set_recharge(
    owner: models.Model,
    pack: object,
    *,
    threshold: int,
    max_per_day: int = MOST_A_DAY,
    max_per_month: int = MOST_A_MONTH,
    payment_method: str | None = None,
) -> RechargeSetting:
    """Let the owner's default wallet buy `pack` whenever its balance is below `threshold`, and return the setting.

    `pack` is a name in CREDIT_PACKS or such a pack; the owner agrees to it as it is now. `threshold` is in credits
    (int from 0 up). `max_per_day` and `max_per_month` (int from 1 up) bound the recharges in each day and month of UTC
    that were paid, or may be. `payment_method` is the id of a Stripe payment method of the owner's customer, None for
    the customer's default one. Set again, it begins anew: what was off is on, and failures are forgotten.

    Charges nothing now: `recharge_credits` or `recharge_if_due` does. Opens the wallet where it is missing, locks its
    row; commits with the caller's transaction, or by itself. Raises InvalidValue (InvalidAmount for the threshold) and
    ImproperlyConfigured where dj-stripe is not installed.
    """
    require_provider()
    reference_to(owner)
    sold = _find_pack(pack)
    terms: dict[str, Any] = {
        "pack_name": sold.name,
        "as_sold": sold.base_metadata(),
        "threshold": check_amount(threshold, "threshold", minimum=0),
        "max_per_day": _check_cap(max_per_day, "max_per_day"),
        "max_per_month": _check_cap(max_per_month, "max_per_month"),
        "payment_method": check_text(payment_method, "payment_method") if payment_method is not None else "",
    }
    anew = {"is_enabled": True, "stop_reason": "", "failures": 0, "paused_until": None, "told_at": None}
    with posting(open_wallet(owner)) as post:
        settings = RechargeSetting.objects.using(post.wallet._state.db)
        setting, _created = settings.update_or_create(
            wallet=post.wallet, defaults={**terms, **anew, "set_at": post.now}
        )
    return setting


def stop_recharge(owner: models.Model) -> RechargeSetting | None:
    """Let the owner's default wallet buy nothing by itself any more, and return its setting, None where it has none.

    A charge that Stripe has already may still go through and is awarded then. Locks the wallet's row; commits with
    the caller's transaction, or by itself.
    """
    setting = find_recharge_setting(owner, router.db_for_write(Wallet, instance=owner))
    return setting and switch_off(setting)


def find_recharge_setting(owner: models.Model, using: str | None = None) -> RechargeSetting | None:
    """Return what the owner's default wallet is recharged by, also where that is off; None if it was never set."""
    wallet = find_wallet(owner)
    if wallet is None:
        return None
    using = using or router.db_for_read(Wallet, instance=owner)
    return RechargeSetting.objects.using(using).filter(wallet=wallet).select_related("wallet").first()


def switch_off(setting: RechargeSetting, reason: str = STOPPED) -> RechargeSetting:
    """Switch a setting off and return it as it is then; one that is off already keeps its reason.

    Locks the wallet's row; commits with the caller's transaction, or by itself.
    """
    with posting(setting.wallet) as post:
        rows = RechargeSetting.objects.using(post.wallet._state.db).filter(pk=setting.pk)
        rows.filter(is_enabled=True).update(is_enabled=False, stop_reason=reason, paused_until=None)
        return rows.get()


def due_settings(using: str, now: datetime.datetime) -> QuerySet[RechargeSetting]:
    """Return the settings by which a recharge is due, but for their caps: the one rule of when that is."""
    is_rested = Q(paused_until=None) | Q(paused_until__lte=now)
    return _wanting(using, now).filter(is_rested, wallet__recharge_in_flight=None)


def is_wanted(recharge: Recharge) -> bool:
    """Tell whether one that is in flight would still begin: its owner may have stopped it, or bought, meanwhile."""
    settings = _wanting(recharge._state.db, timezone.now())
    setting = settings.filter(wallet=recharge.wallet_id).first()
    if setting is None or recharge.wallet.owner is None:
        return False
    return setting.as_sold == recharge.as_sold and is_as_agreed(setting)


def is_as_agreed(setting: RechargeSetting) -> bool:
    """Tell whether the pack is in CREDIT_PACKS with the figures that the owner agreed to."""
    pack = conf.find_credit_pack(setting.pack_name)
    return pack is not None and pack.base_metadata() == setting.as_sold


def _wanting(using: str | None, now: datetime.datetime) -> QuerySet[RechargeSetting]:
    """Return the settings that are on and whose wallets run low."""
    balance = Wallet.objects.filter(pk=OuterRef("wallet")).values(now=signed_balance(now))
    return RechargeSetting.objects.using(using).filter(is_enabled=True, threshold__gt=Subquery(balance))


def _find_pack(pack: object) -> CreditPack:
    sold = conf.find_credit_pack(pack.name if isinstance(pack, CreditPack) else pack)
    if sold is None:
        raise InvalidValue.of("pack", pack, "the name of a pack in CREDIT_PACKS")
    if isinstance(pack, CreditPack) and sold != pack.in_currency(sold.price.currency):
        raise InvalidValue("pack", f"{pack.name!r} is not in CREDIT_PACKS as it is offered here.")
    return sold


def _check_cap(value: object, field: str) -> int:
    if type(value) is not int or not 1 <= value <= LARGEST_CAP:
        raise InvalidValue.of(field, value, f"a whole number (int) from 1 to {LARGEST_CAP}")
    return value
