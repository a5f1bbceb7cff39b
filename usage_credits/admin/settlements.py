"""Settle fulfillments by hand: award what is due now, or bring them up to what Stripe says."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import router
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from usage_credits.billing.fulfillment import Fulfilled, fulfill_due
from usage_credits.billing.notices import SOURCE
from usage_credits.models import Fulfillment

if TYPE_CHECKING:
    from usage_credits.admin.fulfillments import FulfillmentAdmin
    from usage_credits.billing.sync_results import Synced

PERMISSION = "usage_credits.change_fulfillment"
MOST = 100
"""How many fulfillments a request works on; commands have no such limit."""

Settle = Callable[["FulfillmentAdmin", HttpRequest, Collection[int]], None]


def may_settle(request: HttpRequest) -> bool:
    return request.user.has_perm(PERMISSION)


def can_ask_stripe(fulfillment: Fulfillment) -> bool:
    return fulfillment.source == SOURCE and apps.is_installed("djstripe")


def settlement_view(
    fulfillments: FulfillmentAdmin, request: HttpRequest, object_id: str, settle: Settle
) -> HttpResponse:
    """Settle one fulfillment and go back to its page; needs the permissions to view and to change fulfillments."""
    fulfillment = fulfillments.get_object(request, unquote(object_id))
    if not (fulfillments.has_view_permission(request, fulfillment) and may_settle(request)):
        raise PermissionDenied
    if fulfillment is None:
        raise Http404
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    settle(fulfillments, request, [fulfillment.pk])
    page = reverse(
        "admin:usage_credits_fulfillment_change",
        args=[quote(fulfillment.pk)],
        current_app=fulfillments.admin_site.name,
    )
    return HttpResponseRedirect(page)


def settle_selected(fulfillments: FulfillmentAdmin, request: HttpRequest, rows: Any, settle: Settle) -> None:
    """Settle the fulfillments selected in the list, unless they are too many for one request."""
    ids = list(rows.order_by().values_list("pk", flat=True)[: MOST + 1])
    if len(ids) > MOST:
        text = _("Select at most %d fulfillments; the commands work on all of them.") % MOST
        fulfillments.message_user(request, text, messages.ERROR)
        return
    settle(fulfillments, request, ids)


def award_due(fulfillments: FulfillmentAdmin, request: HttpRequest, ids: Collection[int]) -> None:
    """Award by the job what of these is due, and say what came of it."""
    done = sum(fulfill_due(ids=ids), Fulfilled())
    tried = Fulfillment.objects.using(router.db_for_write(Fulfillment)).filter(pk__in=ids)
    for failed in tried.exclude(last_error="").order_by("pk"):
        fulfillments.message_user(request, f"{failed}: {failed.last_error}", messages.ERROR)
    if done.awarded:
        text = ngettext(
            "%(awards)d award of %(credits)d credits was made.",
            "%(awards)d awards of %(credits)d credits were made.",
            done.awarded,
        ) % {"awards": done.awarded, "credits": done.credits}
        fulfillments.message_user(request, text, messages.SUCCESS)
    elif not done.failed:
        fulfillments.message_user(request, _("Nothing was due."), messages.WARNING)


def ask_stripe(fulfillments: FulfillmentAdmin, request: HttpRequest, ids: Collection[int]) -> None:
    """Settle those of these that Stripe knows by what it says now, and say what that changed."""
    if not apps.is_installed("djstripe"):
        raise Http404
    # dj-stripe's models can be imported only where it is installed.
    from usage_credits.billing.stripe_sync import sync_fulfillments

    asked = unchanged = 0
    for synced in sync_fulfillments(ids):
        asked += 1
        if synced.problem:
            fulfillments.message_user(request, f"{synced.key}: {synced.problem}", messages.ERROR)
        elif synced.is_changed:
            text = f"{synced.key}: {', '.join(_deeds(synced))}"
            fulfillments.message_user(request, text, messages.SUCCESS)
        else:
            unchanged += 1
    if not asked:
        text = _("Stripe stands behind none of these.")
        fulfillments.message_user(request, text, messages.WARNING)
    text = ngettext("%d is as Stripe has it.", "%d are as Stripe has them.", unchanged) % unchanged
    if unchanged:
        fulfillments.message_user(request, text, messages.SUCCESS)


def _deeds(synced: Synced) -> list[str]:
    deeds = [
        (_("awarded %d"), synced.awarded),
        (_("took back %d"), synced.taken_back),
        (_("gave back %d"), synced.given_back),
        (_("claimed %d"), synced.claimed),
        (_("changed %s"), ", ".join(synced.changes)),
    ]
    return [text % what for text, what in deeds if what]
