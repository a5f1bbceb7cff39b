"""What a person does with a browser: open pages, fill in forms, press buttons, keep cookies, follow redirects."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests

TIMEOUT = 60


@dataclass
class Form:
    """A form of a page: where it goes, what stands in its fields, what its buttons say."""

    action: str
    method: str
    values: dict[str, str] = field(default_factory=dict)
    buttons: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """An answer as a person sees it."""

    status: int
    url: str
    html: str
    forms: list[Form]

    @property
    def text(self) -> str:
        """Return the words on the page."""
        return " ".join(
            unescape(re.sub(r"<style.*?</style>|<[^>]+>", " ", self.html, flags=re.DOTALL)).split()
        )

    def __str__(self) -> str:
        return f"{self.url} (status {self.status}): {self.text[:300]}"

    def form(self, button: str) -> Form:
        """Return the form with a button whose text begins so. Raises LookupError."""
        for form in self.forms:
            if any(text.startswith(button) for text in form.buttons):
                return form
        raise LookupError(f"no button {button!r} on {self}")


class Browser:
    """A browser with cookies of its own. Addresses are relative to `home`."""

    def __init__(self, home: str) -> None:
        self.home = home
        self._session = requests.Session()
        # Everything here is on this machine: no proxy has a part in it.
        self._session.trust_env = False

    def open(self, address: str) -> Page:
        return _page(self._session.get(urljoin(self.home, address), timeout=TIMEOUT))

    def press(self, page: Page, button: str, **values: str) -> Page:
        """Press a button, its text given from the beginning, with `values` typed into the form around it."""
        form = page.form(button)
        url = urljoin(page.url, form.action)
        filled = {**form.values, **values}
        if form.method == "get":
            return _page(self._session.get(url, params=filled, timeout=TIMEOUT))
        return _page(self._session.post(url, data=filled, timeout=TIMEOUT))

    def stream(self, page: Page, button: str, **values: str) -> Iterator[str]:
        """Press a button as a script does that wants plain text, and yield this as it comes."""
        form = page.form(button)
        url = urljoin(page.url, form.action)
        headers = {"Accept": "text/plain, application/problem+json"}
        sent = {**form.values, **values}
        with self._session.post(url, data=sent, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            answer.raise_for_status()
            # By a few bytes at a time: more would wait for more.
            yield from codecs.iterdecode(answer.iter_content(chunk_size=8), "utf-8")

    def download(self, address: str) -> bytes:
        """Return what is found at an address. Raises requests.HTTPError for an error."""
        answer = self._session.get(urljoin(self.home, address), timeout=TIMEOUT)
        answer.raise_for_status()
        return answer.content


def _page(answer: requests.Response) -> Page:
    reader = _FormReader()
    reader.feed(answer.text)
    return Page(answer.status_code, str(answer.url), answer.text, reader.forms)


class _FormReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._select = ""
        self._in_button = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(attributes.get("action", ""), attributes.get("method", "get").lower()))
        if not self.forms:
            return
        form = self.forms[-1]
        name = attributes.get("name", "")
        if tag == "input" and name:
            form.values[name] = attributes.get("value", "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and ("selected" in attributes or self._select not in form.values):
            form.values[self._select] = attributes.get("value", "")
        elif tag == "button":
            self._in_button = True
            form.buttons.append("")

    def handle_data(self, data: str) -> None:
        if self._in_button:
            self.forms[-1].buttons[-1] += data.strip()

    def handle_endtag(self, tag: str) -> None:
        if tag == "button":
            self._in_button = False
