"""Build with: sphinx-build -W -b html docs docs/_build/html"""

from __future__ import annotations

import sys
from pathlib import Path

import django
from django.conf import settings

sys.path.insert(0, str(Path(__file__).parent.parent))

from usage_credits.version import __version__  # the path above leads to it

# The API reference is read from the docstrings, and models can be imported in a configured project only.
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "usage_credits"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

project = "usage_credits"
author = "usage_credits contributors"
copyright = author  # noqa: A001 - the name Sphinx reads
version = release = __version__
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "reference/benchmarks"]  # the latter is included by a page
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

default_role = "code"  # single backticks in docstrings
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
add_module_names = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 90

html_theme = "furo"
html_title = f"usage_credits {release}"
html_copy_source = False
html_show_sphinx = False
