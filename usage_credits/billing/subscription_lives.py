"""Bring the fulfillment of a subscription to where its provider's present report puts it.

The report says what was paid and changed and when. Its steps are replayed in the order in which they came to count,
with the grid dates between them awarded first; what the fulfillment has seen already changes nothing. So a notice that
comes late, twice or out of order leads to the same rows as one that came in time.
"""

from __future__ import annotations

import datetime
from dataclasses import replace

from usage_credits import conf
from usage_credits.billing import plan_changes
from usage_credits.billing.awards import (
    CYCLE,
    FIRST_AWARD,
    REACTIVATION,
    TRIAL,
    Award,
    award_bonus,
    award_missed,
    award_trial,
)
from usage_credits.billing.endings import end, revoke
from usage_credits.billing.provisional import keep_standing, restore_standing
from usage_credits.billing.schedules import advance, awarded_dates
from usage_credits.billing.stops import LEFT_FOR, PAUSED, is_deferred, set_stop
from usage_credits.billing.subscription_records import (
    ENDED,
    PRICE,
    is_back,
    is_new,
    is_older_copy,
    is_paid_at,
    note_change,
    note_payment,
    note_price,
    open_fulfillment,
)
from usage_credits.billing.subscription_reports import Change, Subscription, Term
from usage_credits.dsl.periods import Period
from usage_credits.dsl.plans import SubscriptionPlan
from usage_credits.ledger.posting import Posting
from usage_credits.models import Fulfillment

_INSTANT = datetime.timedelta(microseconds=1)


class Life:
    """One replay: on the posting of a locked wallet, from the fulfillment as it is (None: not seen before)."""

    def __init__(self, post: Posting, fulfillment: Fulfillment | None, subscription: Subscription) -> None:
        self.post = post
        self.subscription = subscription
        self.awards: list[Award] = []
        self._fulfillment = fulfillment
        self._awarded: set[datetime.datetime] = set()
        self._paused_at = post.now
        if fulfillment is not None:
            restore_standing(fulfillment)
            self._awarded = self._read_awarded(fulfillment)
            if fulfillment.stop_reason == PAUSED and fulfillment.stops_at is not None:
                self._paused_at = fulfillment.stops_at

    def replay(self) -> Fulfillment | None:
        """Award what the subscription should have given by now, save the fulfillment and return it.

        None where the subscription is for no plan of ours or nothing of it was paid; nothing is written then.
        """
        if self._fulfillment and is_older_copy(self.subscription, self._fulfillment):
            return self._fulfillment
        seen_until = self._fulfillment.changed_at if self._fulfillment else None
        present = self.subscription.changes[-1:] or (None,)
        if self.subscription.trial is not None:
            self._try_out(self.subscription.trial)
        for step in self.subscription.steps:
            self._advance(before=step.moment)
            if isinstance(step, Term):
                self._pay(step)
            elif seen_until is None or step.moment > seen_until or step is present[0]:
                self._change(step)
        if self._fulfillment is not None:
            self._advance()
            if self.subscription.ended_at is not None:
                self._fulfillment.metadata[ENDED] = self.subscription.ended_at.isoformat()
                end(self.post, self._fulfillment, self.subscription.ended_at)
            self._fulfillment.changed_at = self._fulfillment.changed_at or self.post.now
            self._pay_provisionally(self._fulfillment, self.subscription.provisional)
            self._fulfillment.revision += 1
            self._fulfillment.save()
        return self._fulfillment

    def _read_awarded(self, fulfillment: Fulfillment) -> set[datetime.datetime]:
        """Return the grid dates that were awarded already, of the schedule as it stands and of periods to come."""
        terms = [*self.subscription.terms, self.subscription.provisional]
        starts = [term.starts_at for term in terms if term is not None and is_new(term, fulfillment)]
        using = self.post.wallet._state.db
        return awarded_dates([fulfillment], using, since=min(starts, default=None))[fulfillment.pk]

    def _pay_provisionally(self, fulfillment: Fulfillment, term: Term | None) -> None:
        """Award what a period brings that counts as paid for now; the next report starts from before it."""
        if term is not None and is_new(term, fulfillment):
            keep_standing(fulfillment)
            self._pay(term)
            self._advance()

    def _try_out(self, trial: Term) -> None:
        """Start a trial: its credits last as long as it does, the first cycle waits for its conversion."""
        fulfillment = self._fulfillment
        if fulfillment is None:
            plan = conf.find_plan_for_price(trial.price_id)
            if plan is None:
                return
            fulfillment = self._fulfillment = open_fulfillment(self.post, self.subscription, plan, trial)
            if trial.ends_at is not None:
                rows = award_trial(self.post, fulfillment, plan, trial.ends_at)
                self._tell(Award(fulfillment, rows, TRIAL))
        if fulfillment.anchor is None:
            fulfillment.paid_through = trial.ends_at or trial.starts_at
            period = Period.parse(fulfillment.period)
            fulfillment.next_fulfillment_at = period.from_anchor(fulfillment.paid_through, 1)
            self._stop(fulfillment)

    def _pay(self, term: Term) -> None:
        fulfillment = self._fulfillment
        if fulfillment is None or fulfillment.anchor is None:
            self._begin(term)
        elif not is_new(term, fulfillment):
            self._pay_again(fulfillment, term)
        else:
            self._renew(fulfillment, term)

    def _begin(self, term: Term) -> None:
        """Award the first paid cycle, and with it the signup bonus."""
        plan = conf.find_plan_for_price(term.price_id)
        fulfillment = self._fulfillment
        if fulfillment is None:
            if plan is None:
                return
            fulfillment = self._fulfillment = open_fulfillment(self.post, self.subscription, plan, term)
        elif plan is not None:
            plan_changes.take_over(fulfillment, plan, term.seats, at=None)
            note_price(fulfillment, term.price_id)
        elif term.price_id != fulfillment.metadata.get(PRICE):
            fulfillment.metadata[LEFT_FOR] = term.price_id
            return
        plan_changes.start_grid(fulfillment, term.starts_at)
        note_payment(fulfillment, term)
        grid = fulfillment.grid
        if self.subscription.is_taken_over and grid is not None:
            fulfillment.next_fulfillment_at = grid.last_until(self.post.now) or term.starts_at
        bonus = award_bonus(self.post, fulfillment, plan) if plan else []
        cycle = self._award_next(fulfillment)
        rows = bonus + [row for award in cycle for row in award.rows]
        if rows:
            fulfillment.credits_last_awarded = sum(row.amount for row in rows)
        self._tell(Award(fulfillment, rows, FIRST_AWARD), is_reactivation=False)

    def _pay_again(self, fulfillment: Fulfillment, term: Term) -> None:
        """Take note of the period that is running, or award an earlier one that was paid after a later one."""
        if term.starts_at == fulfillment.paid_from:
            if fulfillment.paid_through and term.ends_at and term.ends_at > fulfillment.paid_through:
                fulfillment.paid_through = term.ends_at
            return
        self._make_up_for(fulfillment, term)

    def _make_up_for(self, fulfillment: Fulfillment, term: Term) -> None:
        """Award an earlier period that was paid after a later one had begun, where credits are kept."""
        plan = conf.find_plan_for_price(term.price_id)
        since = max(filter(None, (fulfillment.created_at, fulfillment.paid_from)))
        if plan is None or not plan.rolls_over or term.ends_at is None or term.paid_at <= since:
            return
        covered = (
            fulfillment.transactions.using(self.post.wallet._state.db)
            .filter(grid_date__gte=term.starts_at, grid_date__lt=term.ends_at)
            .exists()
        )
        if not covered and not any(term.starts_at <= date < term.ends_at for date in self._awarded):
            row = award_missed(self.post, fulfillment, plan, term.seats, term.starts_at)
            self._awarded.add(term.starts_at)
            self._tell(Award(fulfillment, [row], CYCLE))

    def _renew(self, fulfillment: Fulfillment, term: Term) -> None:
        """Take note of a new period that was paid, with the plan that it was paid for."""
        paid_through = fulfillment.paid_through
        came_back = is_back(fulfillment, term)
        plan = conf.find_plan_for_price(term.price_id)
        if plan is None and term.price_id != fulfillment.metadata.get(PRICE):
            self._leave(fulfillment, term.price_id, term.starts_at)
            return
        if plan is None:
            # It has gone from settings: a pending one is dropped, a current one stays by its name.
            plan_changes.drop_pending(fulfillment)
        elif paid_through is not None and term.starts_at < paid_through:
            # The period was cut short, as by a change from months to years: a change within it like others.
            self._switch(fulfillment, plan, term.starts_at, term.seats, until=term.starts_at)
        elif came_back or self._is_larger(fulfillment, plan, term):
            plan_changes.restart(fulfillment, plan, term.seats, term.starts_at)
        else:
            plan_changes.take_over(fulfillment, plan, term.seats, at=term.starts_at)
        if came_back and plan is None:
            plan_changes.start_grid(fulfillment, term.starts_at)
        note_payment(fulfillment, term)
        note_price(fulfillment, term.price_id)
        if came_back:
            self._reactivate(fulfillment)

    def _is_larger(self, fulfillment: Fulfillment, plan: SubscriptionPlan, term: Term) -> bool:
        is_larger = plan_changes.compare(fulfillment, plan, term.seats) == plan_changes.UP
        return is_larger and plan.name != fulfillment.plan_name

    def _change(self, change: Change) -> None:
        if is_deferred(change.moment, self.subscription, self._paused_at):
            return
        fulfillment = self._fulfillment
        if fulfillment is None or (fulfillment.anchor is None and LEFT_FOR in fulfillment.metadata):
            self._begin_within(change)
            return
        left_for = fulfillment.metadata.get(LEFT_FOR)
        if change.price_id == (left_for or fulfillment.metadata.get(PRICE)):
            if left_for is None and change.seats != fulfillment.seats:
                note_change(fulfillment, change)
                self.awards += plan_changes.change_seats(self.post, fulfillment, change.seats)
            return
        note_change(fulfillment, change)
        plan = conf.find_plan_for_price(change.price_id)
        if plan is None:
            self._leave(fulfillment, change.price_id, change.moment)
            return
        if fulfillment.anchor is None:
            plan_changes.take_over(fulfillment, plan, change.seats, at=fulfillment.next_fulfillment_at)
            fulfillment.anchor = None
        elif is_paid_at(fulfillment, change.moment):
            self._switch(fulfillment, plan, change.moment, change.seats, until=fulfillment.paid_through)
        elif left_for is not None:
            plan_changes.restart(fulfillment, plan, change.seats, change.moment)
            fulfillment.paid_from, fulfillment.paid_through = change.moment, change.ends_at
        else:
            plan_changes.take_over(fulfillment, plan, change.seats, at=fulfillment.next_fulfillment_at)
        note_price(fulfillment, change.price_id)
        if left_for is not None and fulfillment.paid_from == change.moment:
            self._reactivate(fulfillment)

    def _begin_within(self, change: Change) -> None:
        """Begin in the middle of a period that was paid for a price without credits."""
        term = self.subscription.term_at(change.moment)
        if term is not None:
            self._begin(replace(term, price_id=change.price_id, seats=change.seats))

    def _switch(
        self,
        fulfillment: Fulfillment,
        plan: SubscriptionPlan,
        moment: datetime.datetime,
        seats: int,
        *,
        until: datetime.datetime | None,
    ) -> None:
        changed = plan_changes.change_plan(
            self.post, fulfillment, plan, moment, seats=seats, period_ends_at=until
        )
        if fulfillment.anchor == moment:
            # Dates count anew from there, also those that were awarded before the change was heard of.
            revoke(self.post, fulfillment, after=moment)
        self.awards += changed

    def _leave(self, fulfillment: Fulfillment, price_id: str, moment: datetime.datetime) -> None:
        """Stop at the end of the paid period: the subscription goes on under a price without credits."""
        fulfillment.metadata[LEFT_FOR] = price_id
        plan_changes.clear_pending(fulfillment)
        fulfillment.paid_through = fulfillment.paid_through or moment

    def _reactivate(self, fulfillment: Fulfillment) -> None:
        rows = [row for award in self._award_next(fulfillment) for row in award.rows]
        self._tell(Award(fulfillment, rows, REACTIVATION), is_reactivation=True)

    def _award_next(self, fulfillment: Fulfillment) -> list[Award]:
        """Award the next grid date and none after it."""
        self._stop(fulfillment)
        date = fulfillment.next_fulfillment_at
        if date is None:
            return []
        return advance(self.post, fulfillment, self._awarded, before=date + _INSTANT)

    def _advance(self, before: datetime.datetime | None = None) -> None:
        if self._fulfillment is not None and self._fulfillment.anchor is not None:
            self._stop(self._fulfillment)
            self.awards += advance(self.post, self._fulfillment, self._awarded, before=before)

    def _stop(self, fulfillment: Fulfillment) -> None:
        set_stop(fulfillment, self.subscription, self._paused_at)

    def _tell(self, award: Award, **details: bool) -> None:
        told = {**details, "status": self.subscription.status, "subscription": self.subscription.payload}
        self.awards.append(replace(award, details=told))
