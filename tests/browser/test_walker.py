from __future__ import annotations

import pytest

from tests.browser.walker import Walker

pytestmark = [pytest.mark.parametrize("width", [390]), pytest.mark.parametrize("theme", ["light"])]
VIEWPORT = '<meta name="viewport" content="width=device-width">'
PAGE = '<!doctype html><html lang="en"><title>Page</title>{}<main><h1>Page</h1>{}</main></html>'


def show(walker: Walker, content: str, head: str = VIEWPORT) -> None:
    address = f"{walker.home}/page/"
    body = PAGE.format(head, content)
    walker.page.route(address, lambda route: route.fulfill(content_type="text/html", body=body))
    walker.page.goto(address)


def test_look_finds_no_fault_with_a_good_page(walker: Walker) -> None:
    show(walker, "<p>All is well.</p>")
    walker.look("good")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('<p style="width: 500px">Wide</p>', "50. pixels wide on a screen of 390"),
        ('<img src="/nowhere.png" alt="">', "status of 404"),
        ("<script>throw Error('torn')</script>", "torn"),
        ("<script>console.error('worn')</script>", "console: worn"),
        ('<script src="http://127.0.0.1:1/"></script>', "net::ERR_"),
        ('<p style="color: #bbb">Pale</p>', "color-contrast"),
        ("<input>", "critical label"),
    ],
    ids=["width", "missing", "script", "console", "request", "contrast", "label"],
)
def test_look_finds_fault(walker: Walker, content: str, fault: str) -> None:
    show(walker, content)
    with pytest.raises(AssertionError, match=fault):
        walker.look("faulty")


def test_look_finds_a_page_that_is_not_made_for_phones(walker: Walker) -> None:
    show(walker, "<p>All is well.</p>", head="")
    with pytest.raises(AssertionError, match="980 pixels wide on a screen of 390"):
        walker.look("for-desks")


def test_look_wants_the_complaints_that_are_expected(walker: Walker) -> None:
    show(walker, "<p>All is well.</p>")
    with pytest.raises(ValueError, match="not enough values"):
        walker.look("good", complaints=["status of 402"])


def test_press_wants_the_status_that_is_expected(walker: Walker) -> None:
    show(walker, '<form action="/nowhere/"><button>Go</button></form>')
    with pytest.raises(AssertionError, match="is answered 404"):
        walker.press("Go", "nowhere")


def test_staying_finds_a_page_that_is_loaded_as_a_whole(walker: Walker) -> None:
    show(walker, "<p>All is well.</p>")
    with walker.staying():
        walker.page.evaluate("history.pushState({}, '', '?more')")
    with pytest.raises(AssertionError, match="was loaded as a whole"), walker.staying():
        walker.page.reload()
