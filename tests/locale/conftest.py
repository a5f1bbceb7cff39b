from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import translation


@pytest.fixture(autouse=True)
def many_languages(settings: Any) -> Iterator[None]:
    """Answer in the language that a request asks for, with digits in groups; leave the thread its language."""
    session, *others = settings.MIDDLEWARE
    settings.MIDDLEWARE = [session, "django.middleware.locale.LocaleMiddleware", *others]
    settings.USE_THOUSAND_SEPARATOR = True
    with translation.override(settings.LANGUAGE_CODE):
        yield
