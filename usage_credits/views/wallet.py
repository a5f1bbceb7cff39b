"""The page of a wallet: what it holds, held, and will hold."""

from __future__ import annotations

from typing import Any, Final

from django.db import router
from django.http import Http404
from django.utils import timezone

from usage_credits.exceptions import WalletNotFound
from usage_credits.ledger.balance_history import balance_history
from usage_credits.ledger.balances import balance_and_held
from usage_credits.ledger.runways import runway
from usage_credits.ledger.wallets import wallets_of
from usage_credits.models import Lot, Wallet
from usage_credits.statements.charts import balance_chart
from usage_credits.statements.coming import coming_events
from usage_credits.statements.plans import running_plans
from usage_credits.views.pages import WalletPage

PERIODS: Final = {30: 1, 90: 1, 365: 7}
"""The numbers of days of which the chart can tell, and how many lie between two figures; the first is the default."""

MOST_LOTS: Final = 20
MOST_EVENTS: Final = 5


class WalletView(WalletPage):
    """Show a wallet: its balance, also over time, its lots, its plans, and what is to come.

    `?days=` is how many days the chart tells of, one of `PERIODS`; HTMX gets the chart alone. Its context has
    `available`, `held`, `balance`, `lasts` (days, or None), `chart`, `days`, `periods`, `lots`, `has_more_lots`,
    `coming`, `plans`, `is_subscribed` (one of them is paid) and `wallets`. A number of statements that no history
    changes.
    """

    page = "wallet"
    template_name = "usage_credits/wallet.html"
    part_name = "usage_credits/_balance_over_time.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        days = self._days()
        wallet = self.wallet
        chart = balance_chart(balance_history(wallet, days, every=PERIODS[days])) if wallet else None
        shown = {"chart": chart, "days": days, "periods": tuple(PERIODS)}
        if not self.is_part:
            shown |= self._figures()
        return super().get_context_data(**shown, **kwargs)

    def _days(self) -> int:
        asked = self.request.GET.get("days") or str(min(PERIODS))
        if asked not in map(str, PERIODS):
            raise Http404("There is no chart of so many days.")
        return int(asked)

    def _figures(self) -> dict[str, Any]:
        wallet = self.wallet
        if wallet is None:
            return {"available": self._initial(), "held": 0, "balance": 0, "coming": [], "plans": []}
        balance, held = balance_and_held(wallet)
        using = router.db_for_read(Wallet, instance=wallet)
        plans = running_plans(wallet)
        current = Lot.objects.using(using).filter(wallet=wallet).current(timezone.now())
        lots = list(current.in_spending_order().select_related("transaction")[: MOST_LOTS + 1])
        return {
            "available": max(balance - held, 0),
            "held": held,
            "balance": balance,
            "lasts": runway(wallet),
            "lots": lots[:MOST_LOTS],
            "has_more_lots": len(lots) > MOST_LOTS,
            "coming": coming_events(wallet, MOST_EVENTS),
            "plans": plans,
            "is_subscribed": any(plan.is_paid for plan in plans),
            "wallets": wallets_of(self.owner, using).order_by("asset"),
        }

    def _initial(self) -> int:
        """Return what an owner without a wallet can spend: what its wallet will begin with."""
        try:
            credits: int = self.owner.credits
        except WalletNotFound:
            return 0
        return credits
