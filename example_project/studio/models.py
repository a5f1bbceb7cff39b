"""Who uses the studio, what was rendered, and what the studio has to tell its users."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractUser
from django.core.validators import MaxValueValidator
from django.db import models
from django.urls import reverse

from studio.rendering import MAX_SEED, Picture, Style
from usage_credits import HasWallet, WalletOptions
from usage_credits.models import Transaction


class User(HasWallet, AbstractUser):
    """A user with a wallet: `user.credits`, `user.spend_credits_on("render", …)`; everybody has the free plan."""

    wallet_options = WalletOptions(free_plan="free")


def image_path(render: Render, filename: str) -> str:
    return f"renders/{render.owner_id}/{render.pk}.png"


class Render(models.Model):
    """A picture that a user paid for, with the ledger row that paid it."""

    class StyleChoices(models.TextChoices):
        DUNES = Style.DUNES.value, "Dunes"
        ORBITS = Style.ORBITS.value, "Orbits"
        FACETS = Style.FACETS.value, "Facets"

    # Chosen by the order form: an order that is sent twice is the same order.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, models.PROTECT, related_name="renders")
    title = models.CharField(max_length=80)
    style = models.CharField(max_length=20, choices=StyleChoices.choices)
    seed = models.PositiveIntegerField(validators=[MaxValueValidator(MAX_SEED)])
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    image = models.FileField(upload_to=image_path)
    charge = models.ForeignKey(Transaction, models.PROTECT, related_name="+")
    upscaled_from = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="upscaled_to"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("render", args=[self.pk])

    @property
    def picture(self) -> Picture:
        return Picture(Style(self.style), self.seed, self.width, self.height)

    @property
    def cost(self) -> int:
        return -self.charge.amount


class Notice(models.Model):
    """Something the studio tells a user on every page until it is dismissed."""

    owner = models.ForeignKey(User, models.CASCADE, related_name="notices")
    text = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.text
