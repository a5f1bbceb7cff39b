"""Guard truth: rows that are inserted once and never changed or deleted through Django."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from django.db import models

from usage_credits.exceptions import AppendOnlyError

Row = TypeVar("Row", bound=models.Model, covariant=True)


class AppendOnlyQuerySet(models.QuerySet[Row]):
    """A queryset that reads and inserts only; every way to change or delete rows raises AppendOnlyError."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError

    async def aupdate(self, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError

    def delete(self) -> NoReturn:
        raise AppendOnlyError

    async def adelete(self) -> NoReturn:
        raise AppendOnlyError

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError

    async def abulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError

    def update_or_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError

    async def aupdate_or_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError

    def bulk_create(
        self,
        objs: Iterable[Any],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> list[Row]:
        if update_conflicts:
            raise AppendOnlyError
        return super().bulk_create(objs, batch_size, ignore_conflicts, False, *args, **kwargs)

    def _raw_delete(self, using: str | None) -> NoReturn:
        raise AppendOnlyError


class AppendOnlyModel(models.Model):
    """Base of the tables of truth: a saved instance can be neither saved again nor deleted."""

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def save_base(self, *args: Any, **kwargs: Any) -> None:
        # Here and not in save(), because loaddata calls this one.
        if not self._state.adding:
            raise AppendOnlyError
        kwargs["force_insert"] = True
        super().save_base(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError
