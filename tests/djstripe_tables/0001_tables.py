"""Stand in for dj-stripe's migrations, which take about a minute on every new database."""

from __future__ import annotations

from django.conf import settings
from django.db import migrations

from tests.migration_operations import CreateTablesOf


class Migration(migrations.Migration):
    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [CreateTablesOf("djstripe")]
