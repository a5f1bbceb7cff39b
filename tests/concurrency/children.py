"""What a child process does; importing this loads Django, once for all children that are forked afterwards."""

from __future__ import annotations

from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

import django
from django.apps import apps
from django.db import connections

if not apps.ready:
    django.setup()


def work(pipe: Connection, target: str, values: tuple[Any, ...]) -> None:
    """Connect, say so, wait for the word, call `target` ("module:function"), and send what came of it."""
    module, _, name = target.partition(":")
    call = getattr(import_module(module), name)
    for alias in connections:
        connections[alias].ensure_connection()
    pipe.send("ready")
    pipe.recv()
    try:
        outcome = call(*values)
    except Exception as error:
        outcome = error
    pipe.send(outcome)
    connections.close_all()
