"""What all pages share: who may see them, where they lead, and how a part of one is answered."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from django.http import Http404, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils.cache import patch_vary_headers
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.generic import TemplateView

from usage_credits.billing.providers import can_sell
from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.wallets import asset_of
from usage_credits.models import Wallet
from usage_credits.views.htmx import HEADERS, has_htmx, wants_part
from usage_credits.views.owners import OwnerMixin

PAGES: Final = (
    "wallet",
    "statement",
    "statement_csv",
    "shop",
    "buy_pack",
    "subscribe",
    "manage_subscription",
    "recharge",
    "checkout_return",
)
"""The names of the URLs."""


@method_decorator([never_cache, csrf_protect], name="dispatch")
class Page(OwnerMixin, TemplateView):
    """A page of one owner. Its context has `owner`, `page`, `urls`, `can_sell`, `has_htmx`, and what the page adds.

    `urls` has the other pages by name, as far as they are in the same `include`. With `part_name`, the template of a
    part, HTMX gets that part alone.
    """

    http_method_names = ["get", "head", "options"]
    page = ""
    part_name = ""

    @property
    def is_part(self) -> bool:
        """Tell whether a part of the page is asked for."""
        return bool(self.part_name) and wants_part(self.request)

    @cached_property
    def urls(self) -> dict[str, str]:
        """Return where the pages of this owner are, by name; those that are not in urls.py are left out."""
        match = self.request.resolver_match
        found: dict[str, str] = {}
        if match is None:
            return found
        for name in PAGES:
            with suppress(NoReverseMatch):
                found[name] = reverse(":".join([*match.namespaces, name]), kwargs=self.kwargs)
        return found

    def get_template_names(self) -> list[str]:
        return [self.part_name] if self.is_part else super().get_template_names()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        shared = {"owner": self.owner, "page": self.page, "urls": self.urls, "has_htmx": has_htmx()}
        return super().get_context_data(**shared, can_sell=can_sell(), is_part=self.is_part, **kwargs)

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        response = super().render_to_response(context, **kwargs)
        patch_vary_headers(response, HEADERS)
        return response


class WalletPage(Page):
    """A page about one wallet: the owner's default one, or that of `?asset=`. Answers 404 for one there is not.

    Its context also has `wallet`, None for an owner without a default wallet; and `asset`, the name of another asset
    than the default one, for the filter `credits`.
    """

    @cached_property
    def wallet(self) -> Wallet | None:
        asked = self.request.GET.get("asset")
        try:
            wallet: Wallet | None = self.owner.find_wallet(asked or None)
            is_default = not asked or asset_of(self.owner, asked) == asset_of(self.owner)
        except InvalidValue as error:
            raise Http404("There is no such wallet.") from error
        if wallet is None and not is_default:
            raise Http404("There is no such wallet.")
        return wallet

    @property
    def asset(self) -> str:
        """Return the name of the wallet's asset, nothing for the default one."""
        wallet = self.wallet
        return wallet.asset if wallet and wallet.asset != asset_of(self.owner) else ""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(wallet=self.wallet, asset=self.asset, **kwargs)
