"""The same app for a worker that runs the charged tasks as well, which it imports once Django is set up."""

from __future__ import annotations

from tests.contrib.project import app as app

app.conf.imports = [*app.conf.imports, "tests.contrib.charged"]
