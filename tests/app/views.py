"""What a project's async views do with credits."""

from __future__ import annotations

import asyncio

from django.http import HttpRequest, HttpResponse, JsonResponse

from tests.app.models import User
from usage_credits import InsufficientCredits


async def spend(request: HttpRequest, pk: int) -> HttpResponse:
    """Charge a report, then answer what is left."""
    user = await User.objects.aget(pk=pk)
    try:
        charge = await user.aspend_credits_on("report")
    except InsufficientCredits as refusal:
        return JsonResponse({"available": refusal.available}, status=402)
    assert charge
    return JsonResponse({"charged": -charge.amount, "left": await user.acredits()})


async def work(request: HttpRequest, pk: int) -> HttpResponse:
    """Charge a report around work, which costs less where the request says so, or fails."""
    user = await User.objects.aget(pk=pk)
    try:
        async with user.spending_credits_on("report") as charge:
            held = await (await user.awallet()).aheld()
            await asyncio.sleep(0.01)
            if "fail" in request.GET:
                raise LookupError
            charge.amount = int(request.GET.get("costs", charge.amount))
    except InsufficientCredits as refusal:
        return JsonResponse({"available": refusal.available}, status=402)
    except LookupError:
        return JsonResponse({"charged": 0, "left": await user.acredits()}, status=500)
    return JsonResponse({"charged": charge.amount, "held": held, "left": await user.acredits()})
