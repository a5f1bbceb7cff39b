"""A project's views of Django REST framework behind gates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import transaction
from django.http import HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from rest_framework import exceptions, serializers, viewsets
from rest_framework.authentication import BasicAuthentication
from rest_framework.decorators import action, api_view, permission_classes
from rest_framework.generics import CreateAPIView
from rest_framework.permissions import IsAdminUser, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.app.gated import Refused, note
from tests.app.models import Team, User
from usage_credits.contrib.rest_framework import charges_credits, requires_credits
from usage_credits.contrib.rest_framework.handlers import as_api_exception


def megabytes(request: Any, **kwargs: Any) -> dict[str, Any]:
    return {"mb": int(request.data["mb"])}


def team_of(request: Any, team: Any, **kwargs: Any) -> Team | None:
    """Return a team for which the user acts: whoever has its email does."""
    if not request.user.is_authenticated:
        return None
    return get_object_or_404(Team, pk=team, email=request.user.email)


def key_of(request: Request, **kwargs: Any) -> str | None:
    return request.headers.get("Idempotency-Key")


def api_key_of(request: Request, **kwargs: Any) -> str | None:
    return request.headers.get("X-Api-Key")


def ran(request: Any) -> Response:
    note(request)
    return Response({"ran": True})


@api_view(["GET", "POST"])
@permission_classes([requires_credits()])
def need_one(request: Request) -> Response:
    return ran(request) if request.user.is_authenticated else Response({"ran": False})


class NeedReport(APIView):
    permission_classes = [IsAuthenticated, requires_credits("report", attributed_to=api_key_of)]

    def get(self, request: Request) -> Response:
        return Response({"ran": False})

    def post(self, request: Request) -> Response:
        return ran(request)


class ImageSerializer(serializers.Serializer[Any]):
    mb = serializers.IntegerField()

    def create(self, image: Any) -> Any:
        return image


class NeedImage(CreateAPIView[Any]):
    """A view with a form, which the browsable API shows."""

    permission_classes = [requires_credits("img", params=megabytes)]
    serializer_class = ImageSerializer

    def get(self, request: Request) -> Response:
        return Response({"ran": False})


class NeedTeam(APIView):
    authentication_classes = [BasicAuthentication]
    permission_classes = [requires_credits("report", owner=team_of)]

    def post(self, request: Request, team: Any) -> Response:
        return ran(request)


class NeedNobody(APIView):
    permission_classes = [requires_credits("report", owner=lambda request: None)]

    def post(self, request: Request) -> Response:
        return ran(request)


class NeedUnknown(APIView):
    permission_classes = [requires_credits("teleport")]

    def post(self, request: Request) -> Response:
        return ran(request)


class NeedOrStaff(APIView):
    permission_classes = [IsAdminUser | requires_credits("report")]

    def post(self, request: Request) -> Response:
        return ran(request)


RAISED: dict[str, Exception] = {
    "invalid": exceptions.ValidationError({"prompt": ["Too long."]}),
    "missing": exceptions.NotFound(),
    "denied": exceptions.PermissionDenied(),
    "throttled": exceptions.Throttled(wait=5),
    "crash": Refused(),
}


class ChargeReport(APIView):
    """Do what the request asks for: write, set the amount, spend, fail, answer some status."""

    @charges_credits("report", idempotency_key=key_of, attributed_to=api_key_of)
    def post(self, request: Any) -> Response:
        note(request)
        charge = request.credit_charge
        if "amount" in request.data:
            charge.amount = request.data["amount"]
        if "spend" in request.data:
            request.user.spend_credits_on("report")
        if "fail" in request.data:
            raise RAISED[request.data["fail"]]
        replayed = charge.transaction is not None
        held = User.objects.get(pk=request.user.pk).wallet().held
        return Response({"held": held, "replayed": replayed}, status=request.data.get("status", 200))

    @charges_credits("report")
    def get(self, request: Any) -> Response:
        return Response({"charge": request.credit_charge})


class Renders(viewsets.ViewSet):
    permission_classes = [IsAuthenticated]

    @action(detail=True, methods=["post"])
    @charges_credits("img", params=lambda request, pk: {"mb": int(pk)})
    def enlarge(self, request: Any, pk: str) -> Response:
        if "used" in request.data:
            request.credit_charge.used(mb=request.data["used"])
        return Response({"pk": pk, "amount": request.credit_charge.amount})


@api_view(["POST"])
@charges_credits("report")
def charge_function(request: Any) -> Response:
    return Response({"amount": request.credit_charge.amount})


class ChargeTeam(APIView):
    @charges_credits("report", owner=team_of)
    def post(self, request: Request, team: Any) -> Response:
        return ran(request)


def parts(broken: bool) -> Iterator[str]:
    yield "one "
    if broken:
        raise Refused
    yield "two"


class ChargeStream(APIView):
    @charges_credits("report")
    def post(self, request: Request) -> HttpResponseBase:
        return StreamingHttpResponse(parts("break" in request.data))


class Spend(APIView):
    """A view without a gate, which calls what the request says, once the trace of it is left."""

    @transaction.atomic
    def post(self, request: Any) -> Response:
        note(request)
        for call, arguments in request.data.items():
            if call == "charge_report":
                request.user.spend_credits_on("report", **arguments)
            else:
                getattr(request.user, call)(*arguments)
        return Response({"ran": True})


def own_handler(error: Exception, context: Any) -> Response:
    """Answer in a format of the project's own."""
    error = as_api_exception(error, context)
    assert isinstance(error, exceptions.APIException)
    return Response({"code": error.get_codes(), "error": error.get_full_details()}, status=error.status_code)
