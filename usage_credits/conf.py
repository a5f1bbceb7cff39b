"""The settings of this app: `USAGE_CREDITS`, read on first use and again whenever it is overridden."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, Final

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils.formats import number_format
from django.utils.module_loading import import_string
from django.utils.translation import ngettext

from usage_credits.dsl import setting_values as values
from usage_credits.dsl.catalogue import Catalogue
from usage_credits.dsl.categories import DEFAULT_CATEGORIES
from usage_credits.dsl.money import DEFAULT_CURRENCY, clean_currency
from usage_credits.dsl.packs import CreditPack
from usage_credits.dsl.periods import DEFAULT_MINIMUM
from usage_credits.dsl.plans import SubscriptionPlan
from usage_credits.dsl.rounding import DEFAULT_ROUNDING, Rounding, check_rounding
from usage_credits.dsl.setting_values import Hook, Listed, TransferPolicy
from usage_credits.dsl.thresholds import Threshold
from usage_credits.dsl.wallet_options import clean_asset
from usage_credits.exceptions import InvalidValue

SETTING: Final = "USAGE_CREDITS"


class InvalidSetting(InvalidValue, ImproperlyConfigured):
    """A setting is refused; `field` is its key within USAGE_CREDITS."""


class UnimportableSetting(InvalidSetting):
    """A dotted path in the settings cannot be imported, or what it names is not what the key needs."""


HOOKS: Final = ("FORMATTER", "OWNER_RESOLVER", "CUSTOMER_ATTRIBUTES")
"""Settings that hold one callable or its dotted path, or nothing."""

READERS: Final[Mapping[str, Callable[[object, str], Any]]] = {
    "OPERATIONS": values.read_list,
    "CREDIT_PACKS": values.read_list,
    "SUBSCRIPTION_PLANS": values.read_list,
    "CALLBACKS": values.read_callbacks,
    "LOW_BALANCE_THRESHOLD": values.read_threshold,
    "LOW_BALANCE_THRESHOLDS": values.read_thresholds,
    "DEFAULT_ASSET": clean_asset,
    "DEFAULT_CURRENCY": clean_currency,
    "ROUNDING": check_rounding,
    "ALLOW_NEGATIVE_BALANCE": values.read_flag,
    "FULFILLMENT_GRACE_PERIOD": values.read_grace,
    "MIN_FULFILLMENT_PERIOD": values.read_duration,
    "ADDITIONAL_CATEGORIES": values.read_categories,
    "TRANSFER_EXPIRATION_POLICY": values.read_transfer_policy,
    "TRANSFER_EXPIRATION_POLICIES": values.read_transfer_policies,
    "HOLD_TTL": values.read_duration,
    "RECHARGE_RETRY_AFTER": values.read_duration,
    "RECHARGE_MAX_FAILURES": values.read_count,
    "FORMATTER": values.read_hook,
    "OWNER_RESOLVER": values.read_hook,
    "CUSTOMER_ATTRIBUTES": values.read_hook,
}
"""What reads each key; its value becomes the field of the same name in lower case."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings as the app reads them: checked, typed, with their defaults. Get them with `current()`."""

    operations: Listed = ()
    """Definitions of OPERATIONS as given; read them through `catalogue`."""
    credit_packs: Listed = ()
    """Definitions of CREDIT_PACKS as given; read them through `catalogue`."""
    subscription_plans: Listed = ()
    """Definitions of SUBSCRIPTION_PLANS as given; read them through `catalogue`."""
    callbacks: Mapping[str, tuple[Hook, ...]] = field(default_factory=dict)
    """What CALLBACKS connects to each event, as given; read it through `callbacks_for`."""
    low_balance_threshold: int | None = None
    """Credits at or below which `low_balance_reached` is sent; None sends none."""
    low_balance_thresholds: tuple[Threshold, ...] = ()
    """More of them, also as shares of what a pack or plan awarded last."""
    default_asset: str = "credits"
    """The asset of packs, plans, operations and of wallets that name none."""
    default_currency: str = DEFAULT_CURRENCY
    """Three lower-case letters; the currency of prices that name none."""
    rounding: Rounding = DEFAULT_ROUNDING
    """How the exact price of an operation becomes whole credits."""
    allow_negative_balance: bool = False
    """Whether debits may take a balance below zero."""
    fulfillment_grace_period: timedelta = timedelta(minutes=5)
    """How long expiring credits outlive the date of the next award; at least a second."""
    min_fulfillment_period: timedelta = DEFAULT_MINIMUM
    """The shortest period a plan may have."""
    additional_categories: tuple[str, ...] = ()
    """Categories accepted besides the default ones."""
    transfer_expiration_policy: TransferPolicy = "preserve"
    """Whether transferred credits keep their expiry unless the call says otherwise."""
    transfer_expiration_policies: tuple[str, ...] = values.TRANSFER_POLICIES
    """The policies that a transfer may have."""
    hold_ttl: timedelta = timedelta(hours=1)
    """How long a hold stays open unless the call says otherwise."""
    recharge_retry_after: timedelta = timedelta(hours=1)
    """How long after a failed recharge the next one waits; twice as long after each further failure."""
    recharge_max_failures: int = 5
    """After how many failures in a row a wallet is not recharged any more."""
    formatter: Hook | None = None
    """Turns an amount into text, as given; `format_credits` applies it."""
    owner_resolver: Hook | None = None
    """Finds the owner of a dj-stripe customer, as given; read it through `hook`."""
    customer_attributes: Hook | None = None
    """Says what a new Stripe customer is created with, as given; read it through `hook`."""

    @cached_property
    def catalogue(self) -> Catalogue:
        """Return operations, packs and plans; raise InvalidSetting where they or other settings break a rule."""
        self._check_transfers()
        try:
            return Catalogue.of(
                _load_list(self.operations, "OPERATIONS"),
                _load_list(self.credit_packs, "CREDIT_PACKS"),
                _load_list(self.subscription_plans, "SUBSCRIPTION_PLANS"),
                default_currency=self.default_currency,
                minimum_period=self.min_fulfillment_period,
                grace=self.fulfillment_grace_period,
            )
        except InvalidSetting:
            raise
        except InvalidValue as error:
            raise InvalidSetting(*error.args) from error

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Return every accepted category: the default ones, then the additional ones."""
        return DEFAULT_CATEGORIES + self.additional_categories

    @cached_property
    def thresholds(self) -> tuple[Threshold, ...]:
        """Return every threshold of a low balance, each once."""
        first = self.low_balance_threshold
        return tuple(dict.fromkeys((*(() if first is None else (first,)), *self.low_balance_thresholds)))

    def _check_transfers(self) -> None:
        allowed = self.transfer_expiration_policies
        if self.transfer_expiration_policy not in allowed and allowed != ("fixed",):
            raise InvalidSetting(
                "TRANSFER_EXPIRATION_POLICY",
                f"got {self.transfer_expiration_policy!r}, TRANSFER_EXPIRATION_POLICIES has {', '.join(allowed)}.",
            )

    def hook(self, key: str) -> Callable[..., Any] | None:
        """Return the callable of FORMATTER, OWNER_RESOLVER or CUSTOMER_ATTRIBUTES, or None where none is set.

        A dotted path is imported on first use. Raises UnimportableSetting.
        """
        given: Hook | None = getattr(self, key.lower())
        return None if given is None else _load_hook(given, key)

    def callbacks_for(self, event: str) -> tuple[Callable[..., Any], ...]:
        """Return what CALLBACKS connects to an event, imported on first use; raise UnimportableSetting."""
        return tuple(_load_hook(hook, "CALLBACKS") for hook in self.callbacks.get(event, ()))


def current() -> Settings:
    """Return the settings in force.

    Read once and kept until USAGE_CREDITS changes (`override_settings`); safe to call from any thread.
    Raises InvalidSetting, whose field is the key, for the first value that is refused.
    """
    return _cache.get()


def configured() -> tuple[Settings, list[InvalidSetting]]:
    """Return the settings without the keys that are refused, and an error for each of those.

    Reads USAGE_CREDITS afresh and raises nothing; `current()` is what the app runs on.
    """
    given = getattr(django_settings, SETTING, {})
    if not isinstance(given, Mapping):
        return Settings(), [
            InvalidSetting(*InvalidValue.of(SETTING, given, "a mapping of keys to values").args)
        ]
    fields: dict[str, Any] = {}
    errors: list[InvalidSetting] = []
    for key, value in given.items():
        try:
            fields[str(key).lower()] = _reader(key)(value, key)
        except InvalidSetting as error:
            errors.append(error)
        except InvalidValue as error:
            errors.append(InvalidSetting(*error.args))
    return Settings(**fields), errors


def unimportable(settings: Settings) -> Iterator[InvalidSetting]:
    """Yield an error for each callable among the settings that cannot be imported."""
    hooks = [(key, hook) for key in HOOKS if (hook := getattr(settings, key.lower())) is not None]
    hooks += [("CALLBACKS", hook) for listed in settings.callbacks.values() for hook in listed]
    for key, hook in hooks:
        try:
            _load_hook(hook, key)
        except InvalidSetting as error:
            yield error


def find_credit_pack(name: object) -> CreditPack | None:
    """Return the pack of this name (str or Enum) in CREDIT_PACKS, or None."""
    return current().catalogue.pack(name)


def find_subscription_plan(name: object) -> SubscriptionPlan | None:
    """Return the plan of this name (str or Enum) in SUBSCRIPTION_PLANS, or None."""
    return current().catalogue.plan(name)


def find_plan_for_price(price_id: object) -> SubscriptionPlan | None:
    """Return the plan that has this price id among its own, or None."""
    return current().catalogue.plan_for_price(price_id)


def format_credits(amount: int) -> str:
    """Return an amount as text through FORMATTER; where there is none "100 credits", as the active locale has it."""
    formatter = current().hook("FORMATTER")
    if formatter is not None:
        return str(formatter(amount))
    text = ngettext("%(amount)s credits", "%(amount)s credits", abs(amount))
    return text % {"amount": number_format(amount)}


class _Cache:
    """Holds the settings from one change to the next; a change drops them, so that one place reads them."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._settings: Settings | None = None

    def get(self) -> Settings:
        settings = self._settings
        if settings is not None:
            return settings
        with self._lock:
            if self._settings is None:
                settings, errors = configured()
                if errors:
                    raise errors[0]
                self._settings = settings
            return self._settings

    def clear(self) -> None:
        with self._lock:
            self._settings = None


_cache = _Cache()


@receiver(setting_changed)
def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == SETTING:
        _cache.clear()


def _reader(key: object) -> Callable[[object, str], Any]:
    reader = READERS.get(key) if isinstance(key, str) else None
    if reader is None:
        raise InvalidSetting(str(key), f"there is no such setting, {values.suggest(key, tuple(READERS))}")
    return reader


def _load_hook(hook: Hook, key: str) -> Callable[..., Any]:
    loaded = _import(hook, key) if isinstance(hook, str) else hook
    if not callable(loaded):
        raise UnimportableSetting(key, f"{hook!r} names {loaded!r}, allowed is a callable.")
    return loaded


def _load_list(listed: Listed, key: str) -> tuple[object, ...]:
    if not isinstance(listed, str):
        return listed
    loaded = _import(listed, key)
    if not isinstance(loaded, list | tuple):
        raise UnimportableSetting(key, f"{listed!r} names {loaded!r}, allowed is a list or tuple.")
    return tuple(loaded)


def _import(path: str, key: str) -> object:
    """Import a path; a module may fail in any way, and whichever, the error has to name the key."""
    try:
        return import_string(path)
    except InvalidValue as error:
        raise InvalidSetting(key, f"importing {path!r} failed: {error}") from error
    except Exception as error:
        raise UnimportableSetting(key, f"{path!r} cannot be imported: {error}") from error
