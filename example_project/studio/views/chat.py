"""Chat: conversations with language models, priced by the token, whose replies are read while they come."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from studio.chat import answer, most_it_may_use
from studio.forms import MessageForm
from studio.language_model import MODELS
from studio.models import Conversation, Message
from studio.refusals import offer_packs
from studio.views.account import user_of
from usage_credits import charges_credits, usage_summary

LATEST = 20
LONGEST_REPLY = timedelta(minutes=5)


@login_required
@require_GET
def conversations(request: HttpRequest) -> HttpResponse:
    latest = user_of(request).conversations.exclude(title="")[:LATEST]
    context = {"models": MODELS.values(), "conversations": latest, "usage": _usage(request)}
    return render(request, "studio/chat.html", context)


@login_required
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Open a new conversation, or the one in which nothing was said yet."""
    mine = user_of(request).conversations
    return redirect(mine.filter(title="").first() or mine.create())


@login_required
@require_http_methods(["GET", "POST"])
def conversation(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Show what was said; POST asks a model, whose reply comes as text to a script and as this page to others."""
    talk = get_object_or_404(user_of(request).conversations, pk=pk)
    if request.method == "POST":
        form = MessageForm(request.POST)
        if form.is_valid():
            return _reply(request, _asked(talk, form))
        return _show(request, talk, form, status=400)
    last = talk.messages.last()
    return _show(request, talk, MessageForm(initial=MessageForm.fresh(last.model if last else "")))


@login_required
@require_POST
def ask_again(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Ask for the reply to a message that has none: it was refused, broke off, or somebody went away."""
    mine = Message.objects.filter(conversation__owner=user_of(request))
    return _reply(request, get_object_or_404(mine.select_related("conversation"), pk=pk))


# What a form sends is checked by now, so that people read about it beside the field.
@charges_credits(
    "chat",
    params=lambda request, message: most_it_may_use(message),
    idempotency_key=lambda request, message: f"chat:{message.pk}",
    ttl=LONGEST_REPLY,
    message=offer_packs,
)
def _reply(request: HttpRequest, message: Message) -> HttpResponseBase:
    """Reply to a message: the most that this may cost is held, and what it used is charged once it is whole."""
    # The gate has set credit_charge.
    words = answer(message, request.credit_charge)  # type: ignore[attr-defined]
    if not request.accepts("text/html"):
        return StreamingHttpResponse(words, content_type="text/plain; charset=utf-8")
    for _word in words:
        pass
    if not message.reply:
        messages.error(request, "The reply broke off. Nothing was charged.")
    return redirect(message.conversation)


def _asked(talk: Conversation, form: MessageForm) -> Message:
    """Return the message of a valid form, kept now or when it was sent before."""
    asked = {name: form.cleaned_data[name] for name in ("question", "model")}
    message, _is_new = Message.objects.get_or_create(
        pk=form.cleaned_data["key"], defaults={"conversation": talk, **asked}
    )
    if message.conversation_id != talk.pk:
        raise Http404("There is no such message here.")
    if not talk.title:
        talk.title = message.title
        talk.save(update_fields=["title"])
    return message


def _show(request: HttpRequest, talk: Conversation, form: MessageForm, status: int = 200) -> HttpResponse:
    context = {"conversation": talk, "said": talk.messages.all(), "form": form, "usage": _usage(request)}
    return render(request, "studio/conversation.html", context, status=status)


def _usage(request: HttpRequest) -> dict[str, Any]:
    """Return what the user spent on chat this month, in all and with each model, and for how many words."""
    summary = usage_summary(user_of(request), month=timezone.localdate())
    by_model = {
        model.label: summary.by_model[model.value]
        for model in Message.ModelChoices
        if model.value in summary.by_model
    }
    return {"spent": summary.by_operation.get("chat", 0), "by_model": by_model, "words": summary.tokens}
