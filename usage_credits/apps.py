from __future__ import annotations

from django.apps import AppConfig, apps
from django.db.models.signals import post_save
from django.utils.translation import gettext_lazy as _


class UsageCreditsConfig(AppConfig):
    """Connects owners to their wallets and, where dj-stripe is installed in the project, payments to awards."""

    name = "usage_credits"
    verbose_name = _("Usage credits")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # These modules import models, which are loaded only now.
        from usage_credits import checks
        from usage_credits.owners import HasWallet, create_wallet_with_owner

        checks.register_all()
        for model in apps.get_models():
            if issubclass(model, HasWallet):
                post_save.connect(
                    create_wallet_with_owner,
                    sender=model,
                    dispatch_uid=f"usage_credits.wallet.{model._meta.label}",
                )
        if apps.is_installed("djstripe"):
            from usage_credits.billing import stripe_events

            stripe_events.connect()
