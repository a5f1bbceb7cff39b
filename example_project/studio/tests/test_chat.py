from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from studio.language_model import MODELS
from studio.models import Conversation, Message, User
from usage_credits.models import Hold

# A stream is charged after its view, and the end of a request closes the connection.
pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = {"accept": "text/plain, application/problem+json"}
QUESTION = "How do I draw a lighthouse?"
REPLY = "".join(MODELS["swift"].reply(QUESTION, pace=0))
COST = 3


@pytest.fixture
def path(browser: Client) -> str:
    return str(browser.post("/chat/new/").headers["Location"])


def ask(browser: Client, path: str, question: str = QUESTION, model: str = "swift", **sent: Any) -> Any:
    """Ask as the script does; the answer is a stream, or a problem."""
    sent = {"question": question, "model": model, "key": uuid.uuid4(), **sent}
    return browser.post(path, sent, headers=SCRIPT)


def words_of(answer: Any) -> Iterator[bytes]:
    return iter(answer.streaming_content)


def page(browser: Client, path: str = "/chat/") -> str:
    return " ".join(browser.get(path).content.decode().split())


def test_reply_streams_word_by_word_and_is_charged_by_what_it_used(
    browser: Client, user: User, path: str
) -> None:
    answer = ask(browser, path)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    words = words_of(answer)
    assert next(words).decode() == REPLY.split()[0]
    assert (user.credits, user.wallet().held) == (15, 5)
    assert b"".join(words).decode() == REPLY.partition(" ")[1] + REPLY.partition(" ")[2]
    assert (user.credits, user.wallet().held) == (20 - COST, 0)
    assert REPLY in page(browser, path)
    assert f"for {COST} credits" in page(browser, path)


def test_page_without_script_waits_for_the_whole_reply(browser: Client, user: User, path: str) -> None:
    answer = browser.post(path, {"question": QUESTION, "model": "swift", "key": uuid.uuid4()}, follow=True)
    assert answer.redirect_chain == [(path, 302)]
    assert REPLY in answer.content.decode()
    assert user.credits == 20 - COST


def test_model_reads_again_what_was_said_before(browser: Client, user: User, path: str) -> None:
    list(words_of(ask(browser, path)))
    list(words_of(ask(browser, path, "And a windmill?")))
    charges = user.credit_history.operation_charges().order_by("pk")
    read = [charge.metadata["params"]["input_tokens"] for charge in charges]
    assert read == [6, 6 + len(REPLY.split()) + 3]


def test_message_sent_twice_is_answered_and_charged_once(browser: Client, user: User, path: str) -> None:
    key = uuid.uuid4()
    for _time in range(2):
        assert b"".join(words_of(ask(browser, path, key=key))).decode() == REPLY
    assert Message.objects.count() == 1
    assert user.credits == 20 - COST


def test_who_goes_away_before_the_end_pays_nothing_and_may_ask_again(
    browser: Client, user: User, path: str
) -> None:
    answer = ask(browser, path)
    next(words_of(answer))
    answer.close()
    assert (user.credits, user.wallet().held) == (20, 0)
    assert "There is no reply, and nothing was charged." in page(browser, path)
    again = browser.post(f"/chat/messages/{Message.objects.get().pk}/again/", headers=SCRIPT)
    assert b"".join(words_of(again)).decode() == REPLY
    assert user.credits == 20 - COST


def test_reply_that_breaks_off_costs_nothing(browser: Client, user: User, path: str) -> None:
    words = b"".join(words_of(ask(browser, path, "Please break off.")))
    assert len(words.split()) == 8
    answer = browser.post(
        path, {"question": "Break off again.", "model": "swift", "key": uuid.uuid4()}, follow=True
    )
    assert "The reply broke off. Nothing was charged." in answer.content.decode()
    assert (user.credits, user.wallet().held) == (20, 0)
    assert not Hold.objects.filter(is_open=True).exists()


def test_script_without_enough_credits_gets_a_problem(browser: Client, user: User, path: str) -> None:
    answer = ask(browser, path, model="deep")
    assert (answer.status_code, answer.headers["Content-Type"]) == (402, "application/problem+json")
    assert answer.json()["detail"] == "37 credits are required, 20 credits are available."
    assert "Ask again" in page(browser, path)
    assert user.credits == 20


def test_page_without_enough_credits_comes_back_with_a_message(browser: Client, path: str) -> None:
    sent = {"question": QUESTION, "model": "deep", "key": uuid.uuid4()}
    answer = browser.post(path, sent, headers={"referer": f"http://testserver{path}"}, follow=True)
    assert 'This needs 37 credits and you have 20. Nothing was charged. <a href="/credits/shop/">' in (
        answer.content.decode()
    )


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        ({"question": ""}, "This field is required."),
        ({"question": "x" * 1_001}, "at most 1000 characters"),
        ({"model": "gpt"}, "gpt is not one of the available choices."),
    ],
)
def test_bad_questions_are_shown_again_with_what_is_wrong(
    browser: Client, user: User, path: str, sent: dict[str, str], complaint: str
) -> None:
    answer = ask(browser, path, **sent)
    assert answer.status_code == 400
    assert complaint in answer.content.decode()
    assert not Message.objects.exists()


def test_conversations_of_others_are_not_found(browser: Client, path: str) -> None:
    list(words_of(ask(browser, path)))
    asked = Message.objects.get()
    browser.force_login(User.objects.create_user("eve"))
    assert browser.get(path).status_code == 404
    assert ask(browser, path).status_code == 404
    assert browser.post(f"/chat/messages/{asked.pk}/again/").status_code == 404
    mine = browser.post("/chat/new/").headers["Location"]
    assert ask(browser, mine, key=asked.pk).status_code == 404
    assert QUESTION not in page(browser)


def test_new_conversation_is_the_empty_one_if_there_is_one(browser: Client, path: str) -> None:
    assert browser.post("/chat/new/").headers["Location"] == path
    list(words_of(ask(browser, path)))
    assert browser.post("/chat/new/").headers["Location"] != path
    assert [str(talk) for talk in Conversation.objects.all()] == ["New conversation", QUESTION]


def test_spent_by_model_this_month_is_told_in_words(browser: Client, user: User, path: str) -> None:
    assert "You have spent nothing on chat this month." in page(browser)
    user.give_credits(100)
    list(words_of(ask(browser, path)))
    list(words_of(ask(browser, path, model="deep")))
    charges = user.credit_history.operation_charges()
    spent = {charge.model: -charge.amount for charge in charges}
    words = sum(charge.metadata["params"]["output_tokens"] for charge in charges)
    words += sum(charge.metadata["params"]["input_tokens"] for charge in charges)
    told = f"This month you spent {sum(spent.values())} credits on chat: {spent['swift']} credits with Swift"
    assert f"{told}, {spent['deep']} credits with Deep. {words} words were read" in page(browser)
