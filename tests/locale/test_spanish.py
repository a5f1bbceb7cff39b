"""Each way in which texts come to people, by one or two of them, with dates and numbers as Spanish has them."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.contrib.admin import site
from django.contrib.admin.utils import flatten_fieldsets, label_for_field
from django.db.models import Model
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone, translation
from django.utils.functional import Promise

from tests.admin.browsing import list_url, page_url
from tests.billing.shopping import check_out
from tests.contrib.rest_framework.asking import Program
from tests.factories import days, make_user, make_wallet
from tests.gates.visiting import BROWSER, ask, told
from tests.views.visiting import seen, url, visitor
from usage_credits.conf import format_credits
from usage_credits.ledger.balance_history import balance_history
from usage_credits.models import Transaction
from usage_credits.statements.charts import balance_chart
from usage_credits.statements.filters import StatementFilter
from usage_credits.testing import FakeStripe, use_fake_stripe

pytestmark = pytest.mark.django_db

SPANISH = {"accept-language": "es"}
# Django has a catalogue for this region and the app has none.
languages = pytest.mark.parametrize("language", ["es", "es-MX, es;q=0.9, en;q=0.5"])

SPACE = "\N{NO-BREAK SPACE}"
MODELS = list(apps.get_app_config("usage_credits").get_models())
TODAY = "2026-03-14T15:00:00Z"


@languages
def test_gate_answers_programs_in_their_language(language: str) -> None:
    problem = ask(visitor(make_user(3)), "/charge/report/", accept_language=language).json()
    assert problem["title"] == "Créditos insuficientes"
    assert problem["detail"] == "Necesitas 25 créditos y dispones de 3 créditos."
    assert problem["type"].endswith(":insufficient-credits")
    assert (problem["available"], problem["required"]) == (3, 25)


@languages
def test_gate_tells_people_in_their_language(language: str) -> None:
    client = visitor(make_user(1))
    answer = ask(client, "/charge/report/", accept=BROWSER, accept_language=language)
    assert answer.status_code == 302
    assert told(client) == ["Necesitas 25 créditos y dispones de 1 crédito."]


def test_cap_says_until_when_it_lasts() -> None:
    user = make_user(100)
    with time_machine.travel(TODAY, tick=False):
        user.wallet().set_cap("key_1", 24, every="day")
        problem = ask(visitor(user), "/charge/report/", accept_language="es", x_api_key="key_1").json()
    until = "15 de marzo de 2026 a las 00:00"
    assert problem["detail"] == f"Necesitas 25 créditos y hasta el {until} puedes gastar 24 créditos."
    assert problem["resets_at"] == "2026-03-15T00:00:00+00:00"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 créditos"),
        (1, "1 crédito"),
        (-2, "-2 créditos"),
        (12_345, f"12{SPACE}345 créditos"),
        (3_000_000, f"3{SPACE}000{SPACE}000 de créditos"),
    ],
)
def test_amounts_have_their_plural(amount: int, text: str) -> None:
    with translation.override("es"):
        assert format_credits(amount) == text


def test_tags_are_in_the_active_language() -> None:
    tags = "{% low_balance_banner user buy_url='/' threshold=50 %}{% pack_button 'starter' '/' %}"
    with translation.override("es"):
        shown = Template("{% load usage_credits %}" + tags).render(Context({"user": make_user(3)}))
    assert "Te quedan pocos créditos: 3 créditos." in shown
    assert ">Conseguir más<" in shown
    assert f">Comprar 1{SPACE}000 créditos por 49,00 USD<" in shown


def test_chart_is_in_the_active_language() -> None:
    with time_machine.travel(TODAY, tick=False), translation.override("es"):
        history = balance_history(make_wallet(12_345), 1)
        shown = render_to_string("usage_credits/_balance_chart.html", {"chart": balance_chart(history)})
    assert f"al 14 de marzo de 2026: ahora 12{SPACE}345, mínimo" in shown
    assert f"<td>12{SPACE}345</td>" in shown


def test_filters_are_in_the_active_language() -> None:
    asked = StatementFilter({"since": "2026-03-02", "until": "2026-03-01"})
    with translation.override("es"):
        assert asked.errors["until"] == ["Es anterior al primer día."]
        assert "Sentido" in str(asked)
        assert "abonos" in str(asked)


def test_pages_are_in_the_language_of_the_request() -> None:
    user = make_user()
    with time_machine.travel(TODAY, tick=False):
        user.give_credits(20, reason="signup", expires_at=timezone.now() + days(9))
        user.spend_credits_on("img", mb=3)
        client = visitor(user)
        pages = [seen(client.get(url(name), headers=SPANISH)) for name in ("wallet", "statement", "shop")]
        stopped = seen(client.post(url("recharge"), {"stop": "1"}, headers=SPANISH, follow=True))
    wallet, statement, shop = (" ".join(page.split()) for page in pages)
    assert "<strong>Bonificación de bienvenida</strong>" in wallet
    assert "caduca el 23 de marzo de 2026" in wallet
    assert "Al ritmo del último mes, te durarán menos de un día." in wallet
    assert ">-13 créditos<" in statement
    assert "500 + 100 créditos de regalo" in shop
    assert "<p>29,00 USD</p>" in shop
    assert "<p>Cada mes</p>" in shop
    assert "Tu monedero ya no se recarga." in stopped


@languages
def test_return_page_is_in_the_language_of_the_buyer(language: str) -> None:
    user, headers = make_user(), {"accept-language": language}
    with use_fake_stripe(FakeStripe()) as fake:
        query = {"session_id": check_out(user, "hundred").id}
        client = visitor(user)
        unpaid = seen(client.get(url("checkout_return"), query, headers=headers))
        fake.pay(query["session_id"])
        paid = seen(client.get(url("checkout_return"), query, headers=headers))
    assert "Esta compra no se ha pagado." in unpaid
    assert '<html lang="es' in paid
    assert "<h1>Gracias</h1>" in paid
    assert "Hemos añadido 100 créditos a tu saldo." in paid


@pytest.mark.urls("tests.contrib.rest_framework.urls")
def test_api_refuses_in_the_language_of_the_request() -> None:
    here, elsewhere = "http://testserver/", "http://elsewhere.test/"

    def refused(cancel_url: str) -> Any:
        order = {"pack": "gone", "success_url": here, "cancel_url": cancel_url}
        return Program(make_user()).ask("/api/credits/checkout/", order, accept_language="es").json()

    wrong = "Indica una URL absoluta y sin espacios en uno de estos hosts: testserver."
    assert refused(elsewhere) == {"cancel_url": [wrong]}
    assert refused(here) == {"pack": ["No se vende nada con este nombre."]}


def test_admin_is_in_the_language_of_the_request(admin_client: Client) -> None:
    wallet = make_wallet(12_345)
    listed = seen(admin_client.get(list_url(Transaction), headers=SPANISH))
    for text in ("Descripción", "Ajuste manual", ">abonos<", "Compra de un paquete de créditos"):
        assert text in listed
    shown = seen(admin_client.get(page_url(wallet), headers=SPANISH))
    assert f"monedero {wallet.pk} de credits" in shown
    assert "Créditos de uso" in shown
    assert f"12{SPACE}345" in shown
    filled = {"amount": "0", "reason": "error nuestro", "token": "7a0c3f4e-8f7c-4a51-8b7e-6f3d2c1b0a99"}
    refused = seen(admin_client.post(page_url(wallet, "adjust"), filled, headers=SPANISH))
    assert "Cero no cambia nada." in refused
    assert "Por favor, corrija el siguiente error." in refused


def test_every_column_is_named_in_the_active_language() -> None:
    columns = [field for model in MODELS for field in model._meta.concrete_fields if not field.primary_key]
    assert columns
    assert not [str(column) for column in columns if not isinstance(column.verbose_name, Promise)]


@pytest.mark.parametrize("model", MODELS)
def test_every_label_of_the_admin_is_in_the_active_language(model: type[Model]) -> None:
    page = site.get_model_admin(model)
    names = {*page.list_display, *flatten_fieldsets(page.fieldsets or []), *(page.fields or [])} - {"id"}
    assert names
    assert not [name for name in names if not isinstance(label_for_field(name, model, page), Promise)]
