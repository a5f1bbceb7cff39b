"""URLs to which a checkout page may send a buyer: those of hosts that the view allows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final
from urllib.parse import urlsplit

from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

MAX_URL: Final = 2_048


class RedirectField(serializers.CharField):
    """An absolute URL on one of the hosts that the view of the serializer allows, over HTTPS where that is used.

    What Stripe replaces in it, {CHECKOUT_SESSION_ID}, is let through.
    """

    default_error_messages = {
        "host": _("Give an absolute URL without spaces on one of these hosts: {hosts}."),
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_URL, **options)

    def to_internal_value(self, data: Any) -> str:
        """Return the URL as it is; raises ValidationError."""
        url: str = super().to_internal_value(data)
        view = self.context["view"]
        hosts = view.get_redirect_hosts()
        if not _is_on(hosts, url, is_secure=view.request.is_secure()):
            self.fail("host", hosts=", ".join(sorted(hosts)))
        return url


def _is_on(hosts: Collection[str], url: str, *, is_secure: bool) -> bool:
    is_allowed = url_has_allowed_host_and_scheme(url, allowed_hosts=set(hosts), require_https=is_secure)
    if not is_allowed or not url.isprintable() or " " in url:
        return False
    parts = urlsplit(url)
    return bool(parts.scheme and parts.netloc)
