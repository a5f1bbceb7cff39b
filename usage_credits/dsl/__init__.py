"""The language of the settings: plain Python values that price operations and declare packs and plans."""

from __future__ import annotations
