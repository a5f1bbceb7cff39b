"""Key aliases: other idempotency keys that count as used."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from usage_credits.admin.base import OwnedAdmin
from usage_credits.admin.filters import WalletAssetFilter, WalletOwnerModelFilter
from usage_credits.models import KeyAlias


@admin.register(KeyAlias)
class KeyAliasAdmin(OwnedAdmin[KeyAlias]):
    related = ("wallet__owner_type", "transaction")
    list_display = ("id", "owner", "wallet", "key", "transaction")
    list_filter = (WalletAssetFilter, WalletOwnerModelFilter)
    search_fields = ("key", "transaction__idempotency_key", "wallet__owner_id", "wallet__asset")
    search_help_text = _("Alias id, key, the transaction's own key, owner id or asset, exactly.")
    fields = ("owner", "wallet", "key", "transaction")
