"""System checks: what `manage.py check` says about the settings and the database of this app."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from django.apps import apps
from django.core import checks
from django.core.checks import CheckMessage
from django.db import connections, router
from django.utils.module_loading import import_string

from usage_credits.billing.plans import check_startable
from usage_credits.conf import (
    SETTING,
    InvalidSetting,
    Settings,
    UnimportableSetting,
    configured,
    current,
    unimportable,
)
from usage_credits.exceptions import InvalidValue
from usage_credits.models import Wallet
from usage_credits.owners import HasWallet

SETTINGS_HINT: Final = f"Correct the key in {SETTING}; the message says what is allowed."
PATH_HINT: Final = "Write the full dotted path of something that can be imported: 'package.module.name'."

FREE_PLAN_HINT: Final = (
    f"Define the plan in {SETTING}['SUBSCRIPTION_PLANS'], or correct wallet_options of the model."
)


def check_settings(**kwargs: object) -> list[CheckMessage]:
    """E001: a key of USAGE_CREDITS is unknown or refused. E002: a dotted path in it cannot be imported."""
    errors: list[InvalidSetting] = []
    try:
        settings = current()
    except InvalidSetting:
        settings, errors = configured()
    errors += unimportable(settings)
    # Rules across settings say something only once each setting can be read.
    return [_as_message(error) for error in errors or _catalogue_errors(settings)]


def check_grace(**kwargs: object) -> list[CheckMessage]:
    """W003: the grace outlasts the period of a plan with expiring credits."""
    settings = _readable_settings()
    if settings is None:
        return []
    grace = settings.fulfillment_grace_period
    return [
        checks.Warning(
            f"FULFILLMENT_GRACE_PERIOD ({grace}) is longer than the period ({plan.period}) of {plan.name!r}.",
            hint="Shorten the grace; for this plan it is capped to the period.",
            id="usage_credits.W003",
        )
        for plan in settings.catalogue.plans_shorter_than(grace)
    ]


def check_stripe(**kwargs: object) -> list[CheckMessage]:
    """W004: something is sold through Stripe and dj-stripe is not installed."""
    settings = _readable_settings()
    if settings is None or apps.is_installed("djstripe"):
        return []
    sold = [pack.name for pack in settings.catalogue.packs]
    sold += [plan.name for plan in settings.catalogue.plans if plan.price_ids]
    if not sold:
        return []
    return [
        checks.Warning(
            f"These are sold through Stripe, but 'djstripe' is not in INSTALLED_APPS: {', '.join(sold)}.",
            hint="Install usage_credits[stripe] and add 'djstripe' to INSTALLED_APPS.",
            id="usage_credits.W004",
        )
    ]


def check_free_plans(**kwargs: object) -> list[CheckMessage]:
    """E004: the free plan of an owner's model cannot be started."""
    if _readable_settings() is None:
        return []
    errors: list[CheckMessage] = []
    for model in apps.get_models():
        # A proxy shares its model's options, unless it has its own.
        if not issubclass(model, HasWallet) or (model._meta.proxy and "wallet_options" not in vars(model)):
            continue
        try:
            if model.wallet_options.free_plan is not None:
                check_startable(model.wallet_options.free_plan, "free_plan")
        except InvalidValue as error:
            errors.append(checks.Error(str(error), hint=FREE_PLAN_HINT, obj=model, id="usage_credits.E004"))
    return errors


def check_database(**kwargs: object) -> list[CheckMessage]:
    """W001: SQLite takes no lock when a transaction starts. W002: the isolation is not READ COMMITTED."""
    alias = router.db_for_write(Wallet)
    connection = connections[alias]
    options: Mapping[str, Any] = connection.settings_dict.get("OPTIONS") or {}
    if connection.vendor == "sqlite":
        return _check_sqlite(alias, options)
    level = _ISOLATION_LEVELS.get(connection.vendor, _read_committed)(options)
    if level == "READ COMMITTED":
        return []
    return [
        checks.Warning(
            f"The database {alias!r} runs at isolation level {level}, wallets are made for READ COMMITTED.",
            hint="Set OPTIONS['isolation_level'] of this database to READ COMMITTED, or leave it out.",
            id="usage_credits.W002",
        )
    ]


CHECKS: Final[tuple[Callable[..., list[CheckMessage]], ...]] = (
    check_settings,
    check_grace,
    check_stripe,
    check_free_plans,
    check_database,
)


def check_server(*, databases: Sequence[str] | None = None, **kwargs: object) -> list[CheckMessage]:
    """E003: the database cannot return the keys of inserted rows; asked only where databases are checked."""
    alias = router.db_for_write(Wallet)
    if alias not in (databases or ()) or connections[alias].features.can_return_rows_from_bulk_insert:
        return []
    return [
        checks.Error(
            f"The database {alias!r} ({connections[alias].display_name}) has no INSERT … RETURNING.",
            hint="Use PostgreSQL, MariaDB 10.5 or later, or SQLite 3.35 or later for the tables of usage_credits.",
            id="usage_credits.E003",
        )
    ]


def register_all() -> None:
    """Register every check; registering twice changes nothing."""
    for check in CHECKS:
        checks.register(check)
    checks.register(check_server, checks.Tags.database)


def _as_message(error: InvalidSetting) -> CheckMessage:
    if isinstance(error, UnimportableSetting):
        return checks.Error(str(error), hint=PATH_HINT, id="usage_credits.E002")
    return checks.Error(str(error), hint=SETTINGS_HINT, id="usage_credits.E001")


def _catalogue_errors(settings: Settings) -> list[InvalidSetting]:
    try:
        _ = settings.catalogue
    except InvalidSetting as error:
        return [error]
    return []


def _readable_settings() -> Settings | None:
    """Return the settings, or None while check_settings has something to say about them."""
    try:
        settings = current()
    except InvalidSetting:
        return None
    return None if _catalogue_errors(settings) else settings


def _check_sqlite(alias: str, options: Mapping[str, Any]) -> list[CheckMessage]:
    if str(options.get("transaction_mode") or "").upper() in ("IMMEDIATE", "EXCLUSIVE"):
        return []
    return [
        checks.Warning(
            f"The SQLite database {alias!r} opens transactions that take no lock before their first write.",
            hint="Set OPTIONS = {'transaction_mode': 'IMMEDIATE'} for this database.",
            id="usage_credits.W001",
        )
    ]


def _postgresql_level(options: Mapping[str, Any]) -> str:
    level = options.get("isolation_level")
    if level is None:
        return "READ COMMITTED"
    # By path, as a driver is there only where PostgreSQL is used; and each driver numbers the levels its way.
    levels = import_string("django.db.backends.postgresql.psycopg_any.IsolationLevel")
    try:
        return str(levels(level).name).replace("_", " ")
    except ValueError:
        return repr(level)


def _mysql_level(options: Mapping[str, Any]) -> str:
    # Django asks for READ COMMITTED by itself; an empty value leaves the server's own default.
    return str(options.get("isolation_level", "read committed") or "of the server's default").upper()


def _read_committed(options: Mapping[str, Any]) -> str:
    return "READ COMMITTED"


_ISOLATION_LEVELS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "postgresql": _postgresql_level,
    "mysql": _mysql_level,
}
