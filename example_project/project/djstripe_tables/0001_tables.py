"""Create dj-stripe's tables as its models are now, in place of its own migrations; settings.py says why."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import migrations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState


class CreateTables(Operation):
    """Create every table of dj-stripe in a single step."""

    reduces_to_sql = True
    reversible = False

    def state_forwards(self, app_label: str, state: Any) -> None:
        # Otherwise Django builds its models anew for each one added, which takes most of the time of all migrations.
        state.__dict__.pop("apps", None)
        for model in apps.get_app_config("djstripe").get_models():
            state.add_model(ModelState.from_model(model))

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        for model in to_state.apps.get_app_config("djstripe").get_models():
            if self.allow_migrate_model(schema_editor.connection.alias, model):
                schema_editor.create_model(model)


class Migration(migrations.Migration):
    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [CreateTables()]
