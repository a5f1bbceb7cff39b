"""The story that the demo plays: a visitor becomes a customer, spends all, subscribes, and the ledger proves it."""

from __future__ import annotations

import secrets
import time
from datetime import timedelta

from django.utils import timezone

from demo.browser import Browser, Page
from demo.narrator import Narrator

GRANT_LIFETIME = timedelta(seconds=2)


class Story(Narrator):
    """Plays against a running site and a fake Stripe."""

    def play(self) -> None:
        """Play everything. Raises Unexpected at the first thing that is not as it should be."""
        self._sign_up()
        self._buy("starter", 80)
        self._render_and_upscale()
        self._click_twice()
        self._stay_private()
        self._spend_all()
        self._buy("studio", 557)
        self._let_a_grant_expire()
        self._refuse_forgeries_and_repetitions()
        self._subscribe()
        self._hear_again_of_the_subscription()
        self._cancel_in_the_portal()
        self._refund_half_a_pack()
        self._chat()
        self._let_a_reply_break_off()
        self._recharge()
        self._verify()

    def _sign_up(self) -> None:
        page = self._browser.press(
            self._browser.open("/sign-up/"),
            "Sign up",
            username=self.username,
            email="demo@example.com",
            password1=self.password,
            password2=self.password,
        )
        self._expect_balance(page, 20)
        self._say(f"signed up as {self.username}: 20 credits to start with, 5 of them by the free plan")

    def _buy(self, pack: str, balance: int) -> None:
        button = f"Buy {pack.title()}"
        bought = self._pay(self._browser.press(self._browser.open("/credits/shop/"), button))
        self._expect("running low" not in bought.text, f"the warning of a low balance stays: {bought}")
        self._expect_balance(bought, balance)
        self._say(f"pressed “{button}” and paid at Stripe; its events came, now {balance} credits")

    def _pay(self, checkout: Page) -> Page:
        self._expect(
            checkout.url.startswith(self._stripe.base_url), f"the buyer is on {checkout.url}, not at Stripe"
        )
        bought = self._browser.press(checkout, "Pay")
        self._expect(
            bought.url.startswith(f"{self._site.url}/credits/checkout/return/"), f"came back to {bought.url}"
        )
        self._expect("added to your balance" in bought.text, f"the credits are not there: {bought}")
        return bought

    def _render_and_upscale(self) -> None:
        self._order("Rings of noon", "orbits", "512x512", cost=6, balance=74)
        self._order("Low sun", "dunes", "1920x1080", cost=10, balance=64)
        page = self._order("Folded paper", "facets", "1024x1024", cost=8, balance=56)
        small = self.user.renders.get(width=512)
        page = self._browser.press(self._browser.open(small.get_absolute_url()), "Upscale")
        self._expect_balance(page, 52)
        self._say(f"upscaled “{small.title}”: {self._saved(page)}, 4 credits, 52 left")

    def _click_twice(self) -> None:
        form = self._browser.open("/renders/new/")
        first = self._browser.press(form, "Render", title="Twice", style="facets", size="512x512", seed="5")
        second = self._browser.press(form, "Render", title="Twice", style="facets", size="512x512", seed="5")
        self._expect(first.url == second.url, "a second click made a second picture")
        self._expect_balance(second, 46)
        self._say("clicked Render twice by mistake: one picture, charged once (6 credits), 46 left")

    def _stay_private(self) -> None:
        stranger = Browser(self._site.url)
        password = secrets.token_hex(6)
        name = f"{self.username}-other"
        form = stranger.open("/sign-up/")
        stranger.press(form, "Sign up", username=name, email="", password1=password, password2=password)
        mine = self.user.renders.latest("created_at").get_absolute_url()
        for address in (mine, f"{mine}image.png"):
            status = stranger.open(address).status
            self._expect(status == 404, f"somebody else sees {address}: {status}")
        self._say("somebody else who signs up cannot see these pictures: 404")

    def _spend_all(self) -> None:
        for title, left in (("High dunes", 33), ("Higher dunes", 20), ("Highest dunes", 7)):
            page = self._order(title, "dunes", "2000x2000", cost=13, balance=left)
        self._expect("running low: 7 credits left" in page.text, "the warning of a low balance is missing")
        self._expect_mail("Your credits are running low")
        self._say("low_balance_reached was sent: a mail went out, and the studio warns on every page")
        refused = self._press_render("One more", "orbits", "2000x2000")
        self._expect(refused.status == 402, f"rendering without credits is answered {refused.status}")
        self._expect("/credits/shop/" in refused.html, "the refusal has no link to buy credits")
        self._expect_balance(refused, 7)
        self._expect(not self.user.renders.filter(title="One more").exists(), "a refused picture was kept")
        self._say("one more would cost 13, 7 are left: refused (402), nothing charged, a link to buy")

    def _let_a_grant_expire(self) -> None:
        lifetime = GRANT_LIFETIME
        while True:
            expires_at = timezone.now() + lifetime
            self.user.give_credits(25, reason="weekend bonus", expires_at=expires_at)
            page = self._browser.open("/")
            if timezone.now() < expires_at:
                break
            # A machine so slow that the page came after the end of the grant.
            lifetime *= 2
        self._expect_balance(page, 582)
        self._say(f"a weekend bonus of 25 credits that lasts {lifetime.seconds} seconds: 582 credits")
        time.sleep(max(0.0, (expires_at - timezone.now()).total_seconds()) + 0.05)
        self._expect_balance(self._browser.open("/"), 557)
        said = self._command("expire_credits")
        last = self.user.credit_history.recent(1).get()
        self._expect(
            (last.category, last.amount) == ("expiration", -25), f"expire_credits did not book it: {last}"
        )
        self._expect_balance(self._browser.open("/"), 557)
        self._say(f"its time is over: 557 at once, and expire_credits booked it ({said})")

    def _refuse_forgeries_and_repetitions(self) -> None:
        history = self._history()
        session = self._stripe.all("checkout.session")[-1]
        events = self._stripe.events_for(session["id"])
        forged = self._stripe.deliver(self._stripe.reissue(events[-1]), secret="whsec_" + "f" * 32)
        self._expect(forged == [400], f"a forged event is answered {forged}")
        self._expect(self._history() == history, "a forged event changed the ledger")
        self._say("an event with a forged signature: refused (400), nothing changed")
        statuses = [status for event in reversed(events) for status in self._stripe.deliver(event, times=2)]
        statuses += self._stripe.deliver(self._stripe.reissue(events[-1]))
        self._expect(set(statuses) == {200}, f"repeated events are answered {statuses}")
        self._expect(self._history() == history, "a repeated event changed the ledger")
        self._say(f"the purchase announced {len(statuses)} times more, in another order: nothing changed")

    def _subscribe(self) -> None:
        button = "Subscribe to Pro"
        shop = self._browser.open("/credits/shop/")
        cost = self._found(rf"{button} (15\.00 USD every month)", shop)
        bought = self._pay(self._browser.press(shop, button))
        self._expect_balance(bought, 1007)
        date = self._found(r"Pro next credits on (.+?) \+400 credits", self._browser.open("/credits/"))
        self._say(f"pressed “{button}”, {cost}, and paid: 400 credits and a bonus of 50, now 1007")
        self._say(f"the wallet says when the next 400 credits of the plan come: {date}")

    def _hear_again_of_the_subscription(self) -> None:
        history = self._history()
        events = self._stripe.events_for(self._stripe.all("subscription")[-1])
        told = [*reversed(events), *(self._stripe.reissue(event) for event in events)]
        statuses = [status for event in told for status in self._stripe.deliver(event)]
        self._expect(set(statuses) == {200}, f"repeated events are answered {statuses}")
        self._expect(self._history() == history, "a repeated event of the subscription changed the ledger")
        self._say(f"the subscription announced {len(statuses)} times more: nothing changed")

    def _cancel_in_the_portal(self) -> None:
        portal = self._browser.press(self._browser.open("/credits/shop/"), "Manage plans and cards")
        self._expect(portal.url.startswith(self._stripe.base_url), f"the portal is {portal.url}")
        self._browser.press(portal, "Cancel")
        wallet = self._browser.open("/credits/")
        date = self._found(r"Pro ends on (\w+\.? \d+, \d+)", wallet)
        self._expect_balance(wallet, 1007)
        self._say(f"cancelled in Stripe's portal: the plan ends on {date}, its credits stay")

    def _refund_half_a_pack(self) -> None:
        [session] = [one for one in self._stripe.all("checkout.session") if one["amount_total"] == 3900]
        payment = self._stripe.get("payment_intent", session["payment_intent"])
        self._stripe.refund(payment["latest_charge"], 1950)
        statuses = self._stripe.deliver_pending()
        self._expect(bool(statuses) and set(statuses) == {200}, f"the refund is answered {statuses}")
        last = self.user.credit_history.recent(1).get()
        self._expect(
            (last.category, last.amount) == ("credit_pack_refund", -275), f"the refund took nothing: {last}"
        )
        self._expect_balance(self._browser.open("/"), 732)
        self._say(
            "half of the 39.00 USD refunded at Stripe: 275 of the pack's 550 credits taken back, 732 left"
        )

    def _chat(self) -> None:
        talk = self._browser.press(self._browser.open("/chat/"), "New conversation")
        talk = self._browser.press(talk, "Send", question="How do I draw a lighthouse?", model="swift")
        self._expect_balance(talk, 729)
        words = self._found(r"Swift wrote (\d+) words, for 3 credits", talk)
        self._say(
            f"asked a language model, which wrote {words} words: 5 credits were held, 3 charged, 729 left"
        )
        parts = self._browser.stream(talk, "Send", question="And what about a harbour?", model="deep")
        next(parts)
        began = time.monotonic()
        reply = "".join(parts)
        self._expect(time.monotonic() - began > 0.5, f"the reply did not come by and by: {reply}")
        talk = self._browser.open(talk.url)
        cost = self._found(r"Deep wrote \d+ words, for (\d+) credits", talk)
        self._expect_balance(talk, 729 - int(cost))
        spent = self._found(r"(This month you spent .+ credits with Deep)\.", talk)
        self._say(f"asked another, whose reply was read while it came: {cost} credits")
        self._say(f"the chat tells what was spent: {spent}")

    def _let_a_reply_break_off(self) -> None:
        talk = self._browser.open(self.user.conversations.get().get_absolute_url())
        history = self._history()
        list(self._browser.stream(talk, "Send", question="Please break off.", model="deep"))
        talk = self._browser.open(talk.url)
        self._expect("There is no reply, and nothing was charged" in talk.text, f"there is a reply: {talk}")
        self._expect(self._history() == history, "a reply that broke off was charged")
        self._say("a reply that broke off: its hold was released, nothing charged")

    def _recharge(self) -> None:
        [session] = [one for one in self._stripe.all("checkout.session") if one["amount_total"] == 600]
        card = self._stripe.get("payment_intent", session["payment_intent"])["payment_method"]
        before = self.user.credits
        self.user.set_recharge("starter", threshold=before + 1, payment_method=card)
        said = self._site.run("recharge_credits")
        statuses = self._stripe.deliver_pending()
        self._expect(bool(statuses) and set(statuses) == {200}, f"the recharge is answered {statuses}")
        self._expect_balance(self._browser.open("/"), before + 60)
        self._expect_mail("Credits were bought for you")
        self.user.stop_recharge()
        self._say(f"the balance fell below a threshold, and the saved card paid for a pack ({said})")

    def _verify(self) -> None:
        self._expect(not self._site.has_crashed, "the site had an error of its own")
        self._say(f"verify_credits: {self._command('verify_credits')}")

    def _order(self, title: str, style: str, size: str, *, cost: int, balance: int) -> Page:
        form = self._browser.open(f"/renders/new/?style={style}&size={size}&title={title}")
        self._expect(f"{cost} credits for this render" in form.text, f"no estimate of {cost} on {form}")
        page = self._press_render(title, style, size)
        self._expect_balance(page, balance)
        self._say(f"rendered “{title}”: {self._saved(page)}, {cost} credits, {balance} left")
        return page

    def _press_render(self, title: str, style: str, size: str) -> Page:
        form = self._browser.open("/renders/new/")
        seed = str(sum(title.encode()))
        return self._browser.press(form, "Render", title=title, style=style, size=size, seed=seed)
