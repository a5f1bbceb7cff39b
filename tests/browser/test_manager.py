from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.served import Served
from tests.browser.walker import Walker

LEFT_TO_DJANGO = {
    # Its search fields are labelled by a picture.
    "label-title-only": 'id="searchbar"',
    # Beside the number of results, on phones.
    "link-in-text-block": ">Show all</a>",
}


def test_manager(walker: Walker, site: Served) -> None:
    walker.forgives = LEFT_TO_DJANGO
    sign_in(walker, site)
    open_a_wallet(walker, site)
    adjust(walker)
    # Here come the wallet's chart and its CSV, and a reversal, once the admin has them.
    find_the_row(walker)


def sign_in(walker: Walker, site: Served) -> None:
    walker.open("/admin/", "sign-in")
    walker.fill(username=site.manager, password=site.password)
    walker.press("Log in", "index")


def open_a_wallet(walker: Walker, site: Served) -> None:
    walker.follow("Wallets", "wallets")
    walker.follow(site.manager, "wallet")


def adjust(walker: Walker) -> None:
    rows = walker.page.get_by_role("cell", name="+25", exact=True)
    before = rows.count()
    walker.follow("Adjust credits", "adjust")
    walker.fill(amount="25", reason="Goodwill")
    walker.press("Adjust credits", "adjusted")
    expect(walker.page.get_by_text("Adjusted by +25: Goodwill")).to_be_visible()
    expect(rows).to_have_count(before + 1)


def find_the_row(walker: Walker) -> None:
    walker.open("/admin/usage_credits/transaction/?category__exact=manual_adjustment", "transactions")
    walker.page.locator("#result_list th a").first.click()
    walker.look("transaction")
    expect(walker.page.get_by_text("Goodwill").first).to_be_visible()
