"""Everything that settings declare, checked together and looked up by name."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import cached_property
from typing import TypeVar

from usage_credits.dsl.money import DEFAULT_CURRENCY
from usage_credits.dsl.operations import Operation
from usage_credits.dsl.packs import CreditPack
from usage_credits.dsl.periods import DEFAULT_MINIMUM
from usage_credits.dsl.plans import SubscriptionPlan
from usage_credits.exceptions import InvalidValue

logger = logging.getLogger("usage_credits")

Definition = TypeVar("Definition", Operation, CreditPack, SubscriptionPlan)


@dataclass(frozen=True)
class Catalogue:
    """The operations, packs and plans of a project, in the order of their settings; build it with `of`."""

    operations: tuple[Operation, ...] = ()
    packs: tuple[CreditPack, ...] = ()
    plans: tuple[SubscriptionPlan, ...] = ()

    @classmethod
    def of(
        cls,
        operations: Iterable[object] = (),
        packs: Iterable[object] = (),
        plans: Iterable[object] = (),
        *,
        default_currency: str = DEFAULT_CURRENCY,
        minimum_period: timedelta = DEFAULT_MINIMUM,
        grace: timedelta = timedelta(0),
    ) -> Catalogue:
        """Check the definitions together and return them as one catalogue.

        Raises InvalidValue, whose field is the settings key, for a value of another kind, a name defined
        twice, a scope with an operation that there is not, a price id in two plans and a plan's period below
        `minimum_period`. Logs a warning for each expiring plan whose period is shorter than `grace`.
        """
        catalogue = cls(
            _checked(operations, Operation, "OPERATIONS"),
            tuple(pack.in_currency(default_currency) for pack in _checked(packs, CreditPack, "CREDIT_PACKS")),
            _checked(plans, SubscriptionPlan, "SUBSCRIPTION_PLANS"),
        )
        for pack in catalogue.packs:
            catalogue.check_scope(pack.scope, "CREDIT_PACKS", f"the pack {pack.name!r}")
        for plan in catalogue.plans:
            catalogue.check_scope(plan.scope, "SUBSCRIPTION_PLANS", f"the plan {plan.name!r}")
        _check_prices(catalogue.plans)
        _check_periods(catalogue.plans, minimum_period)
        for plan in catalogue.plans_shorter_than(grace):
            logger.warning(
                "The plan %r has a period of %s, shorter than FULFILLMENT_GRACE_PERIOD (%s): it is capped.",
                plan.name,
                plan.period,
                grace,
            )
        return catalogue

    @property
    def operation_names(self) -> tuple[str, ...]:
        """Return the names of all operations."""
        return tuple(self._operations)

    @property
    def plans_on_sale(self) -> tuple[SubscriptionPlan, ...]:
        """Return the plans that can be bought: those with a price that are not archived."""
        return tuple(plan for plan in self.plans if plan.prices and not plan.archived)

    @property
    def known_operations(self) -> str:
        """Return what an error message says of them."""
        return ", ".join(self._operations) or "none is defined"

    def operation(self, name: object) -> Operation | None:
        """Return the operation of a name (str or Enum), or None."""
        return _find(self._operations, name)

    def check_scope(
        self, scope: tuple[str, ...] | None, field: str = "scope", owner: str = "the credits"
    ) -> None:
        """Raise InvalidValue for a scope with an operation that is not defined."""
        for name in scope or ():
            if name not in self._operations:
                raise InvalidValue(
                    field,
                    f"there is no operation {name!r} for {owner}; known operations: {self.known_operations}.",
                )

    def pack(self, name: object) -> CreditPack | None:
        """Return the pack of a name (str or Enum), or None."""
        return _find(self._packs, name)

    def plan(self, name: object) -> SubscriptionPlan | None:
        """Return the plan of a name (str or Enum), or None."""
        return _find(self._plans, name)

    def plan_for_price(self, price_id: object) -> SubscriptionPlan | None:
        """Return the plan that has this price id among its own, or None."""
        return _find(self._plans_by_price, price_id)

    def plans_shorter_than(self, grace: timedelta) -> tuple[SubscriptionPlan, ...]:
        """Return the plans with expiring credits whose period is shorter than `grace`."""
        return tuple(
            plan for plan in self.plans if not plan.rolls_over and plan.period.approximate_length < grace
        )

    @cached_property
    def _operations(self) -> Mapping[str, Operation]:
        return {operation.name: operation for operation in self.operations}

    @cached_property
    def _packs(self) -> Mapping[str, CreditPack]:
        return {pack.name: pack for pack in self.packs}

    @cached_property
    def _plans(self) -> Mapping[str, SubscriptionPlan]:
        return {plan.name: plan for plan in self.plans}

    @cached_property
    def _plans_by_price(self) -> Mapping[str, SubscriptionPlan]:
        return {price_id: plan for plan in self.plans for price_id in plan.price_ids}


def _checked(definitions: Iterable[object], kind: type[Definition], key: str) -> tuple[Definition, ...]:
    checked: dict[str, Definition] = {}
    for definition in definitions:
        if not isinstance(definition, kind):
            raise InvalidValue.of(key, definition, f"{kind.__name__}(…)")
        if definition.name in checked:
            raise InvalidValue(key, f"the name {definition.name!r} is defined twice, names must differ.")
        checked[definition.name] = definition
    return tuple(checked.values())


def _check_prices(plans: tuple[SubscriptionPlan, ...]) -> None:
    uses = Counter(price_id for plan in plans for price_id in set(plan.price_ids))
    for price_id, count in uses.items():
        if count > 1:
            names = ", ".join(repr(plan.name) for plan in plans if plan.matches(price_id))
            raise InvalidValue(
                "SUBSCRIPTION_PLANS", f"the price id {price_id!r} is in the plans {names}, allowed is one."
            )


def _check_periods(plans: tuple[SubscriptionPlan, ...], minimum: timedelta) -> None:
    for plan in plans:
        if plan.period.approximate_length < minimum:
            raise InvalidValue(
                "SUBSCRIPTION_PLANS",
                f"the plan {plan.name!r} has a period of {plan.period}, "
                f"allowed is MIN_FULFILLMENT_PERIOD ({minimum}) or more.",
            )


def _find(definitions: Mapping[str, Definition], name: object) -> Definition | None:
    text = name.value if isinstance(name, Enum) else name
    return definitions.get(text) if isinstance(text, str) else None
