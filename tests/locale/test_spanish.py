"""What people see of each part in Spanish: one text of each way in which texts come to them."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.functional import Promise

from tests.admin.browsing import list_url, page_url
from tests.billing.shopping import check_out
from tests.contrib.rest_framework.asking import Program
from tests.factories import make_user, make_wallet
from tests.gates.visiting import BROWSER, ask, signed_in, told
from usage_credits.conf import format_credits
from usage_credits.ledger.balance_history import balance_history
from usage_credits.models import Debt
from usage_credits.statements.charts import balance_chart
from usage_credits.statements.filters import StatementFilter
from usage_credits.testing import FakeStripe, use_fake_stripe

pytestmark = pytest.mark.django_db

# es-mx is a locale of Django's that has no texts here.
REGIONS = ["es", "es-MX, es;q=0.9, en;q=0.5"]

MANY = "12\N{NO-BREAK SPACE}345"


def amount(number: int) -> str:
    with translation.override("es"):
        return format_credits(number)


def text_of(answer: Any) -> str:
    assert answer.status_code == 200
    content: str = answer.content.decode()
    return content


@pytest.mark.parametrize("language", REGIONS)
def test_gate_answers_programs_in_spanish(language: str) -> None:
    problem = ask(signed_in(make_user(3)), "/charge/report/", accept_language=language).json()
    assert problem["title"] == "Créditos insuficientes"
    assert problem["detail"] == f"Necesitas {amount(25)} y dispones de {amount(3)}."
    assert (problem["type"], problem["available"]) == (
        "urn:problem-type:usage-credits:insufficient-credits",
        3,
    )


@pytest.mark.parametrize("language", REGIONS)
def test_gate_tells_people_in_spanish(language: str) -> None:
    client = signed_in(make_user(3))
    answer = ask(client, "/need/one/", accept=BROWSER, accept_language=language)
    assert answer.status_code == 200
    assert ask(client, "/charge/report/", accept=BROWSER, accept_language=language).status_code == 302
    assert told(client) == [f"Necesitas {amount(25)} y dispones de {amount(3)}."]


def test_cap_says_until_when_in_spanish() -> None:
    user = make_user(100)
    with time_machine.travel("2026-03-14T15:00:00Z", tick=False):
        user.wallet().set_cap("key_1", 24, every="day")
        options = {"accept_language": "es", "x_api_key": "key_1"}
        problem = ask(signed_in(user), "/charge/report/", **options).json()
    until = "15 de marzo de 2026 a las 00:00"
    assert problem["detail"] == f"Necesitas {amount(25)} y hasta el {until} puedes gastar {amount(24)}."
    assert problem["resets_at"] == "2026-03-15T00:00:00+00:00"


def test_banner_is_in_spanish() -> None:
    source = "{% load usage_credits %}{% low_balance_banner user buy_url='/' threshold=50 %}"
    with translation.override("es"):
        shown = Template(source).render(Context({"user": make_user(3)}))
    assert f"Te quedan pocos créditos: {amount(3)}." in shown
    assert "Conseguir más" in shown


def test_chart_is_in_spanish() -> None:
    with time_machine.travel("2026-03-14T15:00:00Z", tick=False), translation.override("es"):
        history = balance_history(make_wallet(12_345), 1)
        shown = render_to_string("usage_credits/_balance_chart.html", {"chart": balance_chart(history)})
    assert f"al 14 de marzo de 2026: ahora {MANY}, mínimo" in shown
    assert f"<td>{MANY}</td>" in shown


def test_filters_are_in_spanish() -> None:
    asked = StatementFilter({"since": "2026-03-02", "until": "2026-03-01"})
    with translation.override("es"):
        assert asked.errors["until"] == ["Es anterior al primer día."]
        assert "Sentido" in str(asked)
        assert "abonos" in str(asked)


@pytest.mark.parametrize("language", REGIONS)
def test_return_page_is_in_spanish(language: str) -> None:
    user = make_user()
    with use_fake_stripe(FakeStripe()) as fake:
        session = check_out(user).id
        page = reverse("usage_credits:checkout_return")
        client, query = signed_in(user), {"session_id": session}
        unpaid = text_of(client.get(page, query, headers={"accept-language": language}))
        fake.pay(session)
        paid = text_of(client.get(page, query, headers={"accept-language": language}))
    assert "Esta compra no se ha pagado." in unpaid
    assert '<html lang="es' in paid
    assert "<h1>Gracias</h1>" in paid
    assert f"Hemos añadido {amount(1_000)} a tu saldo." in paid


@pytest.mark.urls("tests.contrib.rest_framework.urls")
def test_api_refuses_in_spanish() -> None:
    urls = {"success_url": "http://testserver/", "cancel_url": "http://elsewhere.test/"}
    order = {"pack": "gone", **urls}
    refused = Program(make_user()).ask("/api/credits/checkout/", order, accept_language="es").json()
    assert refused == {
        "cancel_url": ["Indica una URL absoluta y sin espacios en uno de estos hosts: testserver."]
    }
    order["cancel_url"] = urls["success_url"]
    refused = Program(make_user()).ask("/api/credits/checkout/", order, accept_language="es").json()
    assert refused == {"pack": ["No se vende nada con este nombre."]}


def test_admin_is_in_spanish(admin_client: Client) -> None:
    wallet = make_wallet(12_345)
    headers = {"accept-language": "es"}
    assert "saldado" in text_of(admin_client.get(list_url(Debt), headers=headers))
    shown = text_of(admin_client.get(page_url(wallet), headers=headers))
    assert f"monedero {wallet.pk} de credits" in shown
    assert "Créditos de uso" in shown
    assert MANY in shown
    filled = {"amount": "0", "reason": "error nuestro", "token": "7a0c3f4e-8f7c-4a51-8b7e-6f3d2c1b0a99"}
    refused = text_of(admin_client.post(page_url(wallet, "adjust"), filled, headers=headers))
    assert "Cero no cambia nada." in refused
    assert "Por favor, corrija el siguiente error." in refused


def test_models_name_themselves_in_the_active_language() -> None:
    untranslatable = [
        f"{model.__name__}.{field.name}"
        for model in apps.get_app_config("usage_credits").get_models()
        for field in model._meta.concrete_fields
        if not (field.primary_key or isinstance(field.verbose_name, Promise))
    ]
    assert untranslatable == []
