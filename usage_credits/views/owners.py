"""Whose pages these are."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpResponse
from django.utils.functional import cached_property
from django.views import View

from usage_credits.owner_wallets import OwnsWallets
from usage_credits.views.htmx import wants_part


class OwnerMixin(LoginRequiredMixin, View):
    """Find the owner whose pages these are: the user of the request, unless `get_owner` is overridden.

    Nobody sees a page without being signed in.
    """

    def get_owner(self) -> Any:
        """Return the owner: an instance of a model with HasWallet; None, or Http404, where there is none to see.

        What the URL names is in `self.kwargs`. Refuse who may not see it: nothing else does.
        """
        return self.request.user

    @cached_property
    def owner(self) -> Any:
        """Return what `get_owner` does, asked once a request. Raises Http404 and ImproperlyConfigured."""
        owner = self.get_owner()
        if owner is None:
            raise Http404("There is no such owner.")
        if not isinstance(owner, OwnsWallets):
            raise ImproperlyConfigured(
                f"{type(self).__name__}.get_owner() returned a {owner.__class__.__name__}, which has no HasWallet: "
                "override it, or add the mixin to the model."
            )
        return owner

    def handle_no_permission(self) -> Any:
        """Send a person to LOGIN_URL; a part of a page that stands already is loaded anew as a whole first."""
        if wants_part(self.request) and not self.request.user.is_authenticated:
            return HttpResponse(status=401, headers={"HX-Refresh": "true"})
        return super().handle_no_permission()
