"""What the whole run must show: which database it used, and that every promised behaviour was proved."""

from __future__ import annotations
