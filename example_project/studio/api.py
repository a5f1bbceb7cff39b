"""Renders for programs: the same orders as by the form, behind a gate of Django REST framework."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from studio.forms import SIZES
from studio.models import Render
from studio.orders import order
from studio.rendering import MAX_SEED, Picture, Style
from studio.views.account import user_of
from usage_credits.contrib.rest_framework import requires_credits


class OrderSerializer(serializers.Serializer[Any]):
    """An order; sent again with its `key`, it is the same one."""

    key = serializers.UUIDField(default=uuid.uuid4)
    title = serializers.CharField(max_length=80, default="Untitled")
    style = serializers.ChoiceField(Render.StyleChoices.choices)  # type: ignore[assignment]  # hides a hint for forms
    size = serializers.ChoiceField(list(SIZES))
    seed = serializers.IntegerField(min_value=0, max_value=MAX_SEED)


def _ordered(request: Request) -> dict[str, Any]:
    """Return what a request orders, with its picture. Raises ValidationError."""
    asked = OrderSerializer(data=request.data)
    asked.is_valid(raise_exception=True)
    values: dict[str, Any] = asked.validated_data
    width, height = map(int, values["size"].split("x"))
    return {**values, "picture": Picture(Style(values["style"]), values["seed"], width, height)}


def _size(request: Request) -> dict[str, Any]:
    return {"megapixels": _ordered(request)["picture"].megapixels}


class RendersView(APIView):
    """Order a render: 201 with where it is, 402 for who lacks the credits, 400 for what is too large."""

    permission_classes = [IsAuthenticated, requires_credits("render", params=_size)]

    def post(self, request: Request) -> Response:
        asked = _ordered(request)
        made = order(user_of(request), "render", asked["picture"], title=asked["title"], key=asked["key"])
        location = request.build_absolute_uri(made.get_absolute_url())
        return Response(
            {"id": made.pk, "cost": made.cost, "url": location}, 201, headers={"Location": location}
        )
