"""Pictures: previews for nothing, renders and upscales for credits."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from studio.forms import PictureForm, RenderForm
from studio.orders import order
from studio.refusals import offer_packs
from studio.rendering import Picture, Style, draw
from studio.views.account import user_of
from usage_credits import InsufficientCredits, InvalidOperation, requires_credits

PREVIEW_SIDE = 480
"""Pixels of a preview's longer side."""


@require_GET
@cache_control(max_age=86_400)
def sample(request: HttpRequest, style: str, seed: int) -> HttpResponse:
    """Show a small picture to anybody."""
    try:
        picture = Picture(Style(style), seed, PREVIEW_SIDE, PREVIEW_SIDE * 3 // 4)
    except ValueError as error:
        raise Http404(str(error)) from error
    return HttpResponse(draw(picture), content_type="image/png")


@login_required
@require_GET
def gallery(request: HttpRequest) -> HttpResponse:
    return render(request, "studio/gallery.html", {"renders": user_of(request).renders.all()})


@login_required
@require_http_methods(["GET", "POST"])
def new_render(request: HttpRequest) -> HttpResponse:
    """Offer the form with prices; GET with values shows preview and estimate, POST orders."""
    user = user_of(request)
    if request.method == "POST":
        form = RenderForm(request.POST, user=user)
        if form.is_valid():
            values = form.cleaned_data
            try:
                made = order(user, "render", form.picture(), title=values["title"], key=values["key"])
            except InvalidOperation as error:
                form.add_error("size", str(error))
            except InsufficientCredits as error:
                return _refuse(request, error)
            else:
                messages.success(request, f"Rendered for {made.cost} credits.")
                return redirect(made)
        return _show_form(request, form, status=400)
    values = {**RenderForm.fresh(), **request.GET.dict()}
    return _show_form(request, RenderForm(values, user=user))


def _show_form(request: HttpRequest, form: RenderForm, status: int = 200) -> HttpResponse:
    estimate: int | None = None
    refusal = ""
    if form.is_valid():
        try:
            estimate = user_of(request).estimate_credits_to("render", megapixels=form.picture().megapixels)
        except InvalidOperation as error:
            refusal = str(error)
    context = {
        "form": form,
        "estimate": estimate,
        "refusal": refusal,
        "balance": user_of(request).credits,
        "preview_url": _preview_url(form),
    }
    return render(request, "studio/new_render.html", context, status=status)


def _preview_url(form: RenderForm) -> str:
    values: dict[str, Any] = getattr(form, "cleaned_data", {})
    drawn = [(name, str(values[name])) for name in PictureForm.base_fields if name in values]
    return f"{reverse('preview')}?{urlencode(drawn)}" if len(drawn) == len(PictureForm.base_fields) else ""


@login_required
@require_GET
def preview(request: HttpRequest) -> HttpResponse:
    """Draw in small what a form describes: an operation that costs nothing and so leaves no trace in the ledger."""
    form = PictureForm(request.GET)
    if not form.is_valid():
        return HttpResponse("There is no such picture.", status=400, content_type="text/plain")
    user_of(request).spend_credits_on("preview")
    return HttpResponse(draw(form.picture().fitted(PREVIEW_SIDE)), content_type="image/png")


@login_required
@require_GET
def show_render(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    made = get_object_or_404(user_of(request).renders, pk=pk)
    larger = made.picture.doubled()
    try:
        price = user_of(request).estimate_credits_to("upscale", megapixels=larger.megapixels)
        refusal = ""
    except InvalidOperation as error:
        price, refusal = None, str(error)
    context = {"render": made, "larger": larger, "price": price, "refusal": refusal, "key": uuid.uuid4()}
    return render(request, "studio/render.html", context)


@login_required
@require_GET
def image(request: HttpRequest, pk: uuid.UUID) -> FileResponse:
    """Send the file of one of the user's own renders; `?download` saves it."""
    made = get_object_or_404(user_of(request).renders, pk=pk)
    return FileResponse(
        made.image.open(), as_attachment="download" in request.GET, filename=f"{made.style}-{made.seed}.png"
    )


def _size_of_upscale(request: HttpRequest, pk: uuid.UUID) -> dict[str, Any]:
    made = get_object_or_404(user_of(request).renders, pk=pk)
    return {"megapixels": made.picture.doubled().megapixels}


@login_required
@require_POST
@requires_credits("upscale", params=_size_of_upscale, message=offer_packs)
def upscale(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Order a render in double size; who lacks the credits is sent back to it before anything is done."""
    made = get_object_or_404(user_of(request).renders, pk=pk)
    try:
        key = uuid.UUID(request.POST.get("key", ""))
        larger = order(
            made.owner, "upscale", made.picture.doubled(), title=made.title, key=key, upscaled_from=made
        )
    except InsufficientCredits as error:
        # Another order came between the gate and this one: a gate that only asks promises nothing.
        return _refuse(request, error)
    except ValueError as error:
        messages.error(request, str(error))
        return redirect(made)
    messages.success(request, f"Upscaled for {larger.cost} credits.")
    return redirect(larger)


def _refuse(request: HttpRequest, error: InsufficientCredits) -> HttpResponse:
    context = {"error": error, "missing": error.required - error.available}
    return render(request, "studio/insufficient.html", context, status=402)
