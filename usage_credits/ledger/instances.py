"""Rows as instances of their models, made without `Model.__init__`.

That takes several times as long as all that the ledger does with the row, and it does nothing more for plain columns:
only the signals pre_init and post_init are not sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from django.db import models
from django.db.models.base import ModelState

Row = TypeVar("Row", bound=models.Model)


def new(model: type[Row], /, **values: Any) -> Row:
    """Return an instance that is not stored yet; a relation is given by instance or None, what is left out by default.

    The instances that it refers to are of the ledger's models, whose primary key is `id`.
    """
    instance = model.__new__(model)
    columns, calls, relations = _defaults(model)
    row = vars(instance)
    row["_state"] = state = ModelState()
    row.update(columns)
    row.update(values)
    for name, attname in relations:
        related = row.pop(name, None)
        if related is not None:
            row[attname] = related.id
            state.fields_cache[name] = related
    for name, default in calls:
        if name not in values:
            row[name] = default()
    return instance


def read(model: type[Row], columns: Sequence[str], values: Iterable[Any], using: str) -> Row:
    """Return an instance that was read from the database `using`."""
    instance = model.__new__(model)
    state = ModelState()
    state.adding, state.db = False, using
    row = vars(instance)
    row["_state"] = state
    row.update(zip(columns, values, strict=True))
    return instance


def mark_stored(row: models.Model, key: int, using: str) -> None:
    """Let an instance be the row that was inserted into the database `using` under `key`."""
    vars(row)[row._meta.pk.attname] = key
    state = row._state
    state.adding, state.db = False, using


@lru_cache
def _defaults(
    model: type[models.Model],
) -> tuple[dict[str, Any], list[tuple[str, Callable[[], Any]]], list[tuple[str, str]]]:
    fields = model._meta.concrete_fields
    plain = {field.attname: None if callable(field.default) else field.get_default() for field in fields}
    calls = [
        (field.attname, field.get_default)
        for field in fields
        if callable(field.default) and field.has_default()
    ]
    return plain, calls, [(field.name, field.attname) for field in fields if field.is_relation]
