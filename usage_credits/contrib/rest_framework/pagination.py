"""Pages of what may be long: as many rows as asked for, up to a bound."""

from __future__ import annotations

import re
from typing import Any, Final

from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination, LimitOffsetPagination
from rest_framework.request import Request

PAGE: Final = 50
MOST: Final = 200

_KEY: Final = re.compile(r"[0-9]{1,19}")


class StatementPagination(CursorPagination):
    """Newest first. What is posted meanwhile moves nothing, and a late page costs what the first one does."""

    page_size = PAGE
    page_size_query_param = "page_size"
    max_page_size = MOST
    ordering = "-pk"

    def decode_cursor(self, request: Request) -> Any:
        """Return the cursor that the client sends back; raises NotFound for one that is none of ours."""
        cursor = super().decode_cursor(request)
        # The framework hands the position to the database as it comes.
        if cursor and cursor.position is not None and not _KEY.fullmatch(str(cursor.position)):
            raise NotFound(self.invalid_cursor_message)
        return cursor


class LotPagination(LimitOffsetPagination):
    """In the order in which lots are spent, which no single column has."""

    default_limit = PAGE
    max_limit = MOST
