"""Gates before views: who lacks credits is turned away, and work is charged where it succeeds."""

from __future__ import annotations

from usage_credits.gates.charges import charges_credits
from usage_credits.gates.requirements import CreditsRequiredMixin, requires_credits

__all__ = ["CreditsRequiredMixin", "charges_credits", "requires_credits"]
