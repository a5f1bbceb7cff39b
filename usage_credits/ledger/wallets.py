"""Find, create and lock wallets."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar, cast

from django.contrib.contenttypes.models import ContentType, ContentTypeManager
from django.db import connections, models, router, transaction
from django.db.models import BigIntegerField, CharField, F, OuterRef, Subquery, Value
from django.db.models.functions import Cast, Coalesce, Greatest
from django.utils import timezone

from usage_credits import conf
from usage_credits.dsl.categories import MANUAL_ADJUSTMENT
from usage_credits.dsl.wallet_options import WalletOptions, clean_asset
from usage_credits.exceptions import InvalidValue, WalletNotFound
from usage_credits.ledger.balances import available_for_in, available_in, signed_balance
from usage_credits.ledger.compiled import CompiledQuery
from usage_credits.ledger.entries import CreditEntry
from usage_credits.ledger.journal import OWNER, posting
from usage_credits.ledger.reads import OwnedWallet
from usage_credits.models import Wallet
from usage_credits.twins import twin
from usage_credits.values import check_amount

Owner = TypeVar("Owner", bound=models.Model)


_OF_OWNER = CompiledQuery(
    lambda using, owner_type, owner_id, asset: Wallet.objects.using(using).filter(
        owner_type=owner_type, owner_id=owner_id, asset=asset
    ),
    ContentType._meta.get_field("id"),
    Wallet._meta.get_field("owner_id"),
    Wallet._meta.get_field("asset"),
)


def options_of(owner: models.Model | type[models.Model]) -> WalletOptions:
    """Return the wallet options of an owner or of its model: the class attribute, or the defaults."""
    options: WalletOptions = getattr(owner, "wallet_options", None) or WalletOptions()
    return options


def asset_of(owner: models.Model | type[models.Model], asset: str | None = None) -> str:
    """Return the cleaned asset code, by default the one of the owner's model or else of settings."""
    return clean_asset(
        asset if asset is not None else options_of(owner).default_asset or conf.current().default_asset
    )


def owner_type(model: type[models.Model], using: str | None = None) -> ContentType:
    """Return the content type that wallets of `model`'s instances carry."""
    return _types(using).get_for_model(_root_of(model))


@lru_cache
def _types(using: str | None) -> ContentTypeManager:
    # Kept, as a manager is copied for each database that is named; it shares what types Django remembers.
    return ContentType.objects.db_manager(using)


def owner_type_key(model: type[models.Model]) -> models.Subquery:
    """Return the key of `owner_type` as an expression, for a queryset that is built without asking the database."""
    root = _root_of(model)._meta
    types = ContentType.objects.filter(app_label=root.app_label, model=root.model_name)
    return models.Subquery(types.values("pk"))


@lru_cache
def _root_of(model: type[models.Model]) -> type[models.Model]:
    """Return the model that has the wallets of `model`'s instances.

    An owner reached through a proxy or a child of multi-table inheritance has the wallet of the first model that
    declares `wallet_options`, so that one person never has two.
    """
    concrete = model._meta.concrete_model or model
    declaring = [parent for parent in concrete._meta.get_parent_list() if hasattr(parent, "wallet_options")]
    return declaring[-1] if declaring else concrete


def find_wallet(owner: models.Model, asset: str | None = None) -> Wallet | None:
    """Return the owner's wallet of `asset`, or None; creates nothing. One statement."""
    if owner._state.adding or owner.pk is None:
        return None
    return _find(owner, asset_of(owner, asset), router.db_for_read(Wallet, instance=owner))


def owned_wallet(owner: models.Model) -> OwnedWallet:
    """Return the owner's default wallet as one to lock without looking it up; raises WalletNotFound if unsaved."""
    if owner._state.adding or owner.pk is None:
        raise WalletNotFound(f"An unsaved {type(owner).__name__} has no wallet.")
    using = router.db_for_write(Wallet, instance=owner)
    return OwnedWallet(owner, owner_type(owner.__class__, using).pk, asset_of(owner))


def find_available(owner: models.Model, asset: str | None = None) -> int | None:
    """Return what the owner's wallet of `asset` can spend now, None without a wallet. One statement."""
    if owner._state.adding or owner.pk is None:
        return None
    return available_in(_to_read(owner, asset))


def find_available_for(owner: models.Model, operation: str) -> int | None:
    """Return what the owner's default wallet can spend on `operation`, None without a wallet. One statement."""
    if owner._state.adding or owner.pk is None:
        return None
    return available_for_in(_to_read(owner, None), operation)


def _find(owner: models.Model, asset: str, using: str) -> Wallet | None:
    with connections[using].cursor() as cursor:
        found = _OF_OWNER(cursor, owner_type(owner.__class__, using).pk, owner.pk, asset)
    for wallet in found:
        OWNER.set_cached_value(wallet, owner)
        return wallet
    return None


def _to_read(owner: models.Model, asset: str | None) -> models.QuerySet[Wallet]:
    return wallets_of(owner, router.db_for_read(Wallet, instance=owner)).filter(asset=asset_of(owner, asset))


def wallets_of(owner: models.Model, using: str) -> models.QuerySet[Wallet]:
    """Return the owner's wallets of every asset."""
    # Not type(owner): a view's request.user is a lazy object, of another type.
    return Wallet.objects.using(using).filter(
        owner_type=owner_type(owner.__class__, using), owner_id=owner.pk
    )


def with_credits(queryset: models.QuerySet[Owner], asset: str | None = None) -> models.QuerySet[Owner]:
    """Annotate each owner of `queryset` with `credits_now`, what it can spend now on whatever, in the same statement.

    An owner without a wallet gets its initial balance where wallets are created automatically, else None. Works for
    integer and UUID keys on every database, as long as owners and wallets live in the same one. Builds a queryset and
    reads nothing yet.
    """
    model = queryset.model
    options = options_of(model)
    asset = asset_of(model, asset)
    seeded = options.initial_balance if asset == asset_of(model) else 0
    available = Greatest(
        signed_balance(timezone.now()) - F("booked_held"), Value(0), output_field=BigIntegerField()
    )
    wallets = Wallet.objects.filter(
        owner_type=owner_type_key(model),
        owner_id=Cast(OuterRef("pk"), CharField(max_length=255)),
        asset=asset,
    )
    credits_now = Subquery(wallets.values(now=available), output_field=BigIntegerField())
    missing = Value(seeded if options.auto_create else None, output_field=BigIntegerField())
    annotated: Any = queryset.annotate(credits_now=Coalesce(credits_now, missing))
    return cast("models.QuerySet[Owner]", annotated)


def open_wallet(
    owner: models.Model, asset: str | None = None, *, initial_balance: int | None = None
) -> Wallet:
    """Return the owner's wallet of `asset`, creating it where it is missing.

    Safe in a race and inside the caller's transaction: one wallet results, its initial balance (credits; by default
    the owner model's option, for its default asset only) is posted once, and no integrity error surfaces. Raises
    InvalidValue for an owner that is not saved.
    """
    if owner._state.adding or owner.pk is None:
        raise InvalidValue("owner", f"an unsaved {type(owner).__name__} cannot have a wallet; save it first.")
    asset = asset_of(owner, asset)
    using = router.db_for_write(Wallet, instance=owner)
    # Not from a replica, which may not have heard of it yet.
    return _find(owner, asset, using) or _create_wallet(owner, asset, initial_balance, using)


def _create_wallet(owner: models.Model, asset: str, initial_balance: int | None, using: str) -> Wallet:
    if initial_balance is None:
        initial_balance = options_of(owner).initial_balance if asset == asset_of(owner) else 0
    check_amount(initial_balance, "initial_balance", minimum=0)
    with transaction.atomic(using=using, savepoint=False):
        # An upsert instead of an insert whose failure is caught: PostgreSQL keeps the caller's transaction usable,
        # and MariaDB takes the exclusive lock at once, so that two losers of the race cannot deadlock on it.
        Wallet.objects.using(using).bulk_create(
            [Wallet(owner_type=owner_type(owner.__class__, using), owner_id=owner.pk, asset=asset)],
            update_conflicts=True,
            update_fields=["asset"],
            unique_fields=None
            if connections[using].vendor == "mysql"
            else ["owner_type", "owner_id", "asset"],
        )
        wallet = wallets_of(owner, using).get(asset=asset)
        wallet.owner = owner
        if initial_balance:
            with posting(wallet) as post:
                if not post.wallet.transactions.using(using).exists():
                    entry = CreditEntry(
                        initial_balance, MANUAL_ADJUSTMENT, metadata={"reason": "initial_balance"}
                    )
                    post.credit(entry)
    return wallet


def detach_owner(owner: models.Model) -> int:
    """Part the owner's wallets from it, so that its row can be erased, and return how many there were.

    The wallets name no owner any more; the ledger and all metadata stay as they are. Commits with the caller's
    transaction. Raises InvalidValue for an owner that is not saved.
    """
    if owner._state.adding or owner.pk is None:
        raise InvalidValue("owner", f"an unsaved {type(owner).__name__} has no wallets.")
    using = router.db_for_write(Wallet, instance=owner)
    with transaction.atomic(using=using):
        return wallets_of(owner, using).update(owner_type=None, owner_id=None)


adetach_owner = twin(detach_owner)
