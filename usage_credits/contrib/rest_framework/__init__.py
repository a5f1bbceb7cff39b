"""Credits in Django REST framework: gates before views, and an API of an owner's credits to include."""

from __future__ import annotations

from usage_credits.contrib.rest_framework.gates import charges_credits, requires_credits

__all__ = ["charges_credits", "requires_credits"]
