"""Create an app's tables as its models are now, for apps whose history does not matter to the tests."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState


class CreateTablesOf(Operation):
    """Create every table of one app in a single step."""

    reduces_to_sql = True
    reversible = False

    def __init__(self, app_label: str) -> None:
        self.app_label = app_label

    def state_forwards(self, app_label: str, state: Any) -> None:
        # Otherwise Django builds its models anew for each one added, which takes most of the time of all migrations.
        state.__dict__.pop("apps", None)
        for model in apps.get_app_config(self.app_label).get_models():
            state.add_model(ModelState.from_model(model))

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        for model in to_state.apps.get_app_config(self.app_label).get_models():
            if self.allow_migrate_model(schema_editor.connection.alias, model):
                schema_editor.create_model(model)
