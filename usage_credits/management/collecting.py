"""Keep the garbage collector out of batches."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from typing import TypeVar

Batch = TypeVar("Batch")


def collected_between(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the batches of a command's work; what is garbage is collected after each, and not while it is made.

    Thousands of rows in the making set the collector off time and again, to walk through all that the project has
    loaded, which took up to a third of a batch's time. Not for a process that does other work meanwhile.
    """
    was_enabled = gc.isenabled()
    gc.freeze()
    gc.disable()
    try:
        for batch in batches:
            yield batch
            gc.collect()
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()
