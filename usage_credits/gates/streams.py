"""Charge for a streamed response once it was read to its end, and not for one that broke off."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

from usage_credits.charging import Charge


def charge_when_sent(response: StreamingHttpResponse, charge: Charge) -> None:
    """Let `charge` outlast its block, and settle it when the last part of the response was taken.

    An error in the stream, and a close before its end, as when the client has gone, give the charge up. A stream
    that is never closed leaves the hold to its own end.
    """
    charge.outlasts_block = True
    parts = response.streaming_content
    if isinstance(parts, AsyncIterable):
        response.streaming_content = _AsyncStream(parts, charge)
    else:
        response.streaming_content = _Stream(parts, charge)


class _Ending:
    """The one end of a stream: Django closes also what was read to its end, and what was never begun."""

    def __init__(self, charge: Charge) -> None:
        self._charge = charge
        self._has_ended = False

    def end(self) -> None:
        """Charge."""
        if not self._has_ended:
            self._has_ended = True
            self._charge.conclude()

    def close(self) -> None:
        """Give the charge up, unless the stream has ended before."""
        if not self._has_ended:
            self._has_ended = True
            self._charge.give_up()


class _Stream(_Ending, Iterator[bytes]):
    def __init__(self, parts: Iterable[bytes], charge: Charge) -> None:
        super().__init__(charge)
        self._parts = iter(parts)

    def __next__(self) -> bytes:
        try:
            return next(self._parts)
        except StopIteration:
            self.end()
            raise
        except BaseException:
            self.close()
            raise


class _AsyncStream(_Ending, AsyncIterator[bytes]):
    def __init__(self, parts: AsyncIterable[bytes], charge: Charge) -> None:
        super().__init__(charge)
        self._parts = aiter(parts)

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._parts)
        except StopAsyncIteration:
            await sync_to_async(self.end)()
            raise
        except BaseException:
            await sync_to_async(self.close)()
            raise
