from __future__ import annotations

import re
import time

from playwright.sync_api import expect

from tests.browser.walker import Walker

QUESTION = "What goes with a lighthouse in the evening?"


def test_customer(walker: Walker) -> None:
    sign_up(walker)
    render(walker, "Paper", "1024x1024", "facets", left=12)
    be_refused_an_upscale(walker)
    render(walker, "Stones", "512x512", "orbits", left=6)
    be_refused_a_render(walker)
    be_refused_a_reply(walker)
    be_refused_a_reply_without_scripts(walker)
    buy_a_pack(walker)
    subscribe(walker)
    # Here come the shop, the wallet page with its chart, the CSV and the recharges, once the example has them.
    render(walker, "Low sun", "1920x1080", "dunes", left=506)
    upscale(walker)
    read_a_reply_while_it_grows(walker)
    leave_in_the_middle(walker)
    ask_without_scripts(walker)
    read_the_statement(walker)
    cancel_the_plan(walker)
    sign_out(walker)


def sign_up(walker: Walker) -> None:
    walker.open("/", "welcome")
    walker.follow("Sign up", "sign-up")
    walker.fill(
        username=name_of(walker), email="ada@example.com", password1="loom-1801", password2="loom-1801"
    )
    walker.press("Sign up", "signed-up")
    expect(walker.page.get_by_text("Welcome! 20 credits are on us.")).to_be_visible()


def render(walker: Walker, title: str, size: str, style: str, *, left: int) -> None:
    walker.follow("Render", "new-render")
    walker.fill(title=title, style=style, size=size, seed="7")
    walker.press("Preview", "preview")
    expect(walker.page.get_by_alt_text("Preview of the picture")).to_be_visible()
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


def buy_a_pack(walker: Walker) -> None:
    walker.follow("Buy credits", "packs")
    walker.press("Get 60 credits for 6.00 USD", "checkout")
    expect(walker.page.get_by_text("6.00 USD").first).to_be_visible()
    walker.press("Cancel", "checkout-cancelled")
    walker.press("Get 60 credits for 6.00 USD", "checkout-again")
    walker.press("Pay", "bought")
    expect(walker.page.get_by_text("60 credits have been added.")).to_be_visible()
    expect_balance(walker, 66)


def subscribe(walker: Walker) -> None:
    walker.follow("Buy", "packs")
    walker.press("Subscribe for 15.00 USD a month", "checkout-of-the-plan")
    walker.press("Pay", "subscribed")
    expect(walker.page.get_by_text("450 credits have been added.")).to_be_visible()
    expect_balance(walker, 516)


def upscale(walker: Walker) -> None:
    walker.follow("Gallery", "gallery")
    walker.page.get_by_role("link", name="Stones").click()
    walker.press("Upscale to 1024 × 1024 for 4 credits", "upscaled")
    expect_balance(walker, 502)


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
    expect_balance(walker, 502 - cost)


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
    for row in (
        "Signup Bonus",
        "Credit Pack Purchase",
        "Subscription Credits",
        "Render (-10 credits)",
        "Chat",
    ):
        expect(walker.page.get_by_role("cell", name=row).first).to_be_visible()


def cancel_the_plan(walker: Walker) -> None:
    walker.press("Manage subscription", "portal")
    walker.press("Cancel at the end of the period", "portal-cancelled")
    walker.follow("Back", "statement-after-cancelling")
    expect(walker.page.get_by_text("It ends on")).to_be_visible()


def sign_out(walker: Walker) -> None:
    walker.press("Sign out", "signed-out")
    walker.follow("Sign in", "sign-in")
    walker.fill(username=name_of(walker), password="wrong")
    walker.press("Sign in", "sign-in-refused")
    walker.fill(username=name_of(walker), password="loom-1801")
    walker.press("Sign in", "signed-in")


def name_of(walker: Walker) -> str:
    """Return a name that each walk has for itself."""
    return f"ada-{walker.name.removeprefix('test_customer-')}"


def balance_of(walker: Walker) -> int:
    return int(walker.page.locator("[data-credits]").first.get_attribute("data-credits") or "")


def expect_balance(walker: Walker, balance: int) -> None:
    expect(walker.page.locator(".bar [data-credits]")).to_have_attribute("data-credits", str(balance))
