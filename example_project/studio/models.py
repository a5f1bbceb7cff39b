"""Who uses the studio, what was rendered, and what was said."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractUser
from django.core.validators import MaxValueValidator
from django.db import models
from django.urls import reverse
from django.utils.text import Truncator

from studio.language_model import MODELS
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


class Conversation(models.Model):
    """What a user and the language models said to each other."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(User, models.PROTECT, related_name="conversations")
    # The beginning of its first question; empty until there is one.
    title = models.CharField(max_length=60, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.title or "New conversation"

    def get_absolute_url(self) -> str:
        return reverse("conversation", args=[self.pk])


class Message(models.Model):
    """A question to a language model, with the reply once that is whole, and what it used and cost."""

    class ModelChoices(models.TextChoices):
        SWIFT = "swift", MODELS["swift"].title
        DEEP = "deep", MODELS["deep"].title

    # Chosen by the form: a question that is sent twice is the same question, and its reply is charged once.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(Conversation, models.PROTECT, related_name="messages")
    model = models.CharField(max_length=20, choices=ModelChoices.choices)
    question = models.TextField(max_length=1_000)
    reply = models.TextField(blank=True)
    output_tokens = models.PositiveIntegerField(default=0)
    cost = models.PositiveIntegerField(default=0)
    asked_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["asked_at", "pk"]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        return Truncator(self.question).chars(60)
