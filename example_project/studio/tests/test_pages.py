from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.test import Client

from studio.models import User
from studio.orders import order
from studio.rendering import Picture, Style
from usage_credits.testing import FakeStripe, capture_events

PICTURE = {"title": "Paper", "style": "facets", "seed": "7"}


def place_order(browser: Client, size: str = "512x512", **values: Any) -> Any:
    return browser.post("/renders/new/", {**PICTURE, "size": size, "key": uuid.uuid4(), **values})


@pytest.mark.django_db
def test_signing_up_gives_welcome_credits(client: Client) -> None:
    password = "analytical-engine"
    answer = client.post("/sign-up/", {"username": "ada", "password1": password, "password2": password})
    assert answer.status_code == 302
    assert User.objects.get().credits == 20
    assert b"20 credits" in client.get("/").content


@pytest.mark.parametrize("path", ["", "statement/", "shop/", "recharge/"])
def test_pages_of_credits_are_in_the_layout_of_the_studio(browser: Client, path: str) -> None:
    page = browser.get(f"/credits/{path}").content.decode()
    assert '<a href="/gallery/">Gallery</a>' in page
    assert 'aria-current="page"' in page


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/gallery/", "/credits/", "/credits/statement/", "/renders/new/", "/chat/"])
def test_pages_about_credits_ask_to_sign_in(client: Client, path: str) -> None:
    assert client.get(path).headers["Location"] == f"/sign-in/?next={path}"


def test_form_offers_each_size_with_its_price(browser: Client) -> None:
    page = browser.get("/renders/new/").content.decode()
    assert "512 × 512 — 6 credits" in page
    assert "1920 × 1080 — 10 credits" in page
    assert "3000 × 2000 — too large" in page


def test_previewing_is_free(browser: Client, user: User) -> None:
    answer = browser.get("/renders/preview.png", {**PICTURE, "size": "1920x1080"})
    assert answer.headers["Content-Type"] == "image/png"
    assert user.credit_history.operation_charges().count() == 0


def test_rendering_shows_the_picture_and_its_price(browser: Client, user: User) -> None:
    answer = place_order(browser)
    page = browser.get(answer.headers["Location"]).content.decode()
    assert "Rendered for 6 credits." in page
    picture = browser.get(f"{answer.headers['Location']}image.png")
    assert b"".join(picture.streaming_content).startswith(b"\x89PNG")  # type: ignore[attr-defined]  # a file answer
    assert user.credits == 14


def test_rendering_without_enough_credits_answers_402_and_offers_packs(browser: Client, user: User) -> None:
    place_order(browser, "2000x2000")
    answer = place_order(browser, "2000x2000")
    assert answer.status_code == 402
    assert "This costs 13 credits and you have 7" in answer.content.decode()
    assert 'href="/credits/shop/?next=/renders/new/"' in answer.content.decode()
    assert user.renders.count() == 1


def test_rendering_too_large_says_what_is_allowed(browser: Client, user: User) -> None:
    answer = place_order(browser, "3000x2000")
    assert answer.status_code == 400
    assert "at most 4 megapixels" in answer.content.decode()
    assert user.credits == 20


def test_upscaling_is_charged_by_the_result(browser: Client, user: User) -> None:
    small = place_order(browser).headers["Location"]
    larger = browser.post(f"{small}upscale/", {"key": uuid.uuid4()}).headers["Location"]
    assert "1024 × 1024" in browser.get(larger).content.decode()
    assert user.credits == 20 - 6 - 4


def test_renders_of_others_are_not_found(browser: Client, user: User) -> None:
    other = User.objects.create_user("bob")
    other.give_credits(15)
    theirs = order(other, "render", Picture(Style.DUNES, 7, 512, 512), title="Mine", key=uuid.uuid4())
    for path in ("", "image.png"):
        assert browser.get(f"/renders/{theirs.pk}/{path}").status_code == 404
    assert browser.post(f"/renders/{theirs.pk}/upscale/", {"key": uuid.uuid4()}).status_code == 404
    assert other.credits == 14


@pytest.mark.parametrize(
    "path",
    ["/renders/new/", "/api/renders/", "/credits/shop/buy/", "/credits/recharge/", "/sign-out/"],
)
def test_posting_from_elsewhere_is_refused(user: User, path: str) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    assert browser.post(path, {**PICTURE, "size": "512x512"}).status_code == 403
    assert user.credits == 20


def test_upscaling_without_enough_credits_goes_back_with_a_message(browser: Client, user: User) -> None:
    made = place_order(browser, "1024x1024").headers["Location"]
    answer = browser.post(
        f"{made}upscale/", {"key": uuid.uuid4()}, headers={"referer": f"http://testserver{made}"}, follow=True
    )
    assert answer.redirect_chain == [(f"http://testserver{made}", 302)]
    assert 'This needs 13 credits and you have 12. Nothing was charged. <a href="/credits/shop/">' in (
        answer.content.decode()
    )
    assert user.renders.count() == 1


def test_upscaling_too_large_is_a_bad_request(browser: Client, user: User) -> None:
    user.give_credits(100)
    made = place_order(browser, "2000x2000").headers["Location"]
    answer = browser.post(f"{made}upscale/", {"key": uuid.uuid4()})
    assert answer.status_code == 400
    assert "at most 9 megapixels" in answer.json()["detail"]


def test_low_balance_warns_until_credits_are_added(
    browser: Client, user: User, mailoutbox: list[EmailMessage]
) -> None:
    with capture_events():
        place_order(browser)
    assert "running low: 14 credits left" in browser.get("/").content.decode()
    assert [(mail.to, mail.subject) for mail in mailoutbox] == [
        (["ada@example.com"], "Your credits are running low")
    ]
    with capture_events():
        user.give_credits(100, reason="referral")
    assert "running low" not in browser.get("/").content.decode()


def test_a_fifth_of_the_last_award_left_is_told_by_mail(
    user: User, stripe: FakeStripe, browser: Client, mailoutbox: list[EmailMessage]
) -> None:
    browser.post("/credits/shop/buy/", {"pack": "studio"})
    stripe.pay(stripe.all("checkout.session")[0])
    stripe.deliver_pending()
    with capture_events():
        user.wallet().debit(460)
    assert [(mail.subject, mail.body) for mail in mailoutbox] == [
        ("Most of your credits are used", "110 of what you got last are left.")
    ]
    with capture_events():
        user.wallet().debit(100)
    assert [mail.subject for mail in mailoutbox[1:]] == ["Your credits are running low"]
