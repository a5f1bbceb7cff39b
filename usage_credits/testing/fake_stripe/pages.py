"""The pages that a customer of the demo sees: checkout, where they pay or turn back, and the portal."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from pathlib import Path

from usage_credits.testing.fake_stripe.store import Payload

_ZERO_DECIMAL = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)

_STYLE = Path(__file__).with_name("pages.css").read_text(encoding="utf-8")

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""


def checkout_page(session: Payload, lines: list[Payload]) -> str:
    """Return the page of an open session: what is bought, a button that pays, one that cancels."""
    rows = [
        f'<tr><th scope="row">{escape(line["description"])} × {line["quantity"]}</th>'
        f"<td>{money(line['amount_subtotal'], line['currency'])}</td></tr>"
        for line in lines
    ]
    total = money(session["amount_total"], session["currency"])
    code = ""
    if session["allow_promotion_codes"]:
        code = '<p><label>Promotion code <input name="promotion_code" autocomplete="off"></label></p>'
    action = f"/checkout/{escape(session['id'])}"
    return page(
        "Checkout",
        f'<p class="soft">No money moves here: this is a fake of Stripe.</p><table><tbody>{"".join(rows)}</tbody>'
        f'<tfoot><tr><th scope="row">Total</th><td>{total}</td></tr></tfoot></table>'
        f'<form method="post" action="{action}/pay">{code}<button>Pay</button></form>'
        f'<form method="post" action="{action}/cancel"><button class="plain">Cancel</button></form>',
    )


def portal_page(session: Payload, subscriptions: list[tuple[str, Payload]]) -> str:
    """Return the page of a portal session; a subscription comes with the name of what it is for."""
    parts = [_subscription_part(session, name, subscription) for name, subscription in subscriptions]
    back = f'<p><a href="{escape(session["return_url"])}">Back</a></p>' if session["return_url"] else ""
    return page("Customer portal", "".join(parts or ["<p>There are no subscriptions.</p>"]) + back)


def _subscription_part(session: Payload, name: str, subscription: Payload) -> str:
    is_ending = bool(subscription["cancel_at"])
    verb, button = ("keep", "Keep it") if is_ending else ("cancel", "Cancel at the end of the period")
    ending = ""
    if is_ending:
        ending = f", ends on {datetime.fromtimestamp(subscription['cancel_at'], UTC):%Y-%m-%d}"
    action = f"/portal/{escape(session['id'])}/{escape(subscription['id'])}/{verb}"
    return (
        f"<p><strong>{escape(name)}</strong>: {escape(subscription['status'])}{ending}</p>"
        f'<form method="post" action="{action}"><button class="plain">{button}</button></form>'
    )


def page(title: str, content: str) -> str:
    """Return a whole page; `title` is escaped, `content` is HTML."""
    return _PAGE.format(title=escape(title), content=content, style=_STYLE)


def money(amount: int, currency: str) -> str:
    """Return an amount in minor units as people read it: 4900 usd is "49.00 USD"."""
    decimals = 0 if currency in _ZERO_DECIMAL else 2
    return f"{amount / 10**decimals:,.{decimals}f} {currency.upper()}"
