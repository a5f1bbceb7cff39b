"""A person's browser window, which finds fault with every page that it comes to."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Locator, Page, Request, Response

Theme = Literal["light", "dark"]

GRAVE = ("serious", "critical")
"""The impacts of axe's findings that fail."""

LEFT = "net::ERR_ABORTED"
"""How a request ends whose page was left before the answer came."""


class Walker:
    """Walks by what a person sees: links, buttons and labels. Every page has to be whole, and is kept as a picture."""

    def __init__(
        self, context: BrowserContext, home: str, pictures: Path, *, theme: Theme, runs_scripts: bool = True
    ) -> None:
        """Begin outside; `pictures` is the folder of this walk's screenshots, numbered in their order."""
        self.context = context
        self.page: Page = context.new_page()
        self.home = home
        self.name = pictures.name
        self._pictures = pictures
        self._theme: Theme = theme
        self._runs_scripts = runs_scripts
        self._complaints: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", self._catch)
        self.page.on("requestfailed", self._miss)

    def open(self, path: str, name: str) -> None:
        """Type an address, and look at the page."""
        answer = self.page.goto(self.home + path)
        assert answer
        assert answer.status == 200, f"{path} is answered {answer.status}"
        self.look(name)

    def follow(self, link: str, name: str) -> None:
        """Click on the first link of this text, and look at where it leads."""
        self._go(self.page.get_by_role("link", name=link, exact=True).first.click, 200)
        self.look(name)

    def press(self, button: str, name: str, *, status: int = 200) -> None:
        """Press the first button whose text begins so, and look at where it leads; pages of errors say so."""
        self._go(self.button(button).click, status)
        self.look(name, complaints=[] if status == 200 else [f"status of {status}"])

    def button(self, text: str) -> Locator:
        return self.page.get_by_role("button", name=text).first

    def fill(self, **values: str) -> None:
        """Type into the fields of these names, or choose from them."""
        for name, value in values.items():
            field = self.page.locator(f"[name={name}]:visible")
            if field.evaluate("field => field.tagName") == "SELECT":
                field.select_option(value)
            else:
                field.fill(value)

    def look(self, name: str, *, complaints: list[str] | None = None) -> None:
        """Find fault with the page: what the browser complained of, what does not fit, what axe finds grave.

        `complaints` are what the browser must have complained of, each once and nothing else.
        """
        self.page.wait_for_load_state("load")
        number = len(list(self._pictures.iterdir())) + 1
        self.page.screenshot(path=self._pictures / f"{number:02}-{name}.png", full_page=True)
        where = f"{name} ({self.page.url})"
        heard, self._complaints = self._complaints, []
        for expected in complaints or []:
            [found] = [one for one in heard if expected in one]
            heard.remove(found)
        assert not heard, f"{where}: " + "; ".join(heard)
        self._check_width(where)
        # axe waits by timers, which a page without scripts has none of.
        if self._runs_scripts:
            self._check_access(where)

    @contextmanager
    def staying(self) -> Iterator[None]:
        """Do something that changes a part of the page alone: no page may be loaded for it."""
        self.page.evaluate("window.stays = true")
        yield
        assert self.page.evaluate("window.stays"), f"{self.page.url} was loaded as a whole"

    def download(self, link: str) -> list[list[str]]:
        """Click on the first link of this text, and return the rows of the CSV file that is saved."""
        with self.page.expect_download() as saved:
            self.page.get_by_role("link", name=link, exact=True).first.click()
        with saved.value.path().open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file))

    @contextmanager
    def without_scripts(self) -> Iterator[Walker]:
        """Let the same person go on in a window that runs no scripts, on the page where they are."""
        browser, size = self.context.browser, self.page.viewport_size
        assert browser
        state = self.context.storage_state()
        with browser.new_context(
            storage_state=state, viewport=size, color_scheme=self._theme, java_script_enabled=False
        ) as context:
            plain = Walker(context, self.home, self._pictures, theme=self._theme, runs_scripts=False)
            plain.page.goto(self.page.url)
            yield plain

    def _go(self, act: Callable[[], None], status: int) -> None:
        with self.page.expect_navigation() as navigation:
            act()
        answer: Response | None = navigation.value
        assert answer
        assert answer.status == status, f"{answer.url} is answered {answer.status}"

    def _check_width(self, where: str) -> None:
        size = self.page.viewport_size
        assert size
        # Not by innerWidth, which a phone widens for what does not fit.
        width = self.page.evaluate("document.scrollingElement.scrollWidth")
        assert width <= size["width"], f"{where}: {width} pixels wide on a screen of {size['width']}"

    def _check_access(self, where: str) -> None:
        found = Axe().run(self.page).response["violations"]
        grave = [violation for violation in found if violation["impact"] in GRAVE]
        assert not grave, f"{where}:\n" + "\n".join(map(_told, grave))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._complaints.append(f"console: {message.text}")

    def _catch(self, error: Error) -> None:
        self._complaints.append(f"script: {error}")

    def _miss(self, request: Request) -> None:
        if request.failure != LEFT:
            self._complaints.append(f"{request.url}: {request.failure}")


def _told(violation: dict[str, Any]) -> str:
    nodes = [f"  {node['html']}\n    {node['failureSummary']}" for node in violation["nodes"]]
    return "\n".join([f"{violation['impact']} {violation['id']}: {violation['help']}", *nodes])
