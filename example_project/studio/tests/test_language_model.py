from __future__ import annotations

import pytest

from studio.language_model import MODELS, BrokenOff, LanguageModel, count_tokens
from usage_credits import conf

MODELS_LISTED = pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
LONG = "What goes with a lighthouse? " * 40


@MODELS_LISTED
@pytest.mark.parametrize("question", ["A lighthouse?", "", LONG, "{topic}"])
def test_reply_is_the_same_for_the_same_question(model: LanguageModel, question: str) -> None:
    reply = "".join(model.reply(question, pace=0))
    assert reply == "".join(model.reply(question, pace=0))
    assert 0 < count_tokens(reply) <= model.most_tokens


def test_reply_comes_token_by_token() -> None:
    tokens = list(MODELS["swift"].reply("A lighthouse?", pace=0))
    assert len(tokens) == count_tokens("".join(tokens))
    assert tokens != list(MODELS["swift"].reply("A windmill?", pace=0))


def test_reply_breaks_off_where_it_is_asked_to() -> None:
    tokens = MODELS["deep"].reply("Please break off.", pace=0)
    assert [next(tokens) for _ in range(8)]
    with pytest.raises(BrokenOff):
        next(tokens)


@MODELS_LISTED
def test_every_model_has_a_price(model: LanguageModel) -> None:
    chat = conf.current().catalogue.operation("chat")
    assert chat
    quoted = chat.quote({"model": model.name, "input_tokens": 20, "output_tokens": model.most_tokens})
    assert quoted.price > 0
    assert quoted.provider_cost
    assert quoted.provider_cost.amount > 0
