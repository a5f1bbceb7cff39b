"""Credits in templates: `{% load usage_credits %}`. All that is shown is escaped."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from usage_credits import conf
from usage_credits.billing.plan_prices import PlanPrice
from usage_credits.dsl.money import Money
from usage_credits.dsl.packs import CreditPack
from usage_credits.dsl.periods import Period
from usage_credits.exceptions import InvalidValue, WalletNotFound
from usage_credits.ledger.labels import label as label_of
from usage_credits.owner_wallets import OwnsWallets
from usage_credits.spending import quote
from usage_credits.statements.periods import every as every_text
from usage_credits.statements.prices import price_text
from usage_credits.statements.reasons import reason_text

register = template.Library()

TEMPLATES = "usage_credits/tags"


@register.filter(name="credits")
def credits_text(amount: Any, asset: str | None = None) -> str:
    """Return an amount in the wording of the FORMATTER setting: "100 credits"; nothing for what is no whole number.

    FORMATTER words credits: of another asset, if it is named, it is "100 gems".
    """
    if type(amount) is not int:
        return ""
    return f"{number_format(amount)} {asset}" if asset else conf.format_credits(amount)


@register.filter
def signed_credits(amount: Any, asset: str | None = None) -> str:
    """Return "+100 credits" or "-10 credits"; "0 credits" for 0, nothing for what is no whole number."""
    if type(amount) is not int or not amount:
        return credits_text(amount, asset)
    return f"{'+' if amount > 0 else '-'}{credits_text(abs(amount), asset)}"


@register.filter
def price(money: Any, currency: str | None = None) -> str:
    """Return "49.99 USD" for money, or for minor units (int, signed) of `currency`, by default DEFAULT_CURRENCY.

    The number is written as in the active locale. Returns nothing for anything else. Raises InvalidValue for what is
    no currency.
    """
    if type(money) is int:
        sign, money = "-" if money < 0 else "", Money(abs(money), currency or conf.current().default_currency)
        return f"{sign}{price_text(money)}"
    return price_text(money) if isinstance(money, Money) else ""


@register.filter
def label(name: Any) -> str:
    """Return the name of a category, operation, pack or plan for people: "Process Video" for "process_video"."""
    return label_of(name) if isinstance(name, str) else ""


@register.filter
def reason(code: Any) -> str:
    """Return why a plan rests or a recharge failed, for people: "the card was declined" for "card_declined"."""
    return reason_text(code) if isinstance(code, str) else ""


@register.filter
def every(period: Any) -> str:
    """Return a period in words: "every month"; nothing for what is no period."""
    return every_text(period) if isinstance(period, Period) else ""


@register.filter
def pack_credits(pack: Any) -> str:
    """Return what a pack gives, in words: "500 + 100 bonus credits"; "600 tokens" where FORMATTER has the wording."""
    if not isinstance(pack, CreditPack):
        return ""
    if not pack.bonus or conf.current().formatter is not None:
        return conf.format_credits(pack.total)
    parts = {"credits": number_format(pack.gives), "bonus": number_format(pack.bonus)}
    return _("%(credits)s + %(bonus)s bonus credits") % parts


@register.filter
def plan_price(of: Any) -> str:
    """Return a plan's price in words: "29.00 USD every month"; where only how often is known, "paid every month"."""
    if not isinstance(of, PlanPrice):
        return ""
    if of.cost:
        return _("%(price)s %(every)s") % {"price": price(of.cost.money), "every": every(of.cost.every)}
    return _("paid %(every)s") % {"every": every(of.every)} if of.every else label(of.period)


@register.simple_tag(takes_context=True)
def has_credits(context: Context, amount: int = 1, owner: Any = None) -> bool:
    """Tell whether the owner (default: the user of the request) can spend `amount` credits now. One statement."""
    available = _available(_owner(context, owner))
    return available is not None and available >= amount


@register.simple_tag(takes_context=True)
def has_enough_credits(context: Context, operation: Any, owner: Any = None, **params: Any) -> bool:
    """Tell whether the owner (default: the user of the request) can pay `operation` now; nobody can pay nothing.

    Raises InvalidOperation for an unknown operation and refused parameters.
    """
    payer = _owner(context, owner)
    try:
        return payer is not None and payer.has_enough_credits_to(operation, **params)
    except WalletNotFound:
        return False


@register.simple_tag
def credit_cost(operation: Any, **params: Any) -> int:
    """Return what `operation` would cost, in credits; reads no database. Raises InvalidOperation."""
    return quote(operation, params).price


@register.inclusion_tag(f"{TEMPLATES}/credit_balance.html", takes_context=True)
def credit_balance(context: Context, owner: Any = None) -> dict[str, Any]:
    """Show what the owner (default: the user of the request) can spend now; nothing for nobody. One statement."""
    return _balance(_owner(context, owner))


@register.inclusion_tag(f"{TEMPLATES}/low_balance_banner.html", takes_context=True)
def low_balance_banner(
    context: Context, owner: Any = None, *, buy_url: str = "", threshold: int | None = None
) -> dict[str, Any]:
    """Warn where the owner (default: the user of the request) can spend `threshold` credits or fewer. One statement.

    The threshold is by default the highest of LOW_BALANCE_THRESHOLD and LOW_BALANCE_THRESHOLDS, whose shares do not
    count; without one, and for nobody, it shows nothing.
    """
    limit = _highest_threshold() if threshold is None else threshold
    shown = _balance(None if limit is None else _owner(context, owner))
    available = shown["available"]
    return {**shown, "is_low": available is not None and available <= limit, "buy_url": buy_url}


@register.inclusion_tag(f"{TEMPLATES}/pack_button.html", takes_context=True)
def pack_button(
    context: Context, pack: Any, action: str, *, label: str = "", next_url: str = ""
) -> dict[str, Any]:
    """Show a form with one button, which posts the pack's name as `pack` to `action`, a URL.

    `pack` is a pack or the name of one; raises InvalidValue for an unknown one. `label` replaces the button's text.
    `next_url` is posted as `next`: where buyers go on to, once they have paid on a page of this app.
    """
    sold = pack if isinstance(pack, CreditPack) else conf.find_credit_pack(pack)
    if sold is None:
        raise InvalidValue.of("pack", pack, "a pack, or the name of one in CREDIT_PACKS")
    return {"pack": sold, "action": action, "label": label or _label_of(sold), "next_url": next_url}


def _owner(context: Context, owner: Any) -> Any:
    """Return the owner, by default the user of the request; None for nobody."""
    if owner is None:
        request = context.get("request")
        owner = context.get("user") if request is None else getattr(request, "user", None)
    return owner if isinstance(owner, OwnsWallets) else None


def _available(owner: Any) -> int | None:
    try:
        return None if owner is None else int(owner.credits)
    except WalletNotFound:
        return 0


def _balance(owner: Any) -> dict[str, Any]:
    available = _available(owner)
    return {"owner": owner, "available": available, "amount": credits_text(available)}


def _highest_threshold() -> int | None:
    return max((one for one in conf.current().thresholds if isinstance(one, int)), default=None)


def _label_of(pack: CreditPack) -> str:
    return _("Get %(credits)s for %(price)s") % {"credits": pack_credits(pack), "price": price(pack.price)}
