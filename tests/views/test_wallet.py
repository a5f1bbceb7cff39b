from __future__ import annotations

import datetime
from typing import Any

import pytest
import time_machine
from django.test import Client, override_settings
from django.utils import timezone

from tests.app.models import Newcomer, Studio, User
from tests.factories import add_history, add_lots, configured, days, make_user, stored
from tests.views.visiting import HTMX, seen, statements_of, url, visitor
from usage_credits import SubscriptionPlan, credits, start_plan
from usage_credits.models import Wallet
from usage_credits.views.wallet import MOST_LOTS

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


def wallet_page(client: Client, **asked: str) -> str:
    return seen(client.get(url("wallet"), asked))


def test_wallet_shows_what_can_be_spent_and_what_is_held(client: Client, user: User) -> None:
    user.give_credits(1_234)
    user.hold_credits_for("report")
    page = wallet_page(client)
    assert '<p class="usage-credits-figure">1209 credits</p>' in page
    assert "25 credits more are held" in page
    assert "Balance over time" in page


def test_wallet_says_how_long_credits_last(client: Client, user: User) -> None:
    user.give_credits(100)
    user.spend_credits_on("report")
    assert "they last 3 days." in wallet_page(client)
    user.spend_credits_on("report")
    assert "they last 1 day." in wallet_page(client)
    user.spend_credits_on("report")
    assert "they last less than a day." in wallet_page(client)


def test_wallet_explains_a_balance_below_zero(client: Client, user: User) -> None:
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        user.spend_credits_on("report")
        page = wallet_page(client)
    assert "Your balance is -25 credits" in page
    assert '<p class="usage-credits-figure">0 credits</p>' in page


def test_wallet_shows_lots_in_spending_order_with_their_expiry(client: Client, user: User) -> None:
    with time_machine.travel(NOON, tick=False):
        user.give_credits(10, reason="signup")
        user.give_credits(20, reason="bonus", expires_at=NOON + days(9))
        user.give_credits(30, reason="referral", scope=["img", "mail"])
        user.give_credits(5, expires_at=NOON + days(1))
    with time_machine.travel(NOON + days(2), tick=False):
        client = visitor(user)
        page = wallet_page(client)
    assert page.index("<strong>Bonus</strong>") < page.index("<strong>Signup Bonus</strong>")
    assert "expires on March 10, 2026" in page
    assert "does not expire" in page
    assert "only for: Img, Mail" in " ".join(page.split())
    assert "Manual Adjustment" not in page


def test_wallet_shows_what_is_left_of_a_lot(client: Client, user: User) -> None:
    user.give_credits(100, reason="signup")
    user.spend_credits_on("report")
    page = wallet_page(client)
    assert "<strong>75 credits</strong>" in page
    assert "of 100 credits" in page


def test_wallet_shows_plans_and_what_comes(client: Client, user: User) -> None:
    plans = [SubscriptionPlan("free_trial", gives=credits(50).every("month"), unused_credits="rollover")]
    with configured(SUBSCRIPTION_PLANS=plans), time_machine.travel(NOON, tick=False):
        start_plan(user, "free_trial")
        user.give_credits(10, expires_at=NOON + days(9))
        page = wallet_page(visitor(user))
    assert "<strong>Free Trial</strong>" in page
    assert "next credits on April 1, 2026" in page
    assert "Credits expire" in page
    assert "-10 credits" in page
    assert page.index("March 10, 2026") < page.index("April 1, 2026, noon")


@pytest.mark.parametrize("owner", ["user", "lots", "history"])
def test_wallet_takes_as_many_statements_for_a_thousand_rows_as_for_ten(
    client: Client, user: User, owner: str
) -> None:
    def fill(number: int) -> Client:
        wallet = make_user().wallet()
        if owner == "lots":
            add_lots(wallet, number, expires_in=days(5))
        else:
            add_history(wallet, number)
        assert isinstance(wallet.owner, User)
        return visitor(wallet.owner)

    assert statements_of(fill(1_000), url("wallet")) == statements_of(fill(10), url("wallet"))


def test_wallet_shows_a_bounded_number_of_lots(client: Client, user: User) -> None:
    add_lots(user.wallet(), MOST_LOTS)
    assert "There are more" not in wallet_page(client)
    add_lots(user.wallet(), 1)
    page = wallet_page(client)
    assert "There are more" in page
    assert page.count("does not expire") == MOST_LOTS


def test_owner_without_a_wallet_sees_zero(client: Client, user: User) -> None:
    Wallet.objects.all().delete()
    before = stored()
    page = wallet_page(client)
    assert '<p class="usage-credits-figure">0 credits</p>' in page
    assert "No credits yet." in page
    assert "Get credits" in page
    assert "<svg" not in page
    assert stored() == before


@pytest.mark.parametrize(("model", "figure"), [(Newcomer, "100 credits"), (Studio, "0 credits")])
def test_owner_without_a_wallet_sees_what_it_will_begin_with(client: Client, model: Any, figure: str) -> None:
    model.objects.bulk_create([model(name="new")])
    page = seen(client.get(f"/credits/of/{model._meta.label}/{model.objects.get().pk}/"))
    assert f'<p class="usage-credits-figure">{figure}</p>' in page


def test_wallet_of_another_asset_is_worded_by_it(client: Client, user: User) -> None:
    user.wallet("gems").credit(12)
    page = wallet_page(client, asset=" GEMS ")
    assert '<p class="usage-credits-figure">12 gems</p>' in page
    assert "Wallet: Gems" in page
    assert f'href="{url("statement")}?asset=gems"' in page
    assert "Get credits" not in page


def test_wallets_of_the_owner_lead_to_each_other(client: Client, user: User) -> None:
    assert "?asset=" not in wallet_page(client)
    user.wallet("gems")
    assert '<a href="?asset=gems">Gems</a>' in wallet_page(client)
    assert '<a href="?asset=gems" aria-current="page">Gems</a>' in wallet_page(client, asset="gems")


@pytest.mark.parametrize("asset", ["gold", "x" * 51, "x" * 10_000, "a\x00b", " "])
@pytest.mark.parametrize("name", ["wallet", "statement", "statement_csv"])
def test_wallet_that_there_is_not_is_not_found(client: Client, asset: str, name: str) -> None:
    make_user().wallet("gold").credit(5)
    assert client.get(url(name), {"asset": asset}).status_code == 404


def test_default_asset_by_name_is_the_default_wallet(client: Client, user: User) -> None:
    Wallet.objects.all().delete()
    assert "0 credits" in wallet_page(client, asset="credits")
    with configured(FORMATTER=lambda amount: f"{amount} tokens"):
        user.give_credits(7)
        assert "7 tokens" in wallet_page(client, asset="Credits")


def test_chart_tells_of_as_many_days_as_asked_for(client: Client, user: User) -> None:
    user.give_credits(5)
    assert wallet_page(client).count('<th scope="row">') == 30
    assert wallet_page(client, days="90").count('<th scope="row">') == 90


@pytest.mark.parametrize("asked", ["0", "31", "-30", "1e9", "thirty", "٣٠", "9" * 5_000])
def test_chart_of_other_days_is_not_found(client: Client, asked: str) -> None:
    assert client.get(url("wallet"), {"days": asked}).status_code == 404


def test_htmx_gets_the_chart_alone(client: Client, user: User) -> None:
    user.give_credits(5)
    part = seen(client.get(url("wallet"), {"days": "90"}, headers=HTMX))
    assert part.strip().startswith('<section id="usage-credits-over-time"')
    assert part.strip().endswith("</section>")
    assert "<html" not in part
    assert "<h2" in part
    assert part.count("<h2") == 1


@pytest.mark.parametrize("header", ["HX-Boosted", "HX-History-Restore-Request"])
def test_htmx_gets_the_whole_page_where_it_replaces_all(client: Client, header: str) -> None:
    assert "<html" in seen(client.get(url("wallet"), headers={**HTMX, header: "true"}))


def test_low_balance_is_warned_of(client: Client, user: User) -> None:
    user.give_credits(40)
    with configured(LOW_BALANCE_THRESHOLDS=[20, 50, "20%"]):
        page = wallet_page(client)
        assert "Your credits are running low: 40 credits left." in page
        assert f'<a href="{url("shop")}">Get more</a>' in page
        user.give_credits(11)
        assert "running low" not in wallet_page(client)


@override_settings(LANGUAGE_CODE="de", TIME_ZONE="Pacific/Auckland", USE_THOUSAND_SEPARATOR=True)
def test_wallet_is_written_as_language_and_time_zone_have_it(client: Client, user: User) -> None:
    with time_machine.travel(datetime.datetime(2026, 3, 1, 23, tzinfo=datetime.UTC), tick=False):
        user.give_credits(1_234_567, expires_at=timezone.now() + days(1))
        page = wallet_page(visitor(user))
    assert '<html lang="de">' in page
    assert "1.234.567 credits" in page
    assert "expires on 3. März 2026" in page
    assert '<th scope="row">2. März 2026</th><td>1.234.567</td>' in page


def test_names_that_somebody_chose_are_escaped(client: Client, user: User) -> None:
    evil = "<b>x</b>"
    user.wallet("<b>").credit(5)
    with configured(ADDITIONAL_CATEGORIES=[evil]):
        user.wallet().credit(5, category=evil)
        page = wallet_page(client)
    assert evil.title() not in page
    assert "&lt;B&gt;X&lt;/B&gt;" in page
    assert "?asset=%3Cb%3E" in page
