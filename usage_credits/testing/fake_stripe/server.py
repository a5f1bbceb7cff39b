"""The fake as an HTTP server on loopback: for a demo, and for tests that need several processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from usage_credits.testing.fake_stripe.delivery import over_http
from usage_credits.testing.fake_stripe.errors import Refusal
from usage_credits.testing.fake_stripe.fake import FakeStripe
from usage_credits.testing.fake_stripe.pages import checkout_page, page, portal_page
from usage_credits.testing.fake_stripe.store import Payload


class FakeStripeServer:
    """A fake Stripe that others reach over HTTP, with pages of checkout and portal for a browser.

    Give its `url` to Django as STRIPE_API_HOST. Events are posted over HTTP when a customer does something there.
    `port` 0 takes a free one.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, **options: Any) -> None:
        self._server = ThreadingHTTPServer((host, port), _Handler)
        self._server.daemon_threads = True
        self.url = f"http://{host}:{self._server.server_address[1]}"
        options.setdefault("send", over_http)
        self.fake = FakeStripe(base_url=self.url, **options)
        self._server.fake = self.fake  # type: ignore[attr-defined]  # the handler knows nothing but its server

    def start(self) -> FakeStripeServer:
        """Serve in a thread of its own until `stop()`; return the server itself."""
        threading.Thread(target=self._server.serve_forever, name="fake-stripe", daemon=True).start()
        return self

    def serve_forever(self) -> None:
        """Serve in this thread until interrupted."""
        self._server.serve_forever()

    def stop(self) -> None:
        """End what `start()` began and give the port back."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> FakeStripeServer:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def fake(self) -> FakeStripe:
        fake: FakeStripe = self.server.fake  # type: ignore[attr-defined]  # set by FakeStripeServer
        return fake

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/checkout/"):
            self._in_browser(self._show, path.removeprefix("/checkout/"))
        elif path.startswith("/portal/"):
            self._in_browser(self._show_portal, path.removeprefix("/portal/"))
        else:
            self._api("get", urlsplit(self.path).query)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        path = urlsplit(self.path).path
        if path.startswith("/checkout/"):
            session_id, _slash, action = path.removeprefix("/checkout/").partition("/")
            self._in_browser(
                {"pay": self._pay, "cancel": self._cancel}.get(action, self._unknown), session_id, body
            )
        elif path.startswith("/portal/"):
            self._in_browser(self._manage, *path.removeprefix("/portal/").partition("/")[::2])
        else:
            self._api("post", body)

    def do_DELETE(self) -> None:
        self._api("delete", urlsplit(self.path).query)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name http.server gives
        pass

    def _api(self, method: str, query: str) -> None:
        answer = self.fake.handle(method, urlsplit(self.path).path, query, dict(self.headers.items()))
        self._reply(answer.status, answer.body, {"Content-Type": "application/json", **answer.headers})

    def _in_browser(self, action: Callable[..., None], *arguments: str) -> None:
        try:
            action(*arguments)
        except Refusal as refusal:
            self._html(refusal.status, page("This is not possible", f"<p>{refusal.error['message']}</p>"))

    def _show(self, session_id: str) -> None:
        session = self.fake.get("checkout.session", session_id)
        if session["status"] != "open":
            raise Refusal(410, f"This Checkout Session is {session['status']}.")
        self._html(200, checkout_page(session, self.fake.lines_of(session)))

    def _pay(self, session_id: str, body: str) -> None:
        code = parse_qs(body).get("promotion_code", [""])[0].strip()
        session = self.fake.pay(session_id, promotion_code=code or None)
        self.fake.deliver_pending()
        self._redirect((session["success_url"] or "/").replace("{CHECKOUT_SESSION_ID}", session_id))

    def _cancel(self, session_id: str, body: str) -> None:
        self._redirect(self.fake.get("checkout.session", session_id)["cancel_url"] or "/")

    def _show_portal(self, session_id: str) -> None:
        session = self.fake.get("billing_portal.session", session_id)
        self._html(
            200, portal_page(session, [(self._name(one), one) for one in self._subscriptions(session)])
        )

    def _manage(self, session_id: str, choice: str) -> None:
        session = self.fake.get("billing_portal.session", session_id)
        subscription_id, _slash, verb = choice.partition("/")
        managed = [one for one in self._subscriptions(session) if one["id"] == subscription_id]
        if not managed or verb not in ("cancel", "keep"):
            raise Refusal(404, "There is no such page.")
        if verb == "cancel":
            self.fake.cancel(managed[0], at_period_end=True)
        else:
            self.fake.uncancel(managed[0])
        self.fake.deliver_pending()
        self._redirect(f"/portal/{session_id}")

    def _subscriptions(self, session: Payload) -> list[Payload]:
        ended = ("canceled", "incomplete_expired")
        return [
            one
            for one in self.fake.all("subscription")
            if one["customer"] == session["customer"] and one["status"] not in ended
        ]

    def _name(self, subscription: Payload) -> str:
        name: str = self.fake.get("product", subscription["items"]["data"][0]["price"]["product"])["name"]
        return name

    def _unknown(self, session_id: str, body: str) -> None:
        raise Refusal(404, "There is no such page.")

    def _html(self, status: int, text: str) -> None:
        self._reply(status, text, {"Content-Type": "text/html; charset=utf-8"})

    def _redirect(self, url: str) -> None:
        self._reply(303, "", {"Location": url})

    def _reply(self, status: int, text: str, headers: dict[str, str]) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
