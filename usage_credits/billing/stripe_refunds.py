"""Settle refunds and disputes of Stripe payments: from what they name to the purchase or subscription they undo."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from functools import partial

import stripe
from django.db.models import QuerySet

from usage_credits import conf
from usage_credits.billing import refunds
from usage_credits.billing.awards import UPGRADE
from usage_credits.billing.purchases import is_pack_purchase
from usage_credits.billing.reports import OutdatedReport, ask_again, find_fulfillment
from usage_credits.billing.stripe_api import Access, retrieve_intent
from usage_credits.billing.stripe_charges import look_at
from usage_credits.billing.stripe_invoices import Line
from usage_credits.billing.stripe_objects import Payload, metadata_of, sid, subscription_of
from usage_credits.billing.stripe_purchases import settle_retrieved
from usage_credits.billing.stripe_subscriptions import settle_subscription
from usage_credits.dsl.categories import (
    REFUNDS,
    SUBSCRIPTION_SIGNUP_BONUS,
    SUBSCRIPTION_TRIAL,
    SUBSCRIPTION_UPGRADE,
)
from usage_credits.models import Fulfillment, PaymentNotice, Transaction


def settle_refund(subject: Payload, access: Access) -> Fulfillment | PaymentNotice | None:
    """Settle the payment that a charge, refund or dispute is about: of a pack, or of a subscription's invoice.

    Returns what stands for it; a payment that is neither is ignored. Raises stripe.StripeError where Stripe cannot
    answer.
    """
    intent_id = sid(subject.get("payment_intent"))
    if intent_id is None:
        return None
    intent = retrieve_intent(intent_id, access)
    if intent is None:
        return None
    settled = settle_retrieved(intent, access)
    if settled is not None or is_pack_purchase(metadata_of(intent)):
        return settled
    invoice_id = sid(subject.get("invoice")) or sid(intent.get("invoice")) or _invoice_of(intent_id, access)
    charge_id = sid(intent.get("latest_charge"))
    if not invoice_id or not charge_id:
        return None
    return ask_again(partial(_ask_and_settle_invoice, invoice_id, charge_id, access))


def _ask_and_settle_invoice(
    invoice_id: str, charge_id: str, access: Access
) -> Fulfillment | PaymentNotice | None:
    invoice = stripe.Invoice.retrieve(invoice_id, **access.options()).to_dict()
    subscription_id = subscription_of(invoice)
    if subscription_id is None:
        return None
    known = find_fulfillment(f"sub:{subscription_id}")
    returned = look_at(charge_id, access)
    # What it awarded comes first: the refund may be heard of before the payment.
    fulfillment = settle_subscription(subscription_id, access)
    if isinstance(fulfillment, Fulfillment):
        if fulfillment.revision > (known.revision if known else 0) + 1:
            # Not only the report of the subscription itself was taken in since the charge was asked for.
            raise OutdatedReport(fulfillment.source_id)
        awards = awards_of(fulfillment, invoice)
        refunds.take_back(fulfillment, f"in:{invoice_id}", awards, returned, revision=fulfillment.revision)
    return fulfillment


def _invoice_of(intent_id: str, access: Access) -> str | None:
    """Return the id of the invoice that a payment intent pays, or None."""
    try:
        payments = stripe.InvoicePayment.list(
            payment={"type": "payment_intent", "payment_intent": intent_id}, limit=1, **access.options()
        ).data
    except stripe.InvalidRequestError:
        # API versions before 2025-03-31 have no such list; there the payment intent names its invoice.
        return None
    return sid(payments[0].to_dict()["invoice"]) if payments else None


def awards_of(fulfillment: Fulfillment, invoice: Payload) -> QuerySet[Transaction]:
    """Return the transactions by which a subscription's fulfillment awarded what an invoice was paid for.

    A period's line stands for the cycles whose grid dates lie in it, and for the signup bonus where it is the first; a
    proration's charge for the change of plan or seats that was awarded within it.
    """
    using = fulfillment._state.db
    awards = Transaction.objects.using(using).filter(fulfillment=fulfillment, amount__gt=0)
    rows = list(awards.exclude(category__in=(*REFUNDS, SUBSCRIPTION_TRIAL)).oldest_first())
    lines = [Line(payload) for payload in (invoice.get("lines") or {}).get("data") or []]
    lines = [line for line in lines if line.price_id and line.payload.get("period")]
    # Where no price is ours any more, its plan has gone from settings.
    ours = [line for line in lines if conf.find_plan_for_price(line.price_id)] or lines
    return Transaction.objects.filter(pk__in={row.pk for line in ours for row in _of_line(line, rows)})


def _of_line(line: Line, rows: list[Transaction]) -> Iterable[Transaction]:
    plan = conf.find_plan_for_price(line.price_id)
    upgrades = [
        row
        for row in rows
        if row.category == SUBSCRIPTION_UPGRADE
        and _lies_in(line, row.created_at)
        and (plan is None or row.metadata.get("plan_name") == plan.name)
    ]
    if line.is_proration:
        return upgrades[:1] if line.amount > 0 else []
    cycles = [row for row in rows if row.grid_date is not None and _lies_in(line, row.grid_date)]
    first = min((row.grid_date for row in rows if row.grid_date is not None), default=None)
    bonus = [row for row in rows if row.category == SUBSCRIPTION_SIGNUP_BONUS]
    return [
        *cycles,
        *(bonus if first is not None and _lies_in(line, first) else []),
        # A change that began a new period was paid by that period's line.
        *(row for row in upgrades if row.metadata.get("reason") == UPGRADE),
    ]


def _lies_in(line: Line, moment: datetime.datetime) -> bool:
    return line.starts_at <= moment < line.ends_at
