"""Adjust a wallet by hand: a form whose answer is a transaction that says who did it and why."""

from __future__ import annotations

import datetime
import uuid
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.widgets import AdminSplitDateTime
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from usage_credits.admin.base import signed
from usage_credits.admin.manual_postings import (
    ManualPostingForm,
    back_to_wallet,
    find_to_post,
    new_token,
    posting_page,
)
from usage_credits.dsl.categories import MANUAL_ADJUSTMENT
from usage_credits.exceptions import IdempotencyConflict, InsufficientCredits, InvalidValue
from usage_credits.ledger.credits import credit
from usage_credits.ledger.debits import debit
from usage_credits.models import Transaction, Wallet
from usage_credits.values import MAX_AMOUNT

if TYPE_CHECKING:
    from usage_credits.admin.wallets import WalletAdmin


class _ExpiryInput(AdminSplitDateTime):
    """Names both inputs for who does not see the words beside them."""

    def __init__(self) -> None:
        super().__init__()
        for part, label in zip(
            self.widgets, (gettext_lazy("Expires at: date"), gettext_lazy("Expires at: time")), strict=True
        ):
            part.attrs["aria-label"] = label


class AdjustmentForm(ManualPostingForm):
    """A signed amount and why."""

    amount = forms.IntegerField(
        min_value=-MAX_AMOUNT,
        max_value=MAX_AMOUNT,
        label=gettext_lazy("Amount"),
        help_text=gettext_lazy("Credits to add; with a minus sign, credits to take."),
        widget=forms.NumberInput(attrs={"class": "vIntegerField", "autofocus": True}),
    )
    expires_at = forms.SplitDateTimeField(
        required=False,
        label=gettext_lazy("Expires at"),
        help_text=gettext_lazy("Only for credits that are added; empty: never."),
        widget=_ExpiryInput,
    )
    field_order = ("amount", "reason", "expires_at")

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


def adjustment_view(wallets: WalletAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Show the form and post what it asks for; needs the permissions to view and to adjust wallets."""
    wallet = find_to_post(wallets, request, object_id)
    form = AdjustmentForm(request.POST) if request.method == "POST" else AdjustmentForm(initial=new_token())
    row = _post(wallet, form, request.user) if form.is_valid() else None
    if row is not None:
        _report(wallets, request, wallet, row)
        return back_to_wallet(wallets, wallet)
    return posting_page(
        wallets,
        request,
        "wallet/adjust.html",
        form,
        title=_("Adjust credits"),
        subtitle=str(wallet),
        row=wallet,
        button=_("Adjust credits"),
        owner=wallets.owner(wallet),
        balance=wallets.balance(wallet),
        available=wallet.available_for(),
    )


def _post(wallet: Wallet, form: AdjustmentForm, actor: Any) -> Transaction | None:
    """Post the adjustment and return its transaction, or None with the refusal on the form."""
    asked = form.cleaned_data
    amount: int = asked["amount"]
    metadata = form.facts(actor)
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
