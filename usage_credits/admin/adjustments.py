"""Adjust a wallet by hand: a form whose answer is a transaction that says who did it and why."""

from __future__ import annotations

import datetime
import uuid
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.widgets import AdminSplitDateTime, AdminTextareaWidget
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from usage_credits.admin.base import signed
from usage_credits.dsl.categories import MANUAL_ADJUSTMENT
from usage_credits.exceptions import IdempotencyConflict, InsufficientCredits, InvalidValue
from usage_credits.ledger.credits import credit
from usage_credits.ledger.debits import debit
from usage_credits.models import Transaction, Wallet
from usage_credits.values import MAX_AMOUNT

if TYPE_CHECKING:
    from usage_credits.admin.wallets import WalletAdmin

PERMISSION = "usage_credits.adjust_wallet"


class AdjustmentForm(forms.Form):
    """A signed amount and why. `token` is drawn when the form is shown: sent twice, it books once."""

    token = forms.UUIDField(widget=forms.HiddenInput)
    amount = forms.IntegerField(
        min_value=-MAX_AMOUNT,
        max_value=MAX_AMOUNT,
        label=gettext_lazy("Amount"),
        help_text=gettext_lazy("Credits to add; with a minus sign, credits to take."),
        widget=forms.NumberInput(attrs={"class": "vIntegerField", "autofocus": True}),
    )
    reason = forms.CharField(
        max_length=500,
        label=gettext_lazy("Reason"),
        help_text=gettext_lazy("Kept with the transaction, together with your name."),
        widget=AdminTextareaWidget(attrs={"rows": 3}),
    )
    expires_at = forms.SplitDateTimeField(
        required=False,
        label=gettext_lazy("Expires at"),
        help_text=gettext_lazy("Only for credits that are added; empty: never."),
        widget=AdminSplitDateTime,
    )

    def clean_amount(self) -> int:
        amount: int = self.cleaned_data["amount"]
        if amount == 0:
            raise forms.ValidationError(_("Zero changes nothing."))
        return amount

    def clean_expires_at(self) -> datetime.datetime | None:
        expires_at: datetime.datetime | None = self.cleaned_data["expires_at"]
        if expires_at is not None and self.cleaned_data.get("amount", 0) < 0:
            raise forms.ValidationError(_("Only credits that are added expire."))
        if expires_at is not None and expires_at <= timezone.now():
            raise forms.ValidationError(_("This must be in the future."))
        return expires_at


def may_adjust(request: HttpRequest) -> bool:
    return request.user.has_perm(PERMISSION)


def adjustment_view(wallets: WalletAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Show the form and post what it asks for; needs the permissions to view and to adjust wallets."""
    wallet = wallets.get_object(request, unquote(object_id))
    if not (wallets.has_view_permission(request, wallet) and may_adjust(request)):
        raise PermissionDenied
    if wallet is None:
        raise Http404
    if request.method == "POST":
        form = AdjustmentForm(request.POST)
        row = _post(wallet, form, request.user) if form.is_valid() else None
        if row is not None:
            _report(wallets, request, wallet, row)
            page = reverse(
                "admin:usage_credits_wallet_change",
                args=[quote(wallet.pk)],
                current_app=wallets.admin_site.name,
            )
            return HttpResponseRedirect(page)
    else:
        form = AdjustmentForm(initial={"token": uuid.uuid4()})
    context = {
        **wallets.admin_site.each_context(request),
        "title": _("Adjust credits"),
        "subtitle": str(wallet),
        "opts": wallets.opts,
        "wallet": wallet,
        "owner": wallets.owner(wallet),
        "balance": wallets.balance(wallet),
        "available": wallet.available_for(),
        "form": form,
        "media": wallets.media + form.media,
    }
    return TemplateResponse(request, "admin/usage_credits/wallet/adjust.html", context)


def _post(wallet: Wallet, form: AdjustmentForm, actor: Any) -> Transaction | None:
    """Post the adjustment and return its transaction, or None with the refusal on the form."""
    asked = form.cleaned_data
    amount: int = asked["amount"]
    metadata = {"reason": asked["reason"], "actor": {"id": actor.pk, "name": actor.get_username()}}
    key = f"admin-adjustment:{asked['token']}"
    try:
        if amount > 0:
            return credit(
                wallet,
                amount,
                category=MANUAL_ADJUSTMENT,
                expires_at=asked["expires_at"],
                metadata=metadata,
                idempotency_key=key,
            )
        return debit(wallet, -amount, category=MANUAL_ADJUSTMENT, metadata=metadata, idempotency_key=key)
    except InsufficientCredits as refusal:
        form.add_error("amount", _("The wallet has only %d available.") % refusal.available)
    except IdempotencyConflict:
        data = cast("QueryDict", form.data).copy()
        data["token"] = str(uuid.uuid4())
        form.data = data
        form.add_error(
            None,
            _(
                "This form was sent before with another amount, which was booked. Send it again to book this too."
            ),
        )
    except InvalidValue as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal.args[1]))
    return None


def _report(wallets: WalletAdmin, request: HttpRequest, wallet: Wallet, row: Transaction) -> None:
    if row.replayed:
        text = _("This adjustment had been booked before; nothing was booked again.")
        wallets.message_user(request, text, messages.WARNING)
        return
    text = _("Adjusted by %(amount)s: %(reason)s") % {
        "amount": signed(row.amount),
        "reason": row.metadata["reason"],
    }
    wallets.log_change(request, wallet, text)
    wallets.message_user(request, text, messages.SUCCESS)
