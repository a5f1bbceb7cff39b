"""The Celery app of the tests' project, as its workers load it."""

from __future__ import annotations

import os

from celery import Celery

app = Celery("tests")
app.conf.update(
    imports=["usage_credits.contrib.celery"],
    broker_url=os.environ.get("BROKER_URL", "memory://"),
    result_backend=os.environ.get("BROKER_URL"),
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    # How soon Redis gives to others what a worker that was killed had taken: after an hour by default.
    broker_transport_options={
        "visibility_timeout": 2,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
)
