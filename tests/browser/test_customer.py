from __future__ import annotations

import re
import time
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.walker import Walker

PASSWORD = "loom-1801"
QUESTION = "What goes with a lighthouse in the evening?"


def test_customer(walker: Walker, width: int, theme: str) -> None:
    # What looks the same everywhere is walked through once.
    has_time = (width, theme) == (390, "light")
    sign_up(walker)
    preview(walker)
    render(walker, "Paper", "1024x1024", "facets", left=12)
    be_refused_an_upscale(walker)
    render(walker, "Stones", "512x512", "orbits", left=6)
    be_refused_a_reply(walker)
    if has_time:
        be_refused_a_reply_without_scripts(walker)
    be_refused_by_the_api(walker)
    be_refused_a_render(walker)
    buy_a_pack(walker)
    subscribe(walker)
    order_by_the_api(walker)
    render(walker, "Low sun", "1920x1080", "dunes", left=500)
    upscale(walker)
    read_a_reply_while_it_grows(walker)
    leave_in_the_middle(walker)
    if has_time:
        ask_without_scripts(walker)
    look_at_the_wallet(walker)
    read_the_statement(walker)
    filter_the_statement(walker)
    if has_time:
        filter_without_scripts(walker)
    agree_to_recharges(walker)
    cancel_the_plan(walker)
    sign_out(walker)


@pytest.mark.parametrize("width", [1280])
@pytest.mark.parametrize("theme", ["dark"])
def test_customer_of_many_renders(walker: Walker) -> None:
    sign_up(walker)
    walker.open("/credits/shop/", "shop")
    walker.press("Buy Studio", "checkout")
    walker.press("Pay", "bought")
    statuses = [order(walker, "512x512")[0] for _render in range(60)]
    assert set(statuses) == {201}
    leaf_through_the_statement(walker, rows=63)


def sign_up(walker: Walker) -> None:
    walker.open("/", "welcome")
    walker.follow("Sign up", "sign-up")
    walker.fill(username=name_of(walker), email="ada@example.com", password1=PASSWORD, password2=PASSWORD)
    walker.press("Sign up", "signed-up")
    expect(walker.page.get_by_text("Welcome! 20 credits are on us.")).to_be_visible()


def preview(walker: Walker) -> None:
    walker.follow("Render", "form")
    walker.fill(style="dunes", size="1920x1080", seed="7")
    walker.press("Preview", "preview")
    expect(walker.page.get_by_alt_text("Preview of the picture")).to_be_visible()


def render(walker: Walker, title: str, size: str, style: str, *, left: int) -> None:
    walker.follow("Render", "new-render")
    walker.fill(title=title, style=style, size=size, seed="7")
    walker.press("Render", "rendered")
    expect(walker.page.get_by_role("heading", name=title)).to_be_visible()
    expect_balance(walker, left)


def be_refused_an_upscale(walker: Walker) -> None:
    before = walker.page.url
    walker.press("Upscale to 2048 × 2048 for 13 credits", "upscale-refused")
    assert walker.page.url == before
    expect(walker.page.get_by_text("This needs 13 credits and you have 12.")).to_be_visible()


def be_refused_a_render(walker: Walker) -> None:
    walker.follow("Render", "new-render")
    walker.fill(title="One more", style="orbits", size="1024x1024")
    walker.press("Render", "render-refused", status=402)
    expect(walker.page.get_by_role("heading", name="Not enough credits")).to_be_visible()
    expect_balance(walker, 6)


def be_refused_a_reply(walker: Walker) -> None:
    walker.follow("Chat", "chat")
    walker.press("New conversation", "conversation")
    walker.fill(question=QUESTION, model="deep")
    walker.button("Send").click()
    expect(walker.page.get_by_role("alert")).to_contain_text(
        "37 credits are required, 6 credits are available."
    )
    expect(walker.button("Ask again")).to_be_visible()
    walker.look("reply-refused", complaints=["status of 402"])
    expect_balance(walker, 6)


def be_refused_a_reply_without_scripts(walker: Walker) -> None:
    with walker.without_scripts() as plain:
        plain.press("Ask again", "reply-refused-without-scripts")
        assert plain.page.url == walker.page.url
        expect(plain.page.get_by_text("This needs 37 credits and you have 6.")).to_be_visible()


def be_refused_by_the_api(walker: Walker) -> None:
    status, problem = order(walker, "1024x1024")
    assert (status, problem["required"], problem["available"]) == (402, 8, 6)
    walker.look("refused-by-the-api", complaints=["status of 402"])


def buy_a_pack(walker: Walker) -> None:
    walker.follow("Buy credits", "shop")
    walker.press("Buy Starter", "checkout")
    expect(walker.page.get_by_text("6.00 USD").first).to_be_visible()
    session = walker.page.url.rpartition("/")[2]
    walker.press("Cancel", "checkout-cancelled")
    walker.open(f"/credits/checkout/return/?session_id={session}", "not-paid")
    expect(walker.page.get_by_role("heading", name="Not paid")).to_be_visible()
    walker.open("/credits/shop/?next=/renders/new/", "shop-again")
    walker.press("Buy Starter", "checkout-again")
    walker.press("Pay", "bought")
    assert walker.page.url == f"{walker.home}/renders/new/"
    expect_balance(walker, 66)


def subscribe(walker: Walker) -> None:
    walker.follow("Credits", "wallet-of-few")
    walker.follow("Shop", "shop-of-plans")
    walker.press("Subscribe to Pro 15.00 USD every month", "checkout-of-the-plan")
    walker.press("Pay", "subscribed")
    expect(walker.page.get_by_text("450 credits added to your balance.")).to_be_visible()
    expect_balance(walker, 516)
    walker.follow("See your wallet", "wallet-subscribed")
    expect(walker.page.get_by_text("+400 credits").first).to_be_visible()


def order_by_the_api(walker: Walker) -> None:
    status, made = order(walker, "512x512")
    assert (status, made["cost"]) == (201, 6)
    walker.open(made["url"].removeprefix(walker.home), "rendered-by-the-api")
    expect_balance(walker, 510)


def order(walker: Walker, size: str) -> Any:
    """Order a render by the API, as a script of the page does; return the status and the answer."""
    return walker.page.evaluate(
        """async size => {
            const answer = await fetch("/api/renders/", {
                method: "POST",
                headers: {
                    "Content-Type": "application/json",
                    "X-CSRFToken": document.querySelector("[name=csrfmiddlewaretoken]").value,
                },
                body: JSON.stringify({title: "Of many", style: "orbits", size, seed: 7}),
            });
            return [answer.status, await answer.json()];
        }""",
        size,
    )


def upscale(walker: Walker) -> None:
    walker.follow("Gallery", "gallery")
    walker.page.get_by_role("link", name="Stones").click()
    walker.press("Upscale to 1024 × 1024 for 4 credits", "upscaled")
    expect_balance(walker, 496)


def read_a_reply_while_it_grows(walker: Walker) -> None:
    walker.follow("Chat", "chat")
    walker.follow(QUESTION, "conversation")
    walker.page.evaluate(
        """() => {
            window.growth = new Set();
            const note = () => growth.add(document.querySelector("[aria-busy]")?.textContent.length ?? 0);
            new MutationObserver(note).observe(document.querySelector("#said"), {subtree: true, childList: true});
        }"""
    )
    walker.button("Ask again").click()
    expect(walker.page.locator(".reply:not(.missing)")).to_contain_text(re.compile(r"\w+ \w+"))
    walker.look("reply-growing")
    expect(walker.page.get_by_text("Deep wrote")).to_be_visible()
    assert len(walker.page.evaluate("[...growth]")) > 10
    walker.look("reply")
    cost = int(walker.page.get_by_text(re.compile(r"for \d+ credits")).inner_text().split()[-2])
    told = f"This month you spent {cost} credits on chat: {cost} credits with Deep."
    expect(walker.page.get_by_text(told)).to_be_visible()
    expect_balance(walker, 496 - cost)


def leave_in_the_middle(walker: Walker) -> None:
    before = balance_of(walker)
    walker.fill(question="And what about a harbour?", model="deep")
    walker.button("Send").click()
    expect(walker.page.locator(".reply[aria-busy]")).to_contain_text(re.compile(r"\w+"))
    walker.follow("Chat", "left")
    # The server hears of it by the next words that nobody takes.
    deadline = time.monotonic() + 20
    while balance_of(walker) != before and time.monotonic() < deadline:
        walker.page.reload()
    expect_balance(walker, before)
    walker.follow(QUESTION, "no-reply")
    expect(walker.page.get_by_text("There is no reply, and nothing was charged.")).to_be_visible()


def ask_without_scripts(walker: Walker) -> None:
    before = balance_of(walker)
    with walker.without_scripts() as plain:
        plain.fill(question="And a windmill?", model="swift")
        plain.press("Send", "reply-without-scripts")
        expect(plain.page.get_by_text("Swift wrote")).to_be_visible()
        assert balance_of(plain) < before


def read_the_statement(walker: Walker) -> None:
    walker.follow("Statement", "statement")
    for row in ("Signup Bonus", "Credit Pack Purchase", "Subscription Credits", "Render", "Chat"):
        expect(walker.page.get_by_role("cell", name=row).first).to_be_visible()
    header, *saved = walker.download("Download as CSV")
    assert header[:5] == ["id", "created_at", "category", "description", "amount"]
    assert len(saved) == rows_of(walker).count()
    assert int(saved[-1][header.index("balance_after")]) == balance_of(walker)


def filter_the_statement(walker: Walker) -> None:
    walker.page.get_by_text("Filter", exact=True).click()
    with walker.staying():
        walker.fill(direction="in")
        expect(walker.page.locator(".usage-credits-out")).to_have_count(0)
        walker.fill(category="credit_pack_purchase")
        expect(rows_of(walker)).to_have_count(1)
        walker.look("statement-filtered")
        _header, *saved = walker.download("Download as CSV")
        assert [row[4] for row in saved] == ["60"]
        walker.fill(since="2020-01-02", until="2020-01-01")
        expect(walker.page.get_by_role("alert")).to_contain_text("This is before the first day.")
        walker.look("statement-refused", complaints=["status of 422"])
    walker.follow("Show all", "statement-of-all")


def filter_without_scripts(walker: Walker) -> None:
    with walker.without_scripts() as plain:
        plain.page.get_by_text("Filter", exact=True).click()
        plain.fill(direction="out", operation="render")
        plain.press("Show", "statement-filtered-without-scripts")
        # Four by the form and the API; the upscale is another operation.
        expect(rows_of(plain)).to_have_count(4)
        expect(plain.page.locator(".usage-credits-in")).to_have_count(0)


def leaf_through_the_statement(walker: Walker, *, rows: int) -> None:
    walker.open("/credits/statement/", "statement")
    expect(rows_of(walker)).to_have_count(50)
    assert len(walker.download("Download as CSV")) == 1 + rows
    with walker.staying():
        walker.page.get_by_role("link", name="Older").click()
        expect(rows_of(walker)).to_have_count(rows - 50)
        walker.look("statement-older")
        walker.page.get_by_role("link", name="Newest").click()
        expect(rows_of(walker)).to_have_count(50)


def look_at_the_wallet(walker: Walker) -> None:
    walker.follow("Credits", "wallet")
    chart = walker.page.get_by_role("img", name="Balance from")
    expect(chart).to_be_visible()
    before = chart.get_attribute("aria-label") or ""
    with walker.staying():
        walker.page.get_by_role("link", name="90 days").click()
        expect(walker.page.get_by_role("link", name="90 days")).to_have_attribute("aria-current", "true")
        expect(chart).not_to_have_attribute("aria-label", before)
        assert walker.page.url.endswith("?days=90")
        walker.page.get_by_text("Show as a table").click()
        walker.look("wallet-of-90-days")


def agree_to_recharges(walker: Walker) -> None:
    walker.follow("Recharge", "recharge")
    # The browser would not send it: others do.
    walker.page.locator(".usage-credits-terms").evaluate("form => { form.noValidate = true }")
    walker.page.get_by_role("radio", name="Studio").check()
    walker.fill(threshold="-1")
    walker.press("Switch it on", "recharge-refused", status=400)
    expect(walker.page.get_by_text("greater than or equal to 0")).to_be_visible()
    walker.fill(threshold="30")
    walker.press("Switch it on", "recharge-on")
    expect(walker.page.get_by_text("Studio is bought when the balance is below 30 credits.")).to_be_visible()
    walker.press("Stop it", "recharge-stopped")
    expect(walker.page.get_by_text("Your wallet is not recharged any more.")).to_be_visible()


def cancel_the_plan(walker: Walker) -> None:
    walker.follow("Shop", "shop-subscribed")
    walker.press("Manage plans and cards", "portal")
    walker.press("Cancel at the end of the period", "portal-cancelled")
    walker.follow("Back", "shop-after-cancelling")
    expect(walker.page.get_by_text("ends on")).to_be_visible()


def sign_out(walker: Walker) -> None:
    walker.press("Sign out", "signed-out")
    walker.follow("Sign in", "sign-in")
    walker.fill(username=name_of(walker), password="wrong")
    walker.press("Sign in", "sign-in-refused")
    walker.fill(username=name_of(walker), password=PASSWORD)
    walker.press("Sign in", "signed-in")


def name_of(walker: Walker) -> str:
    """Return a name that each walk has for itself."""
    return f"ada-{walker.name}"


def rows_of(walker: Walker) -> Locator:
    return walker.page.locator(".usage-credits-table tbody tr")


def balance_of(walker: Walker) -> int:
    return int(walker.page.locator("[data-credits]").first.get_attribute("data-credits") or "")


def expect_balance(walker: Walker, balance: int) -> None:
    expect(walker.page.locator(".bar [data-credits]")).to_have_attribute("data-credits", str(balance))
