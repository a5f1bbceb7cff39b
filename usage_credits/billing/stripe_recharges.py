"""Charge the saved payment method of a customer who is not there, and ask what became of it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Final

import stripe
from django.db import router
from django.utils import timezone

from usage_credits.billing.owner_references import OWNER_KEY, reference_to
from usage_credits.billing.recharge_results import (
    NOT_WANTED,
    RECHARGE_KEY,
    REFUNDED,
    Answer,
    complete,
    fail,
)
from usage_credits.billing.stripe_api import Access, retrieve_intent
from usage_credits.billing.stripe_customers import find_customer, find_own_customer, owner_of
from usage_credits.billing.stripe_objects import SUCCEEDED, Payload, metadata_of, sid
from usage_credits.billing.stripe_purchases import settle_intent
from usage_credits.ledger.journal import posting
from usage_credits.models import Fulfillment, PaymentNotice, Recharge, RechargeSetting

KEY_LASTS: Final = datetime.timedelta(hours=23)
"""How long an idempotency key is relied on: Stripe forgets it after a day, and would charge again then."""

NO_METHOD: Final = "no_payment_method"
NOT_SENT: Final = "not_sent"
PROCESSING: Final = "processing"


class _NoPaymentMethod(Exception):
    """The owner has nothing at Stripe that could be charged."""


class _TakenUp(Exception):
    """Another run has gone on with the recharge while this one waited for Stripe."""


def pay(recharge: Recharge, *, is_wanted: bool) -> Answer:
    """Charge for a recharge, or find out what came of an earlier try; never charges twice for one recharge.

    The same idempotency key is sent each time. Once Stripe may have forgotten it, and for a recharge that is not
    wanted any more, the payment is only looked for among the customer's. Raises nothing of Stripe's.
    """
    access = Access.default()
    if recharge.payment:
        return _look(recharge.payment.removeprefix("pi:"), access)
    if not is_wanted:
        return _look_for(recharge, access, NOT_WANTED)
    if timezone.now() - recharge.created_at >= KEY_LASTS:
        return _look_for(recharge, access, NOT_SENT)
    try:
        intent = stripe.PaymentIntent.create(
            **_parameters(recharge, access),
            idempotency_key=f"usage_credits:recharge:{recharge.key}",
            **access.options(),
        )
    except _NoPaymentMethod as problem:
        return Answer("declined", None, NO_METHOD, str(problem))
    except (stripe.CardError, stripe.InvalidRequestError) as refusal:
        return _refused(refusal)
    except (_TakenUp, stripe.StripeError) as error:
        return Answer("unanswered", error=str(error))
    return _read(intent.to_dict())


def settle(recharge: Recharge) -> Answer | None:
    """Award a recharge that was paid, as its webhook does, by the same code; None where it is awarded.

    For a webhook that did not come. Otherwise says why it is not awarded: its money went back, or it became a notice.
    """
    payment = recharge.payment or ""
    try:
        settled = settle_intent(payment.removeprefix("pi:"), Access.default())
    except stripe.StripeError as error:
        return Answer("unanswered", payment, error=str(error))
    if isinstance(settled, Fulfillment):
        with posting(settled.wallet):
            complete(recharge.key, settled)
        return None
    if isinstance(settled, PaymentNotice):
        return Answer("unanswered", payment, error=str(settled))
    return Answer("declined", payment, REFUNDED, "The payment was refunded before it was awarded.")


def settle_failure(payment: Payload, access: Access) -> None:
    """End the recharge behind a payment intent that failed or was canceled, as Stripe has it now."""
    using = router.db_for_write(Recharge)
    key = metadata_of(payment).get(RECHARGE_KEY, "")
    recharge = Recharge.objects.using(using).in_flight().filter(key=key).select_related("wallet").first()
    if recharge is None or recharge.payment not in (None, f"pi:{payment['id']}"):
        return
    intent = retrieve_intent(payment["id"], access)
    answer = _read(intent) if intent else None
    if answer and answer.outcome == "declined":
        fail(recharge, answer)


def _parameters(recharge: Recharge, access: Access) -> dict[str, Any]:
    """Return what to charge; how it is paid is found out once and kept, so that each try is the same request."""
    owner = recharge.wallet.owner
    if owner is None:
        raise _NoPaymentMethod("The wallet has no owner.")
    if not recharge.payment_method:
        recharge.customer_id, recharge.payment_method = _find_method(recharge, owner, access)
        _keep_method(recharge)
    return {
        "amount": recharge.amount,
        "currency": recharge.currency,
        "customer": recharge.customer_id,
        "payment_method": recharge.payment_method,
        "confirm": True,
        "off_session": True,
        # Nobody is there to be sent anywhere.
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "metadata": {**recharge.as_sold, OWNER_KEY: reference_to(owner), RECHARGE_KEY: recharge.key},
    }


def _keep_method(recharge: Recharge) -> None:
    """Write how it is paid before it is; raises _TakenUp where another run has done so, or ended the recharge."""
    unsent = Recharge.objects.using(recharge._state.db).in_flight().filter(pk=recharge.pk, payment_method="")
    if not unsent.update(customer_id=recharge.customer_id, payment_method=recharge.payment_method):
        raise _TakenUp("Another run took it up.")


def _find_method(recharge: Recharge, owner: Any, access: Access) -> tuple[str, str]:
    """Return the owner's customer and the payment method: the one that the owner chose, or the default one."""
    settings = RechargeSetting.objects.using(recharge._state.db)
    chosen = settings.values_list("payment_method", flat=True).get(wallet=recharge.wallet_id)
    if chosen:
        method = stripe.PaymentMethod.retrieve(chosen, **access.options()).to_dict()
        holder = sid(method.get("customer"))
        customer = find_customer(holder, access) if holder else None
        # Whoever can name another one's card must not have it charged.
        if customer is None or owner_of(customer) != owner:
            raise _NoPaymentMethod(f"{chosen} is of no customer of the owner's.")
        return customer.id, chosen
    customer_id = find_own_customer(owner)
    if customer_id is None:
        raise _NoPaymentMethod("The owner has no Stripe customer.")
    known = stripe.Customer.retrieve(customer_id, **access.options()).to_dict()
    invoices = known.get("invoice_settings") or {}
    default = sid(invoices.get("default_payment_method")) or sid(known.get("default_source"))
    if default is None:
        raise _NoPaymentMethod(f"{customer_id} has no default payment method.")
    return customer_id, default


def _look(intent_id: str, access: Access) -> Answer:
    try:
        intent = retrieve_intent(intent_id, access)
    except stripe.StripeError as error:
        return Answer("unanswered", error=str(error))
    if intent is None:
        return Answer("declined", None, "missing", f"Stripe has no {intent_id}.")
    return _read(intent)


def _look_for(recharge: Recharge, access: Access, otherwise: str) -> Answer:
    """Look for a payment whose answer was lost, where it is not asked for by its key; `otherwise` says why it ends."""
    if recharge.customer_id:
        since = int((recharge.created_at - datetime.timedelta(hours=1)).timestamp())
        try:
            listed = stripe.PaymentIntent.list(
                customer=recharge.customer_id, created={"gte": since}, limit=100, **access.options()
            )
            for found in listed.auto_paging_iter():
                intent = found.to_dict()
                if metadata_of(intent).get(RECHARGE_KEY) == recharge.key:
                    return _read(intent)
        except stripe.StripeError as error:
            return Answer("unanswered", error=str(error))
    return Answer("declined", None, otherwise, "Stripe never heard of it.")


def _read(intent: Payload) -> Answer:
    payment = f"pi:{intent['id']}"
    if intent["status"] == SUCCEEDED:
        return Answer("paid", payment)
    if intent["status"] == PROCESSING:
        return Answer("processing", payment)
    error = intent.get("last_payment_error") or {}
    return Answer("declined", payment, _code_of(error) or intent["status"], error.get("message") or "")


def _refused(refusal: stripe.CardError | stripe.InvalidRequestError) -> Answer:
    body = refusal.json_body if isinstance(refusal.json_body, Mapping) else {}
    error = body.get("error") or {}
    intent_id = sid(error.get("payment_intent"))
    payment = f"pi:{intent_id}" if intent_id else None
    reason = _code_of(error) or "invalid_request"
    return Answer("declined", payment, reason, refusal.user_message or str(refusal))


def _code_of(error: Mapping[str, Any]) -> str:
    return error.get("decline_code") or error.get("code") or ""
