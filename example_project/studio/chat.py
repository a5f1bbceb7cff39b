"""Answer a message: what the reply may use, what it used, and its words as they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings

from studio.language_model import MODELS, BrokenOff, LanguageModel, count_tokens
from studio.models import Message
from usage_credits.charging import Charge


def most_it_may_use(message: Message) -> dict[str, Any]:
    """Return the parameters of the dearest reply that may come, for which credits are held."""
    return {
        "model": message.model,
        "input_tokens": count_tokens(*_said_before(message), message.question),
        "output_tokens": _model_of(message).most_tokens,
    }


def answer(message: Message, charge: Charge) -> Iterator[str]:
    """Yield the reply word by word; at its end keep it and let `charge` be what it used.

    Who goes away before the end closes this iterator, and the gate around the view then charges nothing. The same
    where the model breaks off. Either way nothing is kept, and the message may be sent again under its key. A reply
    that was charged before is yielded as it was kept.
    """
    if charge.transaction is not None:
        yield message.reply
        return
    reply = ""
    try:
        for word in _model_of(message).reply(message.question, pace=settings.LANGUAGE_MODEL_PACE):
            reply += word
            yield word
    except BrokenOff:
        charge.amount = 0
        return
    message.reply = reply
    message.output_tokens = count_tokens(reply)
    message.cost = charge.used(output_tokens=message.output_tokens)
    message.save(update_fields=["reply", "output_tokens", "cost"])


def _said_before(message: Message) -> Iterator[str]:
    """Yield what stands above a message: the model reads all of it again, as language models do."""
    earlier = message.conversation.messages.filter(asked_at__lt=message.asked_at).exclude(reply="")
    for question, reply in earlier.values_list("question", "reply"):
        yield question
        yield reply


def _model_of(message: Message) -> LanguageModel:
    return MODELS[message.model]
