"""Where a project includes the API: for its users, and for the teams that they act for."""

from __future__ import annotations

from django.urls import include, path

from tests.contrib.rest_framework.gated import team_of
from usage_credits.contrib.rest_framework.urls import api_urls

of_teams = api_urls(owner=team_of, redirect_hosts=["app.example.com"])

urlpatterns = [
    path("api/credits/", include("usage_credits.contrib.rest_framework.urls")),
    path("api/teams/<uuid:team>/credits/", include((of_teams, "team_credits"))),
]
