"""An owner's wallets by API, read-only: what there is, and what happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.apps import apps
from django.db import router
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from rest_framework.exceptions import NotAuthenticated, NotFound
from rest_framework.generics import GenericAPIView, ListAPIView, RetrieveAPIView, get_object_or_404
from rest_framework.pagination import BasePagination
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer

from usage_credits.contrib.rest_framework import serializers
from usage_credits.contrib.rest_framework.filters import StatementFilterBackend
from usage_credits.contrib.rest_framework.pagination import LotPagination, StatementPagination
from usage_credits.contrib.rest_framework.problems import turn_away
from usage_credits.dsl.wallet_options import clean_asset
from usage_credits.exceptions import InvalidValue
from usage_credits.gates.problems import without_owner
from usage_credits.ledger.balances import with_balances
from usage_credits.ledger.wallets import wallets_of
from usage_credits.models import Lot, Transaction, Wallet
from usage_credits.owner_wallets import OwnsWallets

if apps.is_installed("drf_spectacular"):
    from usage_credits.contrib.rest_framework import spectacular  # noqa: F401


@method_decorator(never_cache, name="dispatch")
class CreditView(GenericAPIView[Any]):
    """What the views share: each is for one owner, `wallet_owner`, and tells nothing of any other."""

    permission_classes = [IsAuthenticated]
    filter_backends = []
    pagination_class: type[BasePagination] | None = None
    owner: Callable[..., Any] | None = None
    """What gets the request and what the URL gives the view, and returns an owner for which the user may act."""

    success: ClassVar[int] = 200
    result_class: ClassVar[type[BaseSerializer[Any]] | None] = None
    """What is answered, where that is not what `serializer_class` shows."""
    refusals: ClassVar[tuple[int, ...]] = ()
    """The statuses by which a request may be refused, besides 401 and 403."""

    def get_owner(self) -> Any:
        """Return whose credits these are; None for nobody."""
        if self.owner is None:
            return self.request.user
        return self.owner(self.request, *self.args, **self.kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Find the owner once the request may pass; refuses where there is none, or one without HasWallet."""
        super().initial(request, *args, **kwargs)
        self.wallet_owner = self.get_owner()
        if isinstance(self.wallet_owner, OwnsWallets):
            return
        if not request.user.is_authenticated:
            raise NotAuthenticated
        raise turn_away(request, without_owner())

    def get_wallets(self) -> QuerySet[Wallet]:
        """Return the owner's wallets, of every asset."""
        using = router.db_for_read(Wallet, instance=self.wallet_owner)
        return wallets_of(self.wallet_owner, using).order_by("pk")

    def get_wallet(self) -> Wallet:
        """Return the owner's wallet of the asset that the URL names; raises what answers 404."""
        try:
            asset = clean_asset(self.kwargs["asset"])
        except InvalidValue as error:
            raise NotFound from error
        return get_object_or_404(self.get_wallets(), asset=asset)


class _WalletsView(CreditView):
    serializer_class = serializers.CreditWalletSerializer

    def get_wallets(self) -> QuerySet[Wallet]:
        return with_balances(super().get_wallets())


class WalletListView(_WalletsView, ListAPIView[Any]):
    """The owner's wallets, one of each asset. Creates none."""

    def get_queryset(self) -> QuerySet[Wallet]:
        return self.get_wallets()


class WalletView(_WalletsView, RetrieveAPIView[Any]):
    """The owner's wallet of one asset."""

    refusals = (404,)

    def get_object(self) -> Wallet:
        return self.get_wallet()


class LotListView(CreditView, ListAPIView[Any]):
    """The lots of a wallet that have something left and have not expired, in the order in which they are spent."""

    serializer_class = serializers.CreditLotSerializer
    pagination_class = LotPagination
    refusals = (404,)

    def get_queryset(self) -> QuerySet[Lot]:
        wallet = self.get_wallet()
        lots = Lot.objects.using(wallet._state.db).filter(wallet=wallet)
        return lots.current(timezone.now()).in_spending_order()


class _TransactionsView(CreditView):
    serializer_class = serializers.CreditTransactionSerializer

    def get_queryset(self) -> QuerySet[Transaction]:
        wallet = self.get_wallet()
        return Transaction.objects.using(wallet._state.db).filter(wallet=wallet)


class TransactionListView(_TransactionsView, ListAPIView[Any]):
    """The rows of a wallet, newest first."""

    filter_backends = [StatementFilterBackend]
    pagination_class = StatementPagination
    refusals = (400, 404)


class TransactionView(_TransactionsView, RetrieveAPIView[Any]):
    """One row of a wallet."""

    refusals = (404,)
