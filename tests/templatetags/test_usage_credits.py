from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.template import Context, Template
from django.test import RequestFactory, override_settings
from django.utils import translation
from django.utils.safestring import mark_safe

from tests.app.models import Newcomer, User
from tests.factories import StudioFactory, TeamFactory, configured, make_user, stored
from usage_credits import CreditPack, InvalidOperation, InvalidValue, cents, find_credit_pack
from usage_credits.billing.plan_prices import Cost, PlanPrice
from usage_credits.dsl.periods import Period

pytestmark = pytest.mark.django_db

EVIL = '<b onclick="x">\'&'
PARTS = ("<b ", 'onclick="x"', "'&")


def render(source: str, **values: Any) -> str:
    return Template("{% load usage_credits %}" + source).render(Context(values)).strip()


def render_for(user: Any, source: str, **values: Any) -> str:
    request = RequestFactory().get("/")
    request.user = user
    return render(source, request=request, **values)


def tokens(amount: int) -> str:
    return f"{amount} tokens"


class Page(HTMLParser):
    """What a page has: each element with its attributes, and the text between."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: dict[str, dict[str, str | None]] = {}
        self.texts: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements[tag] = dict(attributes)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())


@pytest.mark.behaviour("HLP-01", "HLP-07", "HLP-08")
@pytest.mark.parametrize(
    ("value", "text"),
    [(100, "100 credits"), (0, "0 credits"), (-5, "-5 credits"), (2**63, f"{2**63} credits")]
    + [(value, "") for value in (None, "", "100", 1.5, True)],
)
def test_credits_filter_formats_whole_numbers(value: Any, text: str) -> None:
    assert render("{{ value|credits }}", value=value) == text


@pytest.mark.behaviour("HLP-01", "HLP-07")
def test_filters_follow_the_formatter() -> None:
    source = "{{ 100|credits }}, {{ 7|signed_credits }}"
    with configured(FORMATTER=tokens):
        assert render(source) == "100 tokens, +7 tokens"
    with configured(FORMATTER=None):
        assert render(source) == "100 credits, +7 credits"


@pytest.mark.behaviour("HLP-02", "HLP-08")
@pytest.mark.parametrize(
    ("value", "text"),
    [(100, "+100 credits"), (-10, "-10 credits"), (0, "0 credits"), (None, ""), ("5", ""), (True, "")],
)
def test_signed_credits_says_in_or_out(value: Any, text: str) -> None:
    assert render("{{ value|signed_credits }}", value=value) == text


@pytest.mark.behaviour("HLP-05", "HLP-08")
@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ 4999|price }}", "49.99 USD"),
        ('{{ 4999|price:"eur" }}', "49.99 EUR"),
        ('{{ 4999|price:"jpy" }}', "4999 JPY"),
        ("{{ money|price }}", "12.34 GBP"),
        ('{{ money|price:"eur" }}', "12.34 GBP"),
        ("{{ back|price:currency }}", "-49.00 EUR"),
        ("{{ 0|price }}", "0.00 USD"),
        ("{{ nothing|price }}", ""),
        ('{{ "4999"|price }}', ""),
    ],
)
def test_price_filter_shows_money(source: str, text: str) -> None:
    assert render(source, money=cents(1_234, "gbp"), back=-4_900, currency="eur", nothing=None) == text


def test_price_filter_uses_the_default_currency_and_refuses_what_is_none() -> None:
    with configured(DEFAULT_CURRENCY="eur"):
        assert render("{{ 4999|price }}") == "49.99 EUR"
    with pytest.raises(InvalidValue, match="currency"):
        render('{{ 4999|price:"euro" }}')


@override_settings(USE_THOUSAND_SEPARATOR=True)
def test_numbers_are_written_as_in_the_active_locale() -> None:
    source = "{{ 1234567|credits }}, {{ -1234|signed_credits }}, {{ 123456|price }}, {{ pack|pack_credits }}"
    pack = CreditPack("big", gives=5_000, bonus=1_000, costs=cents(1))
    assert render(source, pack=pack) == (
        "1,234,567 credits, -1,234 credits, 1,234.56 USD, 5,000 + 1,000 bonus credits"
    )
    with translation.override("de"):
        assert render(source, pack=pack) == (
            "1.234.567 credits, -1.234 credits, 1.234,56 USD, 5.000 + 1.000 bonus credits"
        )
        assert Page(render('{% pack_button pack "/" %}', pack=pack)).texts == [
            "Get 5.000 + 1.000 bonus credits for 0,01 USD"
        ]


def test_credits_of_another_asset_are_worded_by_it() -> None:
    source = '{{ 5|credits:"gems" }}, {{ -5|signed_credits:"gems" }}, {{ 5|credits:"" }}, {{ nothing|credits:"gems" }}'
    with configured(FORMATTER=tokens):
        assert render(source, nothing=None) == "5 gems, -5 gems, 5 tokens,"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('{{ "signup_bonus"|label }}', "Signup Bonus"),
        ('{{ "process_video"|label }}', "Process Video"),
        ("{{ nothing|label }}", ""),
        ('{{ "card_declined"|reason }}', "the card was declined"),
        ('{{ "do_not_honor"|reason }}', "do not honor"),
        ("{{ nothing|reason }}", ""),
        ("{{ period|every }}", "every 3 months"),
        ("{{ nothing|every }}", ""),
        ("{{ nothing|pack_credits }}", ""),
        ("{{ nothing|plan_price }}", ""),
    ],
)
def test_filters_name_things_for_people(source: str, text: str) -> None:
    assert render(source, nothing=None, period=Period.parse("quarter")) == text


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (PlanPrice("price_1", None, Cost(cents(2_900), Period.parse("month"))), "29.00 USD every month"),
        (PlanPrice("price_1", "year", None), "paid every year"),
        (PlanPrice("price_1", "early_bird", None), "Early Bird"),
        (PlanPrice("price_1", None, None), ""),
    ],
)
def test_plan_price_says_what_is_known_of_it(price: PlanPrice, text: str) -> None:
    assert render("{{ price|plan_price }}", price=price) == text


def test_pack_button_takes_along_where_to_go_on() -> None:
    source = render('{% pack_button "bonus" "/buy/" next_url=url %}', url='/a/?b="c"')
    assert '<input type="hidden" name="next" value="/a/?b=&quot;c&quot;">' in source
    assert 'name="next"' not in render('{% pack_button "bonus" "/buy/" %}')


@pytest.mark.behaviour("HLP-08")
def test_all_that_is_shown_is_escaped() -> None:
    user = make_user(5)
    pack = CreditPack(EVIL, gives=1, costs=cents(100))
    with configured(FORMATTER=lambda amount: EVIL, LOW_BALANCE_THRESHOLD=10):
        shown = [
            render("{{ 5|credits }}{{ 5|signed_credits }}"),
            render_for(user, "{% credit_balance %}"),
            render_for(user, "{% low_balance_banner buy_url=evil %}", evil=EVIL),
            render("{% pack_button pack evil %}", pack=pack, evil=EVIL),
            render("{% pack_button pack evil label=evil %}", pack=pack, evil=EVIL),
        ]
    for source in shown:
        assert "&lt;b onclick=&quot;x&quot;&gt;&#x27;&amp;" in source
        assert not [part for part in PARTS if part in source]


def test_formatter_may_return_markup_on_purpose() -> None:
    with configured(FORMATTER=lambda amount: mark_safe(f"<b>{amount}</b>")):
        assert render("{{ 5|credits }}") == "<b>5</b>"


@pytest.mark.behaviour("TOK-01")
@pytest.mark.parametrize(("amount", "answer"), [(1, "yes"), (10, "yes"), (11, "no")])
def test_has_credits_compares_with_what_can_be_spent(amount: int, answer: str) -> None:
    user, team = make_user(10), TeamFactory.create()
    source = "{% has_credits amount as ok %}{{ ok|yesno }}"
    assert render_for(user, source, amount=amount) == answer
    assert render_for(user, "{% has_credits as ok %}{{ ok|yesno }}") == "yes"
    assert render_for(user, "{% has_credits amount team as ok %}{{ ok|yesno }}", amount=1, team=team) == "no"


@pytest.mark.behaviour("TOK-04", "SPD-02")
def test_has_enough_credits_asks_for_the_price() -> None:
    user, team = make_user(15), TeamFactory.create()
    before = stored()
    source = '{% has_enough_credits "img" mb=mb as ok %}{{ ok|yesno }}'
    assert [render_for(user, source, mb=mb) for mb in (5, 6)] == ["yes", "no"]
    source = '{% has_enough_credits "img" owner mb=5 as ok %}{{ ok|yesno }}'
    assert [render_for(user, source, owner=owner) for owner in (user, team)] == ["yes", "no"]
    assert stored() == before
    with pytest.raises(InvalidOperation):
        render_for(user, '{% has_enough_credits "teleport" as ok %}')


def test_credit_cost_is_the_price() -> None:
    assert render('{% credit_cost "img" mb=5 as cost %}{{ cost|credits }}') == "15 credits"


@pytest.mark.parametrize(
    "source",
    [
        "{% has_credits as ok %}{{ ok|yesno:'yes,,' }}",
        "{% has_enough_credits 'report' as ok %}{{ ok|yesno:'yes,,' }}",
        "{% credit_balance %}",
        "{% low_balance_banner %}",
    ],
)
def test_nobody_has_nothing_to_show(source: str) -> None:
    with configured(LOW_BALANCE_THRESHOLD=10):
        assert render_for(AnonymousUser(), source) == ""
        assert render(source) == ""
        assert render(source, user=AnonymousUser()) == ""


def test_owner_without_a_wallet_shows_its_initial_balance_or_nothing() -> None:
    Newcomer.objects.bulk_create([Newcomer(name="ada")])
    newcomer, studio = Newcomer.objects.get(), StudioFactory.create()
    before = stored()
    source = "{% has_credits 1 owner as some %}{% has_enough_credits 'mail' owner as ok %}{{ some }} {{ ok }}"
    balance = "{% credit_balance owner %}"
    assert render(source, owner=newcomer) == "True True"
    assert render(source, owner=studio) == "False False"
    assert "100 credits" in render(balance, owner=newcomer)
    assert "0 credits" in render(balance, owner=studio)
    assert stored() == before


def test_balance_badge_shows_what_can_be_spent(django_assert_num_queries: Any) -> None:
    user = User.objects.get(pk=make_user(1_234).pk)
    user.wallet().hold(34)
    render_for(user, "{% credit_balance %}")
    with django_assert_num_queries(1), translation.override("de"):
        page = Page(render_for(user, "{% credit_balance %}"))
    assert page.elements["span"]["data-credits"] == "1200"
    assert page.texts == ["1200 credits"]
    assert Page(render("{% credit_balance user %}", user=user)).texts == ["1200 credits"]


@pytest.mark.parametrize(("credits", "shown"), [(9, True), (10, True), (11, False)])
def test_banner_warns_at_the_threshold(credits: int, shown: bool) -> None:
    user = make_user(credits)
    source = '{% low_balance_banner buy_url="/shop/" %}'
    with configured(LOW_BALANCE_THRESHOLD=10):
        page = Page(render_for(user, source))
    assert ("p" in page.elements) is shown
    if shown:
        assert page.elements["p"]["role"] == "status"
        assert page.texts == [f"Your credits are running low: {credits} credits left.", "Get more"]
        assert page.elements["a"]["href"] == "/shop/"
    assert render_for(user, source) == ""
    assert bool(render_for(user, "{% low_balance_banner threshold=10 %}")) is shown


@pytest.mark.parametrize(("credits", "shown"), [(50, True), (51, False)])
def test_banner_warns_at_the_highest_threshold_that_is_no_share(credits: int, shown: bool) -> None:
    user = make_user(credits)
    with configured(LOW_BALANCE_THRESHOLD=10, LOW_BALANCE_THRESHOLDS=[50, "100%", 20]):
        assert bool(render_for(user, "{% low_balance_banner %}")) is shown
        assert render_for(user, "{% low_balance_banner threshold=10 %}") == ""
    with configured(LOW_BALANCE_THRESHOLDS=["100%"]):
        assert render_for(user, "{% low_balance_banner %}") == ""


def test_banner_needs_no_statement_without_a_threshold(django_assert_num_queries: Any) -> None:
    user = make_user(1)
    with django_assert_num_queries(0):
        assert render_for(user, "{% low_balance_banner %}") == ""


@pytest.mark.behaviour("HLP-06")
@pytest.mark.parametrize("pack", ["starter", find_credit_pack("starter")], ids=["name", "pack"])
def test_pack_button_posts_and_says_what_is_sold_once(pack: Any) -> None:
    page = Page(render("{% pack_button pack '/buy/starter/' %}", pack=pack, csrf_token="token-1"))
    assert (page.elements["form"]["method"], page.elements["form"]["action"]) == ("post", "/buy/starter/")
    assert page.elements["button"] == {
        "data-pack": "starter",
        "data-credits": "1000",
        "data-bonus": "0",
        "data-price": "4900",
        "data-currency": "USD",
    }
    assert page.texts == ["Get 1000 credits for 49.00 USD"]


@pytest.mark.behaviour("HLP-06")
def test_pack_button_has_a_csrf_token_and_the_name_of_the_pack() -> None:
    source = render('{% pack_button "bonus" "/buy/" %}', csrf_token="token-1")
    assert '<input type="hidden" name="csrfmiddlewaretoken" value="token-1">' in source
    assert '<input type="hidden" name="pack" value="bonus">' in source
    page = Page(source)
    assert page.elements["button"]["data-bonus"] == "100"
    assert page.texts == ["Get 500 + 100 bonus credits for 29.00 USD"]
    assert page.texts[0].lower().count("credits") == 1


@pytest.mark.behaviour("HLP-06")
def test_pack_button_follows_the_formatter_and_takes_a_label() -> None:
    with configured(FORMATTER=tokens):
        assert Page(render('{% pack_button "bonus" "/" %}')).texts == ["Get 600 tokens for 29.00 USD"]
    assert Page(render('{% pack_button "bonus" "/" label="Buy" %}')).texts == ["Buy"]


@pytest.mark.parametrize("pack", ["gone", None, 5])
def test_pack_button_refuses_what_is_no_pack(pack: Any) -> None:
    with pytest.raises(InvalidValue) as refused:
        render("{% pack_button pack '/' %}", pack=pack)
    assert refused.value.field == "pack"
