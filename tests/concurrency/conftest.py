from __future__ import annotations

import os
import sys

# The reference database alone takes so many writers at once; gunicorn is not for Windows.
is_served = os.environ.get("TEST_DATABASE") == "postgres" and sys.platform != "win32"
collect_ignore = [] if is_served else ["test_served_gates.py"]
