"""What is posted by hand: who may, the form that asks why, what is kept of it, and the page around the form."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.widgets import AdminTextareaWidget
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from usage_credits.admin.base import LedgerAdmin, Row
from usage_credits.models import Wallet

PERMISSION = "usage_credits.adjust_wallet"


class ManualPostingForm(forms.Form):
    """Why something is posted. `token` is drawn when the form is shown: sent twice, it books once."""

    token = forms.UUIDField(widget=forms.HiddenInput)
    reason = forms.CharField(
        max_length=500,
        label=_("Reason"),
        help_text=_("Kept with the transaction, together with your name."),
        widget=AdminTextareaWidget(attrs={"rows": 3}),
    )

    def facts(self, actor: Any) -> dict[str, Any]:
        """Return what the metadata of the posted rows says of why and by whom."""
        return {
            "reason": self.cleaned_data["reason"],
            "actor": {"id": actor.pk, "name": actor.get_username()},
        }


def new_token() -> dict[str, Any]:
    """Return the initial data of a form that is shown for the first time."""
    return {"token": uuid.uuid4()}


def may_post(model_admin: LedgerAdmin[Any], request: HttpRequest) -> bool:
    """Tell whether the user may post by hand: it takes the permissions to view and to adjust wallets."""
    return model_admin.may_view(request, Wallet) and request.user.has_perm(PERMISSION)


def find_to_post(model_admin: LedgerAdmin[Row], request: HttpRequest, object_id: str) -> Row:
    """Return the row that is to be posted to; refuse those who may not view it or not post, before it is missed."""
    row = model_admin.get_object(request, unquote(object_id))
    if not (model_admin.has_view_permission(request, row) and may_post(model_admin, request)):
        raise PermissionDenied
    if row is None:
        raise Http404
    return row


def posting_page(
    model_admin: LedgerAdmin[Any], request: HttpRequest, template: str, form: forms.Form, **context: Any
) -> TemplateResponse:
    """Return the page that shows a form in the admin; `context` has its title and what the template asks for."""
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "form": form,
        "media": model_admin.media + form.media,
        **context,
    }
    return TemplateResponse(request, f"admin/usage_credits/{template}", context)


def back_to_wallet(model_admin: LedgerAdmin[Any], wallet: Wallet) -> HttpResponseRedirect:
    """Return the way to the wallet's page, which shows what was posted."""
    site = model_admin.admin_site
    return HttpResponseRedirect(
        reverse("admin:usage_credits_wallet_change", args=[quote(wallet.pk)], current_app=site.name)
    )
