"""The link from a wallet to its owner, which may live in another database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models, router

if TYPE_CHECKING:
    from usage_credits.models.wallet import Wallet


class OwnerField(GenericForeignKey):
    """The owner, found where the routers keep its model; its content type is the one of the wallet's database.

    Django's own field asks the owner's database for the content type, which may have another number there, and the
    wallet's database for the owner, which may not have its table.
    """

    def get_content_type(
        self,
        obj: models.Model | None = None,
        id: Any = None,  # noqa: A002 - as Django names it
        using: str | None = None,
        model: Any = None,
    ) -> ContentType:
        if obj is not None and using is not None:
            # Not type(obj): a request.user is a lazy object, of another type.
            return super().get_content_type(model=obj.__class__, using=using)
        return super().get_content_type(obj=obj, id=id, using=using, model=model)

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is not None and instance.owner_type_id is not None and not self.is_cached(instance):
            using = _home_of(instance)
            model = self.get_content_type(id=instance.owner_type_id, using=using).model_class()
            if model is not None and not router.allow_migrate_model(using, model):
                owner = model._base_manager.filter(pk=instance.owner_id).first()
                self.set_cached_value(instance, owner)
        return super().__get__(instance, cls)

    def __set__(self, instance: Wallet, value: models.Model | None) -> None:
        if value is None:
            super().__set__(instance, value)
            return
        instance.owner_type = self.get_content_type(obj=value, using=_home_of(instance))
        instance.owner_id = value.pk
        self.set_cached_value(instance, value)


def _home_of(wallet: Wallet) -> str:
    return wallet._state.db or router.db_for_write(type(wallet))
