from __future__ import annotations

from django.db import models

from usage_credits import HasWallet


class Customer(HasWallet):
    """Who owns the wallets that are measured."""

    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name
