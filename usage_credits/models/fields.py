"""Columns that compare and store the same way on every database."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    _Text = models.CharField[Any, Any]
    _LongText = models.TextField[Iterable[str] | None, tuple[str, ...] | None]
    _JSON = models.JSONField[Any, Any]
else:
    _Text = models.CharField
    _LongText = models.TextField
    _JSON = models.JSONField


class KeyField(_Text):
    """Text compared byte by byte on every database.

    PostgreSQL and SQLite do so by themselves. MySQL folds case and trailing spaces unless told otherwise, and
    Stripe's ids differ by case only.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        return _bytewise(super().db_parameters(connection), connection)


class ScopeField(_LongText):
    """Names of operations, a tuple sorted and each once; None: any operation.

    Stored as text, each name between line breaks, which no name holds: so SQL finds one in it alike on every database,
    whatever characters the name has. Compared byte by byte.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        return _bytewise(super().db_parameters(connection), connection)

    def to_python(self, value: Any) -> tuple[str, ...] | None:
        if isinstance(value, str):
            return tuple(value.strip("\n").split("\n"))
        return None if value is None else tuple(sorted(set(value)))

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> tuple[str, ...] | None:
        return self.to_python(value)

    def get_prep_value(self, value: Any) -> Any:
        names = self.to_python(value)
        return None if names is None else "\n".join(("", *names, ""))

    def value_to_string(self, obj: models.Model) -> Any:
        return self.get_prep_value(self.value_from_object(obj))


def _bytewise(parameters: Any, connection: BaseDatabaseWrapper) -> Any:
    if connection.vendor == "mysql":
        is_mariadb = getattr(connection, "mysql_is_mariadb", False)
        parameters["collation"] = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
    return parameters


class OwnerIdField(KeyField):
    """The owner's primary key as text, spelled as the database spells it when it casts the key to text.

    Only so can `with_credits` join wallets to owners by a cast: a database without a UUID type keeps the 32
    hexadecimal digits, one with it renders the dashes.
    """

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, UUID) else super().to_python(value)

    def get_prep_value(self, value: Any) -> Any:
        return value if isinstance(value, UUID) else super().get_prep_value(value)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        value = super().get_db_prep_value(value, connection, prepared)
        if isinstance(value, UUID):
            return str(value) if connection.features.has_native_uuid_field else value.hex
        return value


class MetadataField(_JSON):
    """A JSON object; whatever is not a mapping is stored as {}."""

    def __init__(self, verbose_name: Any = None, **options: Any) -> None:
        options.setdefault("default", dict)
        options.setdefault("blank", True)
        super().__init__(verbose_name, **options)

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        if not hasattr(value, "as_sql") and not isinstance(value, dict):
            value = {}
        return super().get_db_prep_save(value, connection)

    def as_text(self, value: Any) -> str:
        """Return the JSON text of what would be stored, which any database takes."""
        return json.dumps(value, cls=self.encoder) if value and isinstance(value, dict) else "{}"
