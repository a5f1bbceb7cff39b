"""What people read whom a gate has turned away."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from usage_credits import InsufficientCredits


def offer_packs(request: HttpRequest, refusal: InsufficientCredits) -> str:
    """Say what is missing, with a link to where it is sold."""
    return format_html(
        'This needs {} credits and you have {}. Nothing was charged. <a href="{}">Buy credits</a>',
        refusal.required,
        refusal.available,
        reverse("usage_credits:shop"),
    )
