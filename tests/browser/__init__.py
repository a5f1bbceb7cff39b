"""Walks through the example in a real browser; run by the tox environment browser, where CHROMIUM names it."""
