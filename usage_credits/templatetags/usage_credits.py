"""Credits in templates: `{% load usage_credits %}`. All that is shown is escaped."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context
from django.utils.translation import gettext as _

from usage_credits import conf
from usage_credits.dsl.money import Money
from usage_credits.dsl.packs import CreditPack
from usage_credits.exceptions import InvalidValue, WalletNotFound
from usage_credits.ledger.descriptions import signed
from usage_credits.owner_wallets import OwnsWallets
from usage_credits.spending import quote

register = template.Library()

TEMPLATES = "usage_credits/tags"


@register.filter(name="credits")
def credits_text(amount: Any) -> str:
    """Return an amount in the wording of the FORMATTER setting: "100 credits"; nothing for what is no whole number."""
    return conf.format_credits(amount) if type(amount) is int else ""


@register.filter
def signed_credits(amount: Any) -> str:
    """Return "+100 credits" or "-10 credits"; "0 credits" for 0, nothing for what is no whole number."""
    return signed(amount) if type(amount) is int and amount else credits_text(amount)


@register.filter
def price(money: Any, currency: str | None = None) -> str:
    """Return "49.99 USD" for money, or for minor units (int, signed) of `currency`, by default DEFAULT_CURRENCY.

    Returns nothing for anything else. Raises InvalidValue for what is no currency.
    """
    if isinstance(money, Money):
        return str(money)
    if type(money) is not int:
        return ""
    return f"{'-' if money < 0 else ''}{Money(abs(money), currency or conf.current().default_currency)}"


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

    The threshold is LOW_BALANCE_THRESHOLD by default; without one, and for nobody, it shows nothing.
    """
    limit = conf.current().low_balance_threshold if threshold is None else threshold
    shown = _balance(None if limit is None else _owner(context, owner))
    available = shown["available"]
    return {**shown, "is_low": available is not None and available <= limit, "buy_url": buy_url}


@register.inclusion_tag(f"{TEMPLATES}/pack_button.html", takes_context=True)
def pack_button(context: Context, pack: Any, action: str, *, label: str = "") -> dict[str, Any]:
    """Show a form with one button, which posts the pack's name as `pack` to `action`, a URL.

    `pack` is a pack or the name of one; raises InvalidValue for an unknown one. `label` replaces the button's text.
    """
    sold = pack if isinstance(pack, CreditPack) else conf.find_credit_pack(pack)
    if sold is None:
        raise InvalidValue.of("pack", pack, "a pack, or the name of one in CREDIT_PACKS")
    return {"pack": sold, "action": action, "label": label or _label_of(sold)}


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


def _label_of(pack: CreditPack) -> str:
    if conf.current().formatter is None:
        return pack.button_text
    sold = {"credits": conf.format_credits(pack.total), "price": pack.price_text}
    return _("Get %(credits)s for %(price)s") % sold
