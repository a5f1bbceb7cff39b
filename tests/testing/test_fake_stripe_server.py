from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import stripe
from django.conf import settings
from pytest_django.live_server_helper import LiveServer

from tests.app.models import User
from usage_credits import create_portal_session, find_credit_pack, find_subscription_plan
from usage_credits.models import Fulfillment
from usage_credits.testing import FakeStripeServer, receive_webhooks
from usage_credits.testing.fake_stripe import pages

pytestmark = pytest.mark.django_db(transaction=True)


class StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any, **options: Any) -> None:
        return None


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeStripeServer]:
    with FakeStripeServer() as server:
        monkeypatch.setattr(stripe, "api_base", server.url)
        yield server


@pytest.fixture
def user() -> User:
    return User.objects.create(username="ada", email="ada@example.com")


def check_out(user: User, **options: Any) -> stripe.checkout.Session:
    pack = find_credit_pack("starter")
    assert pack
    urls: dict[str, Any] = {
        "success_url": "https://shop.test/thanks?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.test/back",
    }
    session: stripe.checkout.Session = pack.create_checkout_session(user, **urls, **options)
    return session


def visit(url: str, form: str | None = None) -> tuple[int, str, str]:
    """Open a page, or post a form to it; return status, place redirected to and text."""
    browser = urllib.request.build_opener(StayHere)
    try:
        with browser.open(url, data=None if form is None else form.encode()) as response:
            return response.status, "", response.read().decode()
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.headers.get("Location", ""), answer.read().decode()


def test_pay_on_the_page_and_come_back_with_credits(
    server: FakeStripeServer, live_server: LiveServer, user: User
) -> None:
    receive_webhooks(live_server.url)
    session = check_out(user)
    assert session.url
    status, _place, text = visit(session.url)
    assert status == 200
    assert "Starter pack × 1" in text
    assert "49.00 USD" in text
    action = re.search(r'action="([^"]+/pay)"', text)
    assert action
    status, place, _text = visit(server.url + action[1], "")
    assert (status, place) == (303, f"https://shop.test/thanks?session={session.id}")
    assert user.credits == 1_000
    assert visit(session.url)[0] == 410


def test_turn_back_without_paying(server: FakeStripeServer, live_server: LiveServer, user: User) -> None:
    receive_webhooks(live_server.url)
    session = check_out(user)
    assert visit(f"{session.url}/cancel", "")[:2] == (303, "https://shop.test/back")
    assert server.fake.get("checkout.session", session.id)["status"] == "open"
    assert user.credits == 0


def test_type_a_promotion_code(server: FakeStripeServer, live_server: LiveServer, user: User) -> None:
    receive_webhooks(live_server.url)
    server.fake.add_coupon(100, code="GIFT")
    session = check_out(user, allow_promotion_codes=True)
    assert session.url
    assert 'name="promotion_code"' in visit(session.url)[2]
    assert visit(f"{session.url}/pay", "promotion_code=nope")[0] == 400
    assert visit(f"{session.url}/pay", "promotion_code=GIFT")[0] == 303
    assert user.credits == 1_000


def test_cancel_and_keep_a_subscription_in_the_portal(
    server: FakeStripeServer, live_server: LiveServer, user: User
) -> None:
    receive_webhooks(live_server.url)
    server.fake.add_price("price_pro", amount=2_900)
    plan = find_subscription_plan("pro")
    assert plan
    session = plan.create_checkout_session(user, success_url="https://shop.test/thanks")
    visit(f"{session.url}/pay", "")
    portal = create_portal_session(user, return_url="https://shop.test/account?a&b").url
    _status, _place, text = visit(portal)
    assert "<strong>price_pro</strong>: active<" in text
    assert 'href="https://shop.test/account?a&amp;b"' in text
    for verb, stop_reason in (("cancel", "canceled"), ("keep", "")):
        action = re.search(rf'action="([^"]+/{verb})"', visit(portal)[2])
        assert action
        assert server.url + visit(server.url + action[1], "")[1] == portal
        assert Fulfillment.objects.get().stop_reason == stop_reason
    assert visit(f"{portal}/sub_other/cancel", "")[0] == 404
    server.fake.cancel(server.fake.all("subscription")[0])
    assert "There are no subscriptions." in visit(portal)[2]


def test_take_webhook_endpoints_through_the_api(
    server: FakeStripeServer, live_server: LiveServer, user: User
) -> None:
    key = settings.STRIPE_TEST_SECRET_KEY
    made = stripe.WebhookEndpoint.create(url=f"{live_server.url}/nowhere/", enabled_events=["*"], api_key=key)
    check_out(user)
    assert set(server.fake.deliver_pending()) == {404}
    assert stripe.WebhookEndpoint.delete(made.id, api_key=key).deleted


def test_answer_pages_that_are_not_there(server: FakeStripeServer) -> None:
    assert visit(f"{server.url}/checkout/cs_test_x")[0] == 404
    assert visit(f"{server.url}/checkout/cs_test_x/steal", "")[0] == 404
    assert visit(f"{server.url}/portal/bps_x")[0] == 404
    assert visit(f"{server.url}/v1/nothing")[0] == 404


def test_escape_what_sellers_write() -> None:
    line = {"description": "<b>Seat</b>", "quantity": 1, "amount_subtotal": 1_000, "currency": "jpy"}
    session = {"id": "cs_1", "amount_total": 1_000, "currency": "jpy", "allow_promotion_codes": None}
    text = pages.checkout_page(session, [line])
    assert "&lt;b&gt;Seat&lt;/b&gt;" in text
    assert "1,000 JPY" in text


def test_serve_from_the_command_line() -> None:
    command = [sys.executable, "-m", "usage_credits.testing.fake_stripe", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        address = re.search(r'STRIPE_API_HOST = "(.+)"', process.stdout.readline())
        try:
            assert address
            assert '"acct_' in visit(f"{address[1]}/v1/account")[2]
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 0
        finally:
            process.kill()
