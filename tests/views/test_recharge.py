from __future__ import annotations

from typing import Any

import pytest
from django.test import Client, override_settings

from tests.app.models import Team, User
from tests.factories import configured, stored
from tests.views.visiting import seen, statements_of, url, visitor
from usage_credits import CreditPack, cents, recharge_if_due
from usage_credits.models import RechargeSetting, Wallet
from usage_credits.testing import StripeWorld

TERMS = {"pack": "starter", "threshold": "100", "max_per_day": "2", "max_per_month": "9"}


def recharge_page(client: Client) -> str:
    return seen(client.get(url("recharge")))


def test_owner_agrees_to_recharges(client: Client, user: User) -> None:
    assert "is not recharged by itself" in recharge_page(client)
    answer = client.post(url("recharge"), TERMS, follow=True)
    assert answer.redirect_chain == [(url("recharge"), 303)]
    page = seen(answer)
    assert "Your wallet is recharged from now on." in page
    assert "Starter is bought when the balance is below 100 credits. At most 2 a day and 9 a month." in page
    setting = user.recharge_setting
    assert setting
    assert (setting.pack_name, setting.threshold, setting.is_enabled) == ("starter", 100, True)
    assert (setting.max_per_day, setting.max_per_month) == (2, 9)


def test_form_shows_what_was_agreed_to(client: Client, user: User) -> None:
    user.set_recharge("bonus", threshold=77, max_per_day=1, max_per_month=5)
    page = recharge_page(client)
    assert 'value="bonus" required checked>' in page
    assert page.count(" checked>") == 1
    assert 'name="threshold" value="77"' in page


def test_form_proposes_the_threshold_of_settings(client: Client) -> None:
    with configured(LOW_BALANCE_THRESHOLD=50):
        page = recharge_page(client)
    assert 'name="threshold" value="50"' in page
    assert 'value="starter" required checked>' in page


def test_owner_stops_recharges(client: Client, user: User) -> None:
    user.set_recharge("starter", threshold=100)
    page = seen(client.post(url("recharge"), {"stop": "1"}, follow=True))
    assert "Your wallet is not recharged any more." in page
    assert "It was switched off." in page
    setting = user.recharge_setting
    assert setting
    assert (setting.is_enabled, setting.stop_reason) == (False, "stopped")


def test_stopping_what_was_never_set_changes_nothing(client: Client) -> None:
    before = stored()
    assert client.post(url("recharge"), {"stop": "1"}).status_code == 303
    assert stored() == before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"pack": "gone"}, "pack"),
        ({"pack": ""}, "pack"),
        ({"pack": "x" * 100_000}, "pack"),
        ({"threshold": "-1"}, "threshold"),
        ({"threshold": ""}, "threshold"),
        ({"threshold": str(2**63)}, "threshold"),
        ({"threshold": "1.5"}, "threshold"),
        ({"threshold": "9" * 5_000}, "threshold"),
        ({"max_per_day": "0"}, "max_per_day"),
        ({"max_per_day": str(2**31)}, "max_per_day"),
        ({"max_per_month": "many"}, "max_per_month"),
    ],
)
def test_terms_that_are_refused_are_shown_by_field(
    client: Client, user: User, changes: dict[str, str], field: str
) -> None:
    user.set_recharge("bonus", threshold=5)
    before = stored()
    answer = client.post(url("recharge"), {**TERMS, **changes})
    page = seen(answer, 400)
    assert list(answer.context["form"].errors) == [field]
    assert "errorlist" in page
    assert stored() == before


def test_card_that_was_named_elsewhere_stays(client: Client, user: User) -> None:
    user.set_recharge("starter", threshold=5, payment_method="pm_123")
    client.post(url("recharge"), TERMS)
    assert RechargeSetting.objects.get().payment_method == "pm_123"


def test_owner_without_a_wallet_agrees(client: Client, user: User) -> None:
    Wallet.objects.all().delete()
    assert "is not recharged by itself" in recharge_page(client)
    assert client.post(url("recharge"), TERMS).status_code == 303
    assert user.recharge_setting


def test_page_says_that_the_pack_has_changed(client: Client, user: User) -> None:
    user.set_recharge("starter", threshold=5)
    with configured(CREDIT_PACKS=[CreditPack("starter", gives=1, costs=cents(9_900))]):
        assert "This pack has changed since you agreed to it" in recharge_page(client)


def test_page_shows_the_latest_recharges(client: Client, user: User, stripe_world: StripeWorld) -> None:
    stripe_world.fake.add_card(stripe_world.customer_of(user))
    user.set_recharge("starter", threshold=100)
    recharge_if_due(user.wallet())
    stripe_world.deliver()
    page = recharge_page(client)
    assert "Succeeded" in page
    assert "<strong>1000 credits</strong><span>49.00 USD</span>" in page
    user.wallet().debit(1_000)
    stripe_world.fake.fail_card(stripe_world.customer_of(user)["id"], "insufficient_funds")
    recharge_if_due(user.wallet())
    page = recharge_page(client)
    assert "Failed: the card has not enough funds" in page
    assert "the next one is tried." in page
    assert page.index("Failed") < page.index("Succeeded")


def test_page_takes_as_many_statements_whatever_there_was(
    client: Client, user: User, stripe_world: StripeWorld
) -> None:
    stripe_world.fake.add_card(stripe_world.customer_of(user))
    user.set_recharge("starter", threshold=100, max_per_day=20)
    few = statements_of(client, url("recharge"))
    for _ in range(12):
        recharge_if_due(user.wallet())
        stripe_world.deliver()
        user.wallet().debit(1_000)
    assert statements_of(client, url("recharge")) == few
    assert recharge_page(client).count("Succeeded") == 10


@pytest.mark.usefixtures("without_stripe")
def test_nothing_is_agreed_to_without_dj_stripe(client: Client) -> None:
    before = stored()
    assert "Nothing is sold at the moment." in recharge_page(client)
    assert client.post(url("recharge"), TERMS).status_code == 404
    assert stored() == before


def test_recharges_are_stopped_without_dj_stripe(client: Client, user: User, request: Any) -> None:
    user.set_recharge("starter", threshold=100)
    request.getfixturevalue("without_stripe")
    assert "Stop it" in recharge_page(client)
    assert client.post(url("recharge"), {"stop": "1"}).status_code == 303
    assert not RechargeSetting.objects.get().is_enabled


def test_nothing_is_agreed_to_where_there_are_no_packs(client: Client) -> None:
    with configured(CREDIT_PACKS=[]):
        assert "Nothing is sold at the moment." in recharge_page(client)
        assert client.post(url("recharge"), TERMS).status_code == 400
    assert not RechargeSetting.objects.exists()


def test_team_agrees_for_itself(client: Client, user: User) -> None:
    team = Team.objects.create(name="Analysts", email=user.email)
    answer = client.post(f"/teams/{team.pk}/credits/recharge/", TERMS)
    assert (answer.status_code, answer["Location"]) == (303, f"/teams/{team.pk}/credits/recharge/")
    assert team.recharge_setting
    assert user.recharge_setting is None


@override_settings(
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
)
def test_page_works_in_a_project_without_messages(user: User) -> None:
    assert visitor(user).post(url("recharge"), TERMS).status_code == 303


@override_settings(LANGUAGE_CODE="de", USE_THOUSAND_SEPARATOR=True)
def test_page_is_written_as_the_language_has_it(user: User) -> None:
    user.set_recharge("starter", threshold=12_345)
    page = recharge_page(visitor(user))
    assert "below 12.345 credits" in page
    assert "1.000 credits for 49,00 USD" in page
    assert 'name="threshold" value="12345"' in page
