from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.served import Served
from tests.browser.walker import Walker

VIEWER_PASSWORD = "loom-1801"
VIEWED = ("wallet", "transaction", "lot", "hold", "fulfillment", "allocation")


def test_manager(walker: Walker, site: Served) -> None:
    sign_in(walker, site.manager, site.password)
    open_a_wallet(walker, site)
    adjust(walker, "25", "Goodwill")
    adjust(walker, "-10", "A render that was not charged")
    see_what_paid(walker)
    reverse(walker)
    find_the_row(walker)


@pytest.mark.parametrize("width", [390])
@pytest.mark.parametrize("theme", ["light"])
def test_impatient_manager(walker: Walker, site: Served) -> None:
    sign_in(walker, site.manager, site.password)
    open_a_wallet(walker, site)
    send_an_adjustment_twice(walker)
    search(walker)


@pytest.mark.parametrize("width", [390])
@pytest.mark.parametrize("theme", ["dark"])
def test_viewer(walker: Walker, site: Served) -> None:
    sign_in(walker, site.manager, site.password)
    add_a_viewer(walker)
    walker.press("Log out", "signed-out")
    sign_in(walker, "viewer", VIEWER_PASSWORD)
    open_a_wallet(walker, site)
    expect(walker.page.get_by_role("img", name="Balance from")).to_be_visible()
    expect(walker.page.get_by_role("link", name=re.compile("^(Adjust credits|Reverse)"))).to_have_count(0)
    answer = walker.page.goto(walker.page.url.replace("/change/", "/adjust/"))
    assert answer
    assert answer.status == 403


def sign_in(walker: Walker, name: str, password: str) -> None:
    walker.open("/admin/", "sign-in")
    walker.fill(username=name, password=password)
    walker.press("Log in", "index")


def open_a_wallet(walker: Walker, site: Served) -> None:
    walker.follow("Wallets", "wallets")
    walker.follow(site.manager, "wallet")


def adjust(walker: Walker, amount: str, reason: str) -> None:
    before = statement(walker)
    walker.follow("Adjust credits", "adjust")
    walker.fill(amount=amount, reason=reason)
    walker.press("Adjust credits", "adjusted")
    expect(walker.page.get_by_text(f"Adjusted by {int(amount):+}: {reason}")).to_be_visible()
    [booked] = statement(walker)[len(before) :]
    assert booked[4] == amount


def see_what_paid(walker: Walker) -> None:
    expect(walker.page.get_by_role("img", name="Balance from")).to_be_visible()
    expect(latest(walker)).to_contain_text(re.compile(r"\d+ of #\d+"))


def reverse(walker: Walker) -> None:
    before = statement(walker)
    latest(walker).get_by_role("link", name="Reverse").click()
    walker.look("reverse")
    walker.fill(reason="It had been charged")
    walker.press("Reverse", "reversed")
    expect(
        walker.page.get_by_text(re.compile(r"Reversed transaction \d+ by \+10: It had been"))
    ).to_be_visible()
    after = statement(walker)
    assert sum(int(row[4]) for row in after[len(before) :]) == 10
    walker.page.go_back()
    walker.look("reverse-again")
    expect(walker.page.get_by_text("This transaction has been reversed.")).to_be_visible()
    walker.page.go_forward()
    assert statement(walker) == after


def send_an_adjustment_twice(walker: Walker) -> None:
    before = statement(walker)
    walker.follow("Adjust credits", "adjust-once")
    walker.fill(amount="5")
    walker.press("Adjust credits", "adjust-without-a-reason")
    expect(walker.page.get_by_text("This field is required.")).to_be_visible()
    walker.fill(reason="An impatient click")
    # As a browser that keeps the page sends it again: the same form, with the token that it was shown with.
    walker.page.locator("form[novalidate]").evaluate(
        "form => fetch(location.href, {method: 'POST', body: new FormData(form)})"
    )
    walker.press("Adjust credits", "adjusted-once")
    expect(walker.page.get_by_text("nothing was booked again")).to_be_visible()
    assert len(statement(walker)) == len(before) + 1


def find_the_row(walker: Walker) -> None:
    walker.open("/admin/usage_credits/transaction/?category__exact=manual_adjustment", "transactions")
    walker.page.locator("#result_list th a").first.click()
    walker.look("transaction")
    expect(walker.page.get_by_text("A render that was not charged").first).to_be_visible()


def search(walker: Walker) -> None:
    walker.open("/admin/usage_credits/transaction/?category__exact=manual_adjustment", "transactions")
    walker.fill(q="nowhere")
    walker.press("Search", "transactions-not-found")
    assert "category__exact=manual_adjustment" in walker.page.url
    walker.follow("Show all", "transactions-of-all")
    assert walker.page.url.endswith("/transaction/?")


def add_a_viewer(walker: Walker) -> None:
    """Let the manager add somebody who may look at wallets and post nothing."""
    page: Any = walker.page
    page.goto(f"{walker.home}/admin/studio/user/add/")
    walker.fill(username="viewer", password1=VIEWER_PASSWORD, password2=VIEWER_PASSWORD)
    page.locator("[name=_save]").click()
    page.get_by_role("checkbox", name="Staff status").check()
    offered = page.locator("#id_user_permissions_from")
    options = offered.locator("option").filter(has_text=re.compile(rf"\| Can view ({'|'.join(VIEWED)})$"))
    offered.select_option([option.get_attribute("value") for option in options.all()])
    page.locator("#id_user_permissions_add").click()
    page.locator("[name=_save]").click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()


def latest(walker: Walker) -> Locator:
    return walker.page.get_by_role("region", name="Latest transactions").locator("tbody tr").first


def statement(walker: Walker) -> list[list[str]]:
    """Return all rows of the wallet, the oldest first, as the page hands them out."""
    header, *rows = walker.download("Statement as CSV")
    assert header[:5] == ["id", "created_at", "category", "description", "amount"]
    return rows
