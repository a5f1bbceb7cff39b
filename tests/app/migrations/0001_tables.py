from __future__ import annotations

from django.db import migrations

from tests.migration_operations import CreateTablesOf


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [CreateTablesOf("app")]
