"""Sessions of the billing portal."""

from __future__ import annotations

from usage_credits.testing.fake_stripe.store import Payload, Store


def create_session(store: Store, params: Payload, *, base_url: str) -> Payload:
    """Create a session in which a customer manages their subscriptions; a server shows a page at its URL."""
    customer = store.get("customer", params["customer"], param="customer")
    session_id = store.new_id("billing_portal.session")
    return store.add(
        "billing_portal.session",
        {
            "id": session_id,
            "configuration": params.get("configuration") or "bpc_fake",
            "customer": customer["id"],
            "flow": params.get("flow_data"),
            "locale": params.get("locale"),
            "on_behalf_of": None,
            "return_url": params.get("return_url"),
            "url": f"{base_url}/portal/{session_id}",
        },
    )
