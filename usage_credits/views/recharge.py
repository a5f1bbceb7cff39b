"""The page on which an owner agrees to automatic recharges."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db import router
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from usage_credits import conf
from usage_credits.billing.providers import can_sell
from usage_credits.billing.recharge_settings import (
    LARGEST_CAP,
    MOST_A_DAY,
    MOST_A_MONTH,
    find_recharge_setting,
    is_as_agreed,
)
from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.labels import label
from usage_credits.models import Recharge, RechargeSetting, Wallet
from usage_credits.values import MAX_AMOUNT
from usage_credits.views.pages import Page
from usage_credits.views.redirects import SeeOther

ATTEMPTS: Final = 10
"""How many of the latest recharges are shown."""


def _choices() -> list[tuple[str, str]]:
    return [(pack.name, label(pack.name)) for pack in conf.current().catalogue.packs]


class RechargeForm(forms.Form):
    """What an owner agrees to; the fields are arguments of `set_recharge`."""

    pack = forms.ChoiceField(label=gettext_lazy("Buy"), widget=forms.RadioSelect, choices=_choices)
    threshold = forms.IntegerField(
        label=gettext_lazy("When the balance is below"), min_value=0, max_value=MAX_AMOUNT
    )
    max_per_day = forms.IntegerField(
        label=gettext_lazy("Recharges in a day, at most"),
        min_value=1,
        max_value=LARGEST_CAP,
        initial=MOST_A_DAY,
    )
    max_per_month = forms.IntegerField(
        label=gettext_lazy("Recharges in a month, at most"),
        min_value=1,
        max_value=LARGEST_CAP,
        initial=MOST_A_MONTH,
    )


class RechargeView(Page):
    """Show by what the owner's default wallet is recharged, and change it; POST with `stop` switches it off.

    A refused form is answered 400, with its errors by field. Its context has `setting`, `is_as_agreed`, `form` (None
    where nothing can be sold), `packs` and `attempts`.
    """

    page = "recharge"
    template_name = "usage_credits/recharge.html"
    http_method_names = ["get", "head", "post", "options"]

    @cached_property
    def setting(self) -> RechargeSetting | None:
        setting: RechargeSetting | None = self.owner.recharge_setting
        return setting

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "stop" in request.POST:
            self.owner.stop_recharge()
            return self._done(_("Your wallet is not recharged any more."))
        if not can_sell():
            raise Http404("Nothing is sold here.")
        form = RechargeForm(request.POST)
        if form.is_valid() and self._agree(form):
            return self._done(_("Your wallet is recharged from now on."))
        return self.render_to_response(self.get_context_data(form=form, **kwargs), status=400)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        packs = conf.current().catalogue.packs if can_sell() else ()
        if packs and "form" not in kwargs:
            kwargs["form"] = RechargeForm(initial=self._initial())
        return super().get_context_data(
            setting=self.setting,
            is_as_agreed=self.setting is not None and is_as_agreed(self.setting),
            packs=packs,
            attempts=self._attempts(),
            **kwargs,
        )

    def _agree(self, form: RechargeForm) -> bool:
        """Set what the form says; where that is refused, put the error on its field."""
        # A card that was named by other means than this page stays the one that is charged.
        known = find_recharge_setting(self.owner, router.db_for_write(Wallet, instance=self.owner))
        card = known.payment_method if known else ""
        try:
            self.owner.set_recharge(**form.cleaned_data, payment_method=card or None)
        except InvalidValue as error:
            form.add_error(error.field if error.field in form.fields else None, str(error))
            return False
        return True

    def _initial(self) -> dict[str, Any]:
        if self.setting is None:
            first = conf.current().catalogue.packs[0]
            return {"pack": first.name, "threshold": conf.current().low_balance_threshold}
        agreed = ("threshold", "max_per_day", "max_per_month")
        return {"pack": self.setting.pack_name, **{name: getattr(self.setting, name) for name in agreed}}

    def _attempts(self) -> list[Recharge]:
        if self.setting is None:
            return []
        recharges = Recharge.objects.using(self.setting._state.db).filter(wallet=self.setting.wallet_id)
        return list(recharges.order_by("-created_at", "-pk")[:ATTEMPTS])

    def _done(self, text: str) -> HttpResponse:
        """Say so on the page, where the project has messages."""
        if hasattr(self.request, "_messages"):
            messages.success(self.request, text)
        return SeeOther(self.request.path)
