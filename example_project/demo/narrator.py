"""What every step of the story does: look at a page, check what came of it, and say so."""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Callable

from django.core.management import call_command
from PIL import Image

from demo.browser import Browser, Page
from demo.site import Site
from studio.models import User
from usage_credits.testing import FakeStripe


class Unexpected(Exception):
    """Something did not happen as it should."""


class Narrator:
    """Watches a running site and a fake Stripe; `say` gets a line for each thing that came true."""

    def __init__(self, site: Site, stripe: FakeStripe, say: Callable[[str], None]) -> None:
        self.username = f"demo-{secrets.token_hex(3)}"
        self.password = secrets.token_hex(6)
        self._site = site
        self._stripe = stripe
        self._say = say
        self._browser = Browser(site.url)

    @property
    def user(self) -> User:
        return User.objects.get(username=self.username)

    def _saved(self, page: Page) -> str:
        """Check that a page shows a render whose file is there, and describe it."""
        found = re.search(r"/renders/[0-9a-f-]{36}/$", page.url)
        self._expect(found is not None, f"there is no render on {page}")
        file = self._browser.download(f"{page.url}image.png")
        with Image.open(io.BytesIO(file)) as image:
            image.load()
            return f"{image.width} × {image.height}, {len(file) / 1000:,.0f} kB"

    def _history(self) -> list[int]:
        return list(self.user.credit_history.values_list("pk", flat=True))

    def _command(self, name: str) -> str:
        said = io.StringIO()
        call_command(name, stdout=said, verbosity=0)
        return said.getvalue().strip()

    def _found(self, pattern: str, page: Page) -> str:
        """Return what the group of a pattern matches in the words on a page."""
        found = re.search(pattern, page.text)
        self._expect(found is not None, f"{pattern!r} is not on {page}")
        return found[1] if found else ""

    def _expect_balance(self, page: Page, balance: int) -> None:
        found = re.search(r'class="usage-credits-balance" data-credits="(\d+)"', page.html)
        shown = found[1] if found else "none"
        self._expect(shown == str(balance), f"the balance should be {balance}, it is {shown} on {page}")

    def _expect(self, came_true: bool, otherwise: str) -> None:
        if not came_true:
            raise Unexpected(otherwise)

    def _expect_mail(self, subject: str) -> None:
        self._expect(self._site.has_said(f"Subject: {subject}"), f"there is no mail {subject!r}")
