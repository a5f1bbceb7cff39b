"""A project's views behind gates."""

from __future__ import annotations

import asyncio
import datetime
import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from django.contrib.messages import get_messages
from django.db import transaction
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.generic import TemplateView

from tests.app.models import Newcomer, Studio, Team, User
from usage_credits import CreditsRequiredMixin, InvalidOperation, charges_credits, requires_credits

STUCK_FOR = 60
"""How many seconds a view works of which nobody waits for the end."""
LONG = datetime.timedelta(minutes=5)
"""How long its hold lasts."""


class Refused(Exception):
    """What a view raises that went wrong."""


def note(request: HttpRequest) -> None:
    """Leave a trace of a view that ran, in the database."""
    User.objects.filter(username=request.user.get_username()).update(first_name="ran")


def trace(name: str, line: str = "") -> None:
    """Add a line to a file where the test that started this server looks; no rollback takes it back."""
    if "TRACES" in os.environ:
        with Path(os.environ["TRACES"], name).open("a") as file:
            file.write(f"{line}\n")


def megabytes(request: HttpRequest, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Read the size of an image as most projects would."""
    return {"mb": int(request.GET["mb"])}


def team_of(request: HttpRequest, pk: Any) -> Team:
    return get_object_or_404(Team, pk=pk)


def key_of(request: HttpRequest, *args: Any, **kwargs: Any) -> str | None:
    return request.headers.get("Idempotency-Key")


def api_key_of(request: HttpRequest, *args: Any, **kwargs: Any) -> str | None:
    return request.headers.get("X-Api-Key")


def told(request: HttpRequest) -> HttpResponse:
    """Show the messages, as the page would that a person is sent to."""
    return JsonResponse([str(message) for message in get_messages(request)], safe=False)


def named(request: HttpRequest, model: str, pk: int) -> Newcomer | Studio:
    if model == "newcomer":
        return get_object_or_404(Newcomer, pk=pk)
    return get_object_or_404(Studio, pk=pk)


@requires_credits()
def need_one(request: HttpRequest) -> HttpResponse:
    note(request)
    return HttpResponse("ran")


@requires_credits("img", params=megabytes)
def need_image(request: HttpRequest) -> HttpResponse:
    note(request)
    return HttpResponse("ran")


@requires_credits("img", params=megabytes)
async def need_image_async(request: HttpRequest) -> HttpResponse:
    await asyncio.sleep(0)
    return HttpResponse("ran")


def say_more(request: HttpRequest, refusal: Any) -> str:
    return f"{request.path} wants {refusal.required}, a recharge is on its way"


@requires_credits("report", redirect_to="told", message=say_more, methods=["get", "post"])
def need_report(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ran")


@requires_credits("report", owner=team_of, attributed_to=api_key_of)
def need_team(request: HttpRequest, pk: Any) -> HttpResponse:
    return HttpResponse("ran")


@requires_credits("report", owner=lambda request: None)
def need_nobody(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ran")


@requires_credits("report", owner=named)
def need_of(request: HttpRequest, model: str, pk: int) -> HttpResponse:
    return HttpResponse("ran")


@requires_credits("teleport")
def need_unknown(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ran")


async def no_params(request: HttpRequest) -> dict[str, Any]:
    if "refuse" in request.GET:
        raise InvalidOperation("Not on Sundays.")
    return {}


@requires_credits("free", params=no_params)
def need_free(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ran")


class Images(CreditsRequiredMixin, View):
    """A gate by a mixin: each request says how large its image is."""

    operation = "img"

    def get_params(self) -> dict[str, Any]:
        return {"mb": int(self.request.GET["mb"])}

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("form")

    def post(self, request: HttpRequest) -> HttpResponse:
        note(request)
        return HttpResponse("ran")


class AsyncReports(CreditsRequiredMixin, View):
    operation = "report"
    message = "Buy some first."
    redirect_to = "told"

    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("form")

    async def post(self, request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        return HttpResponse("ran")


class Nameless(CreditsRequiredMixin, View):
    def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("ran")


@method_decorator(requires_credits("report"), name="dispatch")
class AsyncDispatch(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("form")

    async def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("ran")


COUNTED: list[int] = []
"""How often `charge_counted` ran in this process, whatever became of its charge."""


@charges_credits("report")
def charge_counted(request: HttpRequest) -> HttpResponse:
    COUNTED.append(1)
    trace("ran")
    return HttpResponse("ran")


@charges_credits("report")
async def charge_counted_async(request: HttpRequest) -> HttpResponse:
    trace("ran")
    await asyncio.sleep(0)
    return HttpResponse("ran")


@charges_credits("report", ttl=LONG)
def charge_stuck(request: HttpRequest) -> HttpResponse:
    note(request)
    trace("stuck", str(os.getpid()))
    threading.Event().wait(STUCK_FOR)
    return HttpResponse("ran")


@charges_credits("report", ttl=LONG)
async def charge_stuck_async(request: HttpRequest) -> HttpResponse:
    trace("stuck", str(os.getpid()))
    await asyncio.sleep(STUCK_FOR)
    return HttpResponse("ran")


def act(request: HttpRequest) -> HttpResponse:
    """Do what the request asks for: write, set the amount, fail, answer some status."""
    note(request)
    charge = request.credit_charge  # type: ignore[attr-defined]
    if "amount" in request.GET:
        charge.amount = int(request.GET["amount"])
    if "drain" in request.GET:
        request.user.wallet().debit(int(request.GET["drain"]))  # type: ignore[union-attr]
    if "spend" in request.GET:
        request.user.spend_credits_on("report")  # type: ignore[union-attr]
    if "fail" in request.GET:
        raise Refused
    status = int(request.GET.get("status", 200))
    if status == 302:
        return redirect("/told/")
    if charge is None:
        return JsonResponse({"held": None}, status=status)
    replayed = charge.transaction is not None and charge.transaction.replayed
    return JsonResponse({"held": request.user.wallet().held, "replayed": replayed}, status=status)  # type: ignore[union-attr]


charge_report = charges_credits("report", idempotency_key=key_of, attributed_to=api_key_of)(act)


@charges_credits("img", params=megabytes, methods=["GET"])
def charge_image(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ran")


@charges_credits("report", idempotency_key=key_of)
async def charge_async(request: HttpRequest) -> HttpResponse:
    charge = request.credit_charge  # type: ignore[attr-defined]
    held = await (await (await request.auser()).awallet()).aheld()  # type: ignore[union-attr]
    if "amount" in request.GET:
        charge.amount = int(request.GET["amount"])
    if "fail" in request.GET:
        raise Refused
    if "template" in request.GET:
        return TemplateResponse(request, request.GET["template"])
    return JsonResponse({"held": held}, status=int(request.GET.get("status", 200)))


@method_decorator(charges_credits("report"), name="dispatch")
class ChargedPage(TemplateView):
    """A page whose template is rendered after the view has returned."""

    def post(self, request: HttpRequest) -> HttpResponse:
        self.template_name = request.GET["template"]
        note(request)
        return self.render_to_response({})


@method_decorator(charges_credits("report"), name="dispatch")
class ChargedAsync(View):
    async def post(self, request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        return HttpResponse("ran")


class ChargedMethod(View):
    @method_decorator(charges_credits("report"))
    async def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("ran")


charge_studio = charges_credits(
    "img", params=megabytes, owner=lambda request, pk: get_object_or_404(Studio, pk=pk)
)(lambda request, pk: JsonResponse({"charge": request.credit_charge is not None}))


def parts(request: HttpRequest) -> Iterator[str]:
    yield "one "
    if "break" in request.GET:
        raise Refused
    if "amount" in request.GET:
        request.credit_charge.amount = int(request.GET["amount"])  # type: ignore[attr-defined]
    yield "two"


@charges_credits("report", idempotency_key=key_of)
def charge_stream(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    note(request)
    return StreamingHttpResponse(parts(request), status=int(request.GET.get("status", 200)))


async def parts_async(request: HttpRequest) -> AsyncIterator[str]:
    yield "one "
    if "break" in request.GET:
        raise Refused
    await asyncio.sleep(float(request.GET.get("sleep", 0)))
    yield "two"


@charges_credits("report")
async def charge_async_stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(parts_async(request))


def words(request: HttpRequest) -> Iterator[str]:
    """Answer so many words, and say how many it has been so far."""
    for number in range(1, int(request.GET["words"]) + 1):
        request.credit_charge.used(output_tokens=number)  # type: ignore[attr-defined]
        yield "word "


async def words_async(request: HttpRequest) -> AsyncIterator[str]:
    for word in words(request):
        await asyncio.sleep(0)
        yield word


charge_chat = charges_credits("chat", params={"model": "small", "input_tokens": 10, "output_tokens": 45})


@charge_chat
def chat(request: HttpRequest) -> HttpResponse:
    return HttpResponse("".join(words(request)), status=int(request.GET.get("status", 200)))


@charge_chat
async def chat_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse("".join([word async for word in words_async(request)]))


@charge_chat
def chat_stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(words(request))


@charge_chat
async def chat_stream_async(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(words_async(request))


@charges_credits("report")
def charge_file(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(__file__).open("rb"))


charge_in_transaction = transaction.atomic(charges_credits("report")(act))
