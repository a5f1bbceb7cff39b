"""What the studio does when usage_credits tells it something; settings name these functions in CALLBACKS."""

from __future__ import annotations

from typing import Any

from studio.models import Notice, User
from usage_credits.conf import current
from usage_credits.signals import EventContext


def warn_of_low_balance(*, context: EventContext, **kwargs: Any) -> None:
    """Leave a notice for the user whose balance ran low; one at a time is enough."""
    if not isinstance(context.owner, User):
        return
    text = f"Your credits are running low: {context.new_balance} left."
    Notice.objects.update_or_create(owner=context.owner, defaults={"text": text})


def withdraw_warning(*, context: EventContext, **kwargs: Any) -> None:
    """Take the notice back once there are enough credits again."""
    threshold = current().low_balance_threshold or 0
    if isinstance(context.owner, User) and (context.new_balance or 0) > threshold:
        context.owner.notices.all().delete()
