from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models

from usage_credits import HasWallet, WalletOptions


class User(HasWallet, AbstractUser):
    """An owner as most projects have it: an integer key, a wallet from the start."""


class Team(HasWallet, models.Model):
    """An owner with a UUID key, which dj-stripe accepts as a subscriber because it has an email."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100)
    email = models.EmailField(default="team@example.com")


class Studio(HasWallet, models.Model):
    """An owner that gets no wallet unless asked for."""

    wallet_options = WalletOptions(auto_create=False)

    name = models.CharField(max_length=100)


class Newcomer(HasWallet, models.Model):
    """An owner whose wallet starts with credits."""

    wallet_options = WalletOptions(initial_balance=100)

    name = models.CharField(max_length=100)


class Member(User):
    """A proxy: another class for the same rows, and so for the same wallets."""

    class Meta:
        proxy = True


class Academy(Newcomer):
    """A child of multi-table inheritance that has its parent's wallet, opened with options of its own."""

    wallet_options = WalletOptions(initial_balance=25)

    seats = models.IntegerField(default=0)
