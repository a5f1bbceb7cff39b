"""Owners in the admin, as a project would register them."""

from __future__ import annotations

from django.contrib import admin

from tests.app.models import Team, User

admin.site.register(Team)
admin.site.register(User)
