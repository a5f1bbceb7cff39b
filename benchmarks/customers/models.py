from __future__ import annotations

from typing import ClassVar

from django.db import models

from usage_credits import HasWallet


class Customer(HasWallet):
    """Who owns the wallets that are measured."""

    name = models.CharField(max_length=50)

    objects: ClassVar[models.Manager[Customer]] = models.Manager()

    def __str__(self) -> str:
        return self.name
