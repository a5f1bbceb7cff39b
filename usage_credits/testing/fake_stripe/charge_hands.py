"""What customers, banks and sellers do to charges at the fake."""

from __future__ import annotations

import threading
from typing import Any

from usage_credits.testing.fake_stripe import disputes, payments, refunds
from usage_credits.testing.fake_stripe.errors import Refusal
from usage_credits.testing.fake_stripe.store import Payload, Store, id_of


class ChargeHands:
    """The part of a fake that deals with payments, refunds and disputes."""

    _store: Store
    _lock: threading.RLock

    def settle_payment(self, intent: Any) -> Payload:
        """Let the money of a payment intent arrive that is in processing, as one by a bank account is."""
        with self._lock:
            payments.succeed(self._store, self._processing(intent))
            return self._store.get("payment_intent", id_of(intent))

    def fail_payment(self, intent: Any) -> Payload:
        """Let a payment bounce that is in processing."""
        with self._lock:
            payments.fail(self._store, self._processing(intent))
            return self._store.get("payment_intent", id_of(intent))

    def refund(self, charge: Any, amount: int | None = None, *, pending: bool = False) -> Payload:
        """Give money of a charge back: `amount` in the currency's minor unit, or all that is left.

        A `pending` refund counts as refunded already, and waits for `settle_refund` or `fail_refund`.
        """
        status = "pending" if pending else "succeeded"
        with self._lock:
            return refunds.refund(self._store, {"charge": id_of(charge), "amount": amount}, status=status)

    def settle_refund(self, refund: Any) -> Payload:
        """Let the money of a pending refund arrive."""
        with self._lock:
            return refunds.settle(self._store, self._store.get("refund", id_of(refund)))

    def fail_refund(self, refund: Any, *, lowers: bool = True) -> Payload:
        """Let a refund bounce; `lowers` says whether the charge's `amount_refunded` falls again."""
        with self._lock:
            return refunds.fail(self._store, self._store.get("refund", id_of(refund)), lowers=lowers)

    def open_dispute(
        self, charge: Any, amount: int | None = None, *, inquiry: bool = False, reason: str = "fraudulent"
    ) -> Payload:
        """Let a customer dispute a charge, all of it or `amount` in minor units, and return the dispute.

        An `inquiry` only asks: no money moves, and its statuses begin with "warning_".
        """
        with self._lock:
            disputed = self._store.get("charge", id_of(charge))
            return disputes.open_dispute(self._store, disputed, amount, inquiry=inquiry, reason=reason)

    def answer_dispute(self, dispute: Any) -> Payload:
        """Hand in evidence: the dispute is under review."""
        with self._lock:
            evidence = {"evidence": {"uncategorized_text": "It was delivered."}}
            return disputes.answer(self._store, self._dispute(dispute), evidence)

    def escalate_dispute(self, dispute: Any) -> Payload:
        """Turn an inquiry into a dispute: the money is taken."""
        with self._lock:
            return disputes.escalate(self._store, self._dispute(dispute))

    def win_dispute(self, dispute: Any) -> Payload:
        """Let the bank decide for the seller: the money comes back."""
        with self._lock:
            return disputes.decide(self._store, self._dispute(dispute), won=True)

    def lose_dispute(self, dispute: Any) -> Payload:
        """Let the bank decide for the customer."""
        with self._lock:
            return disputes.decide(self._store, self._dispute(dispute), won=False)

    def close_dispute(self, dispute: Any) -> Payload:
        """Accept a dispute, which loses it, or let an inquiry end without one."""
        return self.lose_dispute(dispute)

    def _processing(self, intent: Any) -> Payload:
        payment = self._store.get("payment_intent", id_of(intent))
        if payment["status"] != "processing":
            raise Refusal(400, f"The payment is {payment['status']}.", code="payment_intent_unexpected_state")
        return payment

    def _dispute(self, dispute: Any) -> Payload:
        return self._store.get("dispute", id_of(dispute))
