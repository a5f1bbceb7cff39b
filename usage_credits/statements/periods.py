"""Say in words how often something comes."""

from __future__ import annotations

import datetime
from typing import Final

from django.utils.translation import gettext, ngettext

from usage_credits.dsl.periods import Period

_DAY: Final = datetime.timedelta(days=1)


def every(period: Period) -> str:
    """Return "every month" or "every 2 weeks", in the active language; a mixed length is written as ISO 8601."""
    months, rest = period.months, period.rest
    if months and not rest:
        if months % 12 == 0:
            return _counted(ngettext("every year", "every %(number)d years", months // 12), months // 12)
        return _counted(ngettext("every month", "every %(number)d months", months), months)
    if not months and rest % _DAY == datetime.timedelta(0):
        days = rest // _DAY
        if days % 7 == 0:
            return _counted(ngettext("every week", "every %(number)d weeks", days // 7), days // 7)
        return _counted(ngettext("every day", "every %(number)d days", days), days)
    return gettext("every %(period)s") % {"period": period.iso}


def _counted(text: str, number: int) -> str:
    return text % {"number": number}
