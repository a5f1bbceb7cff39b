"""Play the main job from one end to the other: a real server, a fake Stripe, real HTTP between them."""

from __future__ import annotations

import io
import secrets
import signal
import socket
import sys
import time
from argparse import ArgumentParser
from typing import Any

import requests
import stripe
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import timezone
from djstripe.models import APIKey, Customer, Price

from demo.narrator import Unexpected
from demo.site import Site, SiteFailed
from demo.story import Story
from studio.models import User
from usage_credits.testing import FakeStripeServer, use_fake_stripe


class Command(BaseCommand):
    """Sign up, buy, spend, subscribe, refund; each step is checked, and the first that fails ends it with 1."""

    help = (
        "Play the main job of usage_credits end to end, with a real server and a fake Stripe on this machine."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--serve", action="store_true", help="keep the servers running for a look around")
        parser.add_argument(
            "--no-story", action="store_true", help="keep them running, and play nothing before: all is empty"
        )
        parser.add_argument(
            "--port", type=int, default=8000, help="where to serve; a free one is taken where it is in use"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # Whoever ends this process ends the server's process with it.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        # A shell lets what it starts in the background ignore the interrupt.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        started = time.monotonic()
        call_command("migrate", verbosity=0, interactive=False)
        self._say(f"database ready: {connection.display_name}, {connection.settings_dict['NAME']}")
        _forget_customers_of_earlier_demos()
        stays = options["serve"] or options["no_story"]
        port = _free(options["port"]) if stays else 0
        # The seed: the database may know the ids of an earlier demo, and Stripe uses none twice.
        with FakeStripeServer(seed=secrets.token_hex(8)) as server:
            _add_prices(server)
            try:
                with Site(stripe_url=server.url, port=port) as site:
                    _connect(server, site)
                    self._say(f"the studio listens at {site.url}, a fake Stripe at {server.url}")
                    story = Story(site, server.fake, self._say)
                    if not options["no_story"]:
                        self._play(story, site)
                        self._show_statement(story.user)
                        took = time.monotonic() - started
                        self.stdout.write(f"\nAll of it came true, in {took:.0f} seconds.")
                    if stays:
                        self._serve(site, story, has_user=not options["no_story"])
                    else:
                        self.stdout.write("Look around: python example_project/manage.py demo --serve")
            except SiteFailed as error:
                raise CommandError(f"The site did not start. It said:\n{error}") from error

    def _play(self, story: Story, site: Site) -> None:
        try:
            story.play()
        except (Unexpected, LookupError, requests.RequestException) as error:
            said = "\n".join(site.output[-60:])
            raise CommandError(f"✗ {error}\n\nWhat the site said last:\n{said}") from error

    def _show_statement(self, user: User) -> None:
        self.stdout.write(f"\nThe statement of {user.username}, as the ledger has it:\n")
        self.stdout.write(f"  {'when':<8}  {'what':<40}  {'amount':>6}  {'balance':>7}")
        for row in user.credit_history:
            title = (row.metadata.get("metadata") or {}).get("title", "")
            what = f"{row.description} {title}".strip()
            self.stdout.write(
                f"  {row.created_at:%H:%M:%S}  {what:<40}  {row.amount:>+6}  {row.balance_after:>7}"
            )

    def _serve(self, site: Site, story: Story, *, has_user: bool) -> None:
        manager = User.objects.create_superuser(f"{story.username}-manager", "", story.password)
        customer = f"user {story.username}, password {story.password}" if has_user else "sign up"
        self.stdout.write(
            f"\nThe studio:  {site.url}/  ({customer})"
            f"\nIts admin:   {site.url}/admin/  (user {manager.username}, password {story.password})"
            "\nCtrl-C ends both servers.\n"
        )
        try:
            site.wait()
        except KeyboardInterrupt:
            self.stdout.write("\nBye.")
        else:
            raise CommandError("The site ended by itself.")

    def _say(self, line: str) -> None:
        self.stdout.write(f"✓ {line}")
        self.stdout.flush()


def _add_prices(server: FakeStripeServer) -> None:
    """Create what the plan is sold by, as one does in Stripe's dashboard, and let dj-stripe know what it costs."""
    key = settings.FAKE_STRIPE_SECRET_KEY
    with use_fake_stripe(server.fake):
        product = stripe.Product.create(name="Pro plan", api_key=key)
        for period, cost in settings.PRO_COSTS.items():
            price_id = settings.PRO_PRICES[period]
            server.fake.add_price(
                price_id, amount=cost.amount, currency=cost.currency, interval=period, product=product.id
            )
            price = stripe.Price.retrieve(price_id, expand=["product"], api_key=key)
            Price.sync_from_stripe_data(price, api_key=key)


def _connect(server: FakeStripeServer, site: Site) -> None:
    """Tell each side about the other: where events are posted, and by which secret they are signed."""
    secret = f"whsec_{secrets.token_hex(16)}"
    said = io.StringIO()
    call_command("receive_events", secret=secret, site=site.url, stdout=said)
    server.fake.add_webhook_endpoint(said.getvalue().strip())["secret"] = secret


def _forget_customers_of_earlier_demos() -> None:
    """Let their users buy again, as new customers: the fake Stripe that knew the old ones is gone."""
    fakes = APIKey.objects.filter(secret=settings.FAKE_STRIPE_SECRET_KEY).values("djstripe_owner_account")
    known = Customer.objects.filter(djstripe_owner_account__in=fakes)
    known.update(subscriber=None, date_purged=timezone.now())


def _free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port
