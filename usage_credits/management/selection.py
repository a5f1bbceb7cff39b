"""Which owners a command is for: their model, and those of its rows that the command line selects."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import FieldError, ValidationError
from django.core.management.base import CommandError
from django.db import models

from usage_credits.owners import HasWallet


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--to", metavar="APP.MODEL", help="the owners' model (default: the user model)")
    selection = parser.add_mutually_exclusive_group(required=True)
    selection.add_argument("--all", action="store_true", help="every owner")
    selection.add_argument("--ids", nargs="+", metavar="ID", help="the owners with these primary keys")
    selection.add_argument(
        "--filter",
        nargs="+",
        metavar="FIELD=VALUE",
        help="the owners that match every one of these lookups, such as is_active=True or email__endswith=.org",
    )


def owner_model(label: str | None) -> type[models.Model]:
    """Return the model that --to names, by default the user model; raises CommandError."""
    label = label or settings.AUTH_USER_MODEL
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError):
        raise CommandError(f"--to: got {label!r}, allowed is a model such as app_label.Model.") from None
    if not issubclass(model, HasWallet):
        raise CommandError(f"--to: {label} has no wallets; its class must inherit HasWallet.")
    return model


def owners(
    model: type[models.Model], using: str, *, ids: list[str] | None, lookups: list[str] | None
) -> models.QuerySet[models.Model]:
    """Return the owners with these ids, or that match these lookups, or all; each once. Raises CommandError."""
    everyone = model._default_manager.using(using)
    if ids:
        return _with_ids(everyone.all(), ids)
    if not lookups:
        return everyone.all()
    try:
        matching = everyone.filter(**dict(_lookup(text) for text in lookups))
    except (FieldError, ValueError, TypeError, ValidationError) as error:
        raise CommandError(f"--filter: {_text(error)}") from error
    return everyone.filter(pk__in=matching.order_by().values("pk"))


def _with_ids(everyone: models.QuerySet[models.Model], ids: list[str]) -> models.QuerySet[models.Model]:
    try:
        pks = {everyone.model._meta.pk.to_python(text) for text in ids}
    except ValidationError as error:
        raise CommandError(f"--ids: {_text(error)}") from error
    selected = everyone.filter(pk__in=pks)
    missing = pks - set(selected.values_list("pk", flat=True))
    if missing:
        raise CommandError(
            f"--ids: there is no {everyone.model._meta.label} {', '.join(sorted(map(str, missing)))}."
        )
    return selected


def _lookup(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise CommandError(f"--filter: got {text!r}, allowed is field=value.")
    if name.endswith("__in"):
        return name, value.split(",")
    if name.endswith("__isnull"):
        return name, value.lower() in ("true", "1", "yes")
    return name, value


def _text(error: Exception) -> str:
    return " ".join(error.messages) if isinstance(error, ValidationError) else str(error)


def batches(selected: models.QuerySet[models.Model], size: int) -> Iterator[list[models.Model]]:
    """Yield the owners in key order, `size` at a time; each batch starts after the last key, so none is kept."""
    selected = selected.order_by("pk")
    batch = list(selected[:size])
    while batch:
        yield batch
        batch = list(selected.filter(pk__gt=batch[-1].pk)[:size])
