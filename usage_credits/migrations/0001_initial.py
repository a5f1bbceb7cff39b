from __future__ import annotations

import django.db.models.deletion
import django.db.models.expressions
import django.utils.timezone
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

import usage_credits.models.fields

TRUTH = ("transaction", "allocation", "transfer")


def guard_truth(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Let PostgreSQL itself refuse to change or delete a row of the tables of truth."""
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute(
        """
        CREATE FUNCTION usage_credits_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% of % is refused: ledger rows are append-only', TG_OP, TG_TABLE_NAME
                USING ERRCODE = 'restrict_violation';
        END $$
        """,
        params=None,
    )
    for table in TRUTH:
        schema_editor.execute(
            f"CREATE TRIGGER usage_credits_append_only BEFORE UPDATE OR DELETE ON usage_credits_{table} "
            "FOR EACH ROW EXECUTE FUNCTION usage_credits_refuse_change()"
        )


def unguard_truth(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION usage_credits_refuse_change() CASCADE")


def leave_room_in_lots(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Let PostgreSQL keep a tenth of each page free, so that a debit's change of a lot fits in beside the lot."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE usage_credits_lot SET (fillfactor = 90)")


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.CreateModel(
            name="Fulfillment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("credit_pack", "credit pack"),
                            ("subscription", "subscription"),
                            ("manual", "manual"),
                        ],
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                ("source", usage_credits.models.fields.KeyField(max_length=50, verbose_name="source")),
                (
                    "source_id",
                    usage_credits.models.fields.KeyField(max_length=255, null=True, verbose_name="source id"),
                ),
                ("plan_name", models.CharField(blank=True, max_length=255, verbose_name="plan")),
                ("pack_name", models.CharField(blank=True, max_length=255, verbose_name="pack")),
                (
                    "as_sold",
                    usage_credits.models.fields.MetadataField(
                        blank=True,
                        default=dict,
                        help_text="The pack or plan as it was defined when it was sold.",
                        verbose_name="as sold",
                    ),
                ),
                (
                    "credits_last_awarded",
                    models.BigIntegerField(default=0, verbose_name="credits last awarded"),
                ),
                ("seats", models.PositiveIntegerField(default=1, verbose_name="seats")),
                (
                    "seats_awarded",
                    models.PositiveIntegerField(
                        default=1,
                        help_text="The most seats that the running period was awarded for.",
                        verbose_name="seats awarded",
                    ),
                ),
                ("anchor", models.DateTimeField(null=True, verbose_name="anchor")),
                (
                    "period",
                    models.CharField(
                        blank=True,
                        help_text="ISO 8601, empty: not recurring.",
                        max_length=50,
                        verbose_name="period",
                    ),
                ),
                ("last_fulfilled_at", models.DateTimeField(null=True, verbose_name="last fulfilled at")),
                ("next_fulfillment_at", models.DateTimeField(null=True, verbose_name="next fulfillment at")),
                (
                    "paid_from",
                    models.DateTimeField(
                        help_text="When the latest period that was paid began.",
                        null=True,
                        verbose_name="paid from",
                    ),
                ),
                ("paid_through", models.DateTimeField(null=True, verbose_name="paid through")),
                ("stops_at", models.DateTimeField(null=True, verbose_name="stops at")),
                ("stop_reason", models.CharField(blank=True, max_length=100, verbose_name="stop reason")),
                ("pending_plan", models.CharField(blank=True, max_length=255, verbose_name="pending plan")),
                ("pending_from", models.DateTimeField(null=True, verbose_name="pending from")),
                (
                    "changed_at",
                    models.DateTimeField(
                        help_text="When the plan was last changed at its source.",
                        null=True,
                        verbose_name="changed at",
                    ),
                ),
                (
                    "credits_expire_at",
                    models.DateTimeField(
                        help_text="What it awarded lasts no longer; null: no such limit.",
                        null=True,
                        verbose_name="credits expire at",
                    ),
                ),
                (
                    "if_unpaid",
                    usage_credits.models.fields.MetadataField(
                        blank=True,
                        default=dict,
                        help_text="How it stood before a period that counts as paid until its payment is known.",
                        verbose_name="if unpaid",
                    ),
                ),
                (
                    "revision",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="How many reports of its source it has taken in.",
                        verbose_name="revision",
                    ),
                ),
                ("last_error", models.TextField(blank=True, verbose_name="last error")),
                (
                    "metadata",
                    usage_credits.models.fields.MetadataField(
                        blank=True, default=dict, verbose_name="metadata"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="created at"),
                ),
            ],
            options={
                "verbose_name": "fulfillment",
                "verbose_name_plural": "fulfillments",
            },
        ),
        migrations.CreateModel(
            name="Hold",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("amount", models.BigIntegerField(verbose_name="amount")),
                ("captured", models.BigIntegerField(default=0, verbose_name="captured")),
                ("is_open", models.BooleanField(default=True, verbose_name="is open")),
                ("expires_at", models.DateTimeField(verbose_name="expires at")),
                ("category", models.CharField(max_length=100, verbose_name="category")),
                (
                    "metadata",
                    usage_credits.models.fields.MetadataField(
                        blank=True, default=dict, verbose_name="metadata"
                    ),
                ),
                (
                    "idempotency_key",
                    usage_credits.models.fields.KeyField(
                        max_length=255, null=True, verbose_name="idempotency key"
                    ),
                ),
                (
                    "attributed_to",
                    usage_credits.models.fields.KeyField(
                        max_length=255, null=True, verbose_name="attributed to"
                    ),
                ),
                (
                    "operation",
                    usage_credits.models.fields.KeyField(max_length=255, null=True, verbose_name="operation"),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="created at"),
                ),
            ],
            options={
                "verbose_name": "hold",
                "verbose_name_plural": "holds",
            },
        ),
        migrations.CreateModel(
            name="Wallet",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "owner_id",
                    usage_credits.models.fields.OwnerIdField(
                        max_length=255, null=True, verbose_name="owner id"
                    ),
                ),
                ("asset", usage_credits.models.fields.KeyField(max_length=50, verbose_name="asset")),
                (
                    "booked_balance",
                    models.BigIntegerField(db_column="balance", default=0, verbose_name="booked balance"),
                ),
                (
                    "booked_held",
                    models.BigIntegerField(db_column="held", default=0, verbose_name="booked held"),
                ),
                ("debt", models.BigIntegerField(default=0, verbose_name="debt")),
                ("claims", models.BigIntegerField(default=0, verbose_name="claims")),
                ("cap_count", models.PositiveIntegerField(default=0, verbose_name="spending caps")),
                (
                    "last_award",
                    models.BigIntegerField(
                        help_text="What a pack or plan awarded last.", null=True, verbose_name="last award"
                    ),
                ),
                (
                    "metadata",
                    usage_credits.models.fields.MetadataField(
                        blank=True, default=dict, verbose_name="metadata"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="created at"
                    ),
                ),
                (
                    "owner_type",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="contenttypes.contenttype",
                        verbose_name="owner type",
                    ),
                ),
            ],
            options={
                "verbose_name": "wallet",
                "verbose_name_plural": "wallets",
                "permissions": [("adjust_wallet", "Can adjust a wallet's credits")],
            },
        ),
        migrations.CreateModel(
            name="Transfer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("asset", usage_credits.models.fields.KeyField(max_length=50, verbose_name="asset")),
                ("amount", models.BigIntegerField(verbose_name="amount")),
                ("category", models.CharField(max_length=100, verbose_name="category")),
                (
                    "expiration_policy",
                    models.CharField(
                        choices=[
                            ("preserve", "keep each lot's expiry"),
                            ("none", "never expires"),
                            ("fixed", "expires at a given moment"),
                        ],
                        max_length=10,
                        verbose_name="expiration policy",
                    ),
                ),
                (
                    "metadata",
                    usage_credits.models.fields.MetadataField(
                        blank=True, default=dict, verbose_name="metadata"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="created at"),
                ),
                (
                    "from_wallet",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="outgoing_transfers",
                        to="usage_credits.wallet",
                        verbose_name="from wallet",
                    ),
                ),
                (
                    "to_wallet",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="incoming_transfers",
                        to="usage_credits.wallet",
                        verbose_name="to wallet",
                    ),
                ),
            ],
            options={
                "verbose_name": "transfer",
                "verbose_name_plural": "transfers",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="Transaction",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("amount", models.BigIntegerField(verbose_name="amount")),
                ("category", models.CharField(max_length=100, verbose_name="category")),
                ("balance_before", models.BigIntegerField(verbose_name="balance before")),
                ("balance_after", models.BigIntegerField(verbose_name="balance after")),
                (
                    "overdraft",
                    models.BigIntegerField(
                        default=0,
                        help_text="How much of this debit no lot paid when it was posted.",
                        verbose_name="overdraft",
                    ),
                ),
                ("expires_at", models.DateTimeField(null=True, verbose_name="expires at")),
                (
                    "metadata",
                    usage_credits.models.fields.MetadataField(
                        blank=True, default=dict, verbose_name="metadata"
                    ),
                ),
                (
                    "idempotency_key",
                    usage_credits.models.fields.KeyField(
                        max_length=255, null=True, verbose_name="idempotency key"
                    ),
                ),
                (
                    "attributed_to",
                    usage_credits.models.fields.KeyField(
                        max_length=255, null=True, verbose_name="attributed to"
                    ),
                ),
                (
                    "operation",
                    usage_credits.models.fields.KeyField(max_length=255, null=True, verbose_name="operation"),
                ),
                (
                    "model",
                    usage_credits.models.fields.KeyField(max_length=255, null=True, verbose_name="model"),
                ),
                (
                    "member",
                    usage_credits.models.fields.KeyField(max_length=255, null=True, verbose_name="member"),
                ),
                ("tokens", models.BigIntegerField(null=True, verbose_name="tokens")),
                (
                    "provider_cost_nanos",
                    models.BigIntegerField(
                        help_text="In billionths of the currency's minor unit.",
                        null=True,
                        verbose_name="provider cost",
                    ),
                ),
                (
                    "provider_currency",
                    models.CharField(max_length=3, null=True, verbose_name="provider currency"),
                ),
                (
                    "cash_amount",
                    models.BigIntegerField(
                        help_text="In the currency's minor unit.", null=True, verbose_name="cash amount"
                    ),
                ),
                ("cash_currency", models.CharField(max_length=3, null=True, verbose_name="cash currency")),
                ("grid_date", models.DateTimeField(null=True, verbose_name="grid date")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="created at"),
                ),
                (
                    "fulfillment",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="transactions",
                        to="usage_credits.fulfillment",
                        verbose_name="fulfillment",
                    ),
                ),
                (
                    "hold",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="transactions",
                        to="usage_credits.hold",
                        verbose_name="hold",
                    ),
                ),
                (
                    "reverses",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reversals",
                        to="usage_credits.transaction",
                        verbose_name="reverses",
                    ),
                ),
                (
                    "transfer",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="transactions",
                        to="usage_credits.transfer",
                        verbose_name="transfer",
                    ),
                ),
                (
                    "wallet",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="transactions",
                        to="usage_credits.wallet",
                        verbose_name="wallet",
                    ),
                ),
            ],
            options={
                "verbose_name": "transaction",
                "verbose_name_plural": "transactions",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="Lot",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("amount", models.BigIntegerField(verbose_name="amount")),
                ("remaining", models.BigIntegerField(verbose_name="remaining")),
                ("is_open", models.BooleanField(default=True, verbose_name="is open")),
                ("expires_at", models.DateTimeField(null=True, verbose_name="expires at")),
                ("priority", models.SmallIntegerField(default=0, verbose_name="priority")),
                (
                    "scope",
                    usage_credits.models.fields.ScopeField(
                        help_text="Operations that this lot may pay for; null: any debit.",
                        null=True,
                        verbose_name="scope",
                    ),
                ),
                (
                    "transaction",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="lot",
                        to="usage_credits.transaction",
                        verbose_name="transaction",
                    ),
                ),
                (
                    "wallet",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="lots",
                        to="usage_credits.wallet",
                        verbose_name="wallet",
                    ),
                ),
            ],
            options={
                "verbose_name": "lot",
                "verbose_name_plural": "lots",
            },
        ),
        migrations.CreateModel(
            name="KeyAlias",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", usage_credits.models.fields.KeyField(max_length=255, verbose_name="key")),
                (
                    "transaction",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="key_aliases",
                        to="usage_credits.transaction",
                        verbose_name="transaction",
                    ),
                ),
                (
                    "wallet",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="key_aliases",
                        to="usage_credits.wallet",
                        verbose_name="wallet",
                    ),
                ),
            ],
            options={
                "verbose_name": "key alias",
                "verbose_name_plural": "key aliases",
            },
        ),
        migrations.AddField(
            model_name="hold",
            name="wallet",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="holds",
                to="usage_credits.wallet",
                verbose_name="wallet",
            ),
        ),
        migrations.AddField(
            model_name="fulfillment",
            name="wallet",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="fulfillments",
                to="usage_credits.wallet",
                verbose_name="wallet",
            ),
        ),
        migrations.CreateModel(
            name="Debt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "payment",
                    usage_credits.models.fields.KeyField(
                        help_text="The refunded payment at its provider.",
                        max_length=255,
                        null=True,
                        verbose_name="payment",
                    ),
                ),
                (
                    "amount",
                    models.BigIntegerField(
                        help_text="All that could not be taken at first.", verbose_name="amount"
                    ),
                ),
                ("open_amount", models.BigIntegerField(verbose_name="open amount")),
                (
                    "metadata",
                    usage_credits.models.fields.MetadataField(
                        blank=True,
                        default=dict,
                        help_text="The refund; what pays the claim carries it along.",
                        verbose_name="metadata",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="created at"),
                ),
                (
                    "fulfillment",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="debts",
                        to="usage_credits.fulfillment",
                        verbose_name="fulfillment",
                    ),
                ),
                (
                    "reverses",
                    models.OneToOneField(
                        help_text="The credit that was reversed after it was spent.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="claim",
                        to="usage_credits.transaction",
                        verbose_name="reverses",
                    ),
                ),
                (
                    "wallet",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="debts",
                        to="usage_credits.wallet",
                        verbose_name="wallet",
                    ),
                ),
            ],
            options={
                "verbose_name": "debt",
                "verbose_name_plural": "debts",
            },
        ),
        migrations.CreateModel(
            name="Allocation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("amount", models.BigIntegerField(verbose_name="amount")),
                (
                    "lot",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="allocations",
                        to="usage_credits.lot",
                        verbose_name="lot",
                    ),
                ),
                (
                    "debit",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="allocations",
                        to="usage_credits.transaction",
                        verbose_name="debit",
                    ),
                ),
                (
                    "wallet",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="allocations",
                        to="usage_credits.wallet",
                        verbose_name="wallet",
                    ),
                ),
            ],
            options={
                "verbose_name": "allocation",
                "verbose_name_plural": "allocations",
                "abstract": False,
                "base_manager_name": "objects",
            },
        ),
        migrations.CreateModel(
            name="HeldLot",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("amount", models.BigIntegerField(verbose_name="amount")),
                (
                    "hold",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="held_lots",
                        to="usage_credits.hold",
                        verbose_name="hold",
                    ),
                ),
                (
                    "lot",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="held_parts",
                        to="usage_credits.lot",
                        verbose_name="lot",
                    ),
                ),
            ],
            options={
                "verbose_name": "held lot",
                "verbose_name_plural": "held lots",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount__gte", 0)), name="usage_credits_held_part_not_negative"
                    ),
                    models.UniqueConstraint(fields=("hold", "lot"), name="usage_credits_held_once"),
                ],
            },
        ),
        migrations.CreateModel(
            name="PaymentNotice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("source", usage_credits.models.fields.KeyField(max_length=50, verbose_name="source")),
                ("source_id", usage_credits.models.fields.KeyField(max_length=255, verbose_name="source id")),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("unknown_pack", "the pack is not in settings"),
                            ("unknown_plan", "the plan is not in settings"),
                            ("no_owner", "no owner was found"),
                            ("mismatch", "the pack differs from what was sold"),
                            ("refused", "the ledger refuses the award"),
                        ],
                        max_length=30,
                        verbose_name="reason",
                    ),
                ),
                ("detail", models.TextField(blank=True, verbose_name="detail")),
                (
                    "customer_id",
                    usage_credits.models.fields.KeyField(
                        blank=True, max_length=255, verbose_name="customer id"
                    ),
                ),
                (
                    "payload",
                    usage_credits.models.fields.MetadataField(
                        blank=True,
                        default=dict,
                        help_text="The provider's ids and the metadata of the purchase.",
                        verbose_name="payload",
                    ),
                ),
                ("attempts", models.PositiveIntegerField(default=1, verbose_name="attempts")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="created at"),
                ),
                (
                    "last_attempt_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="last attempt at"),
                ),
                ("resolved_at", models.DateTimeField(null=True, verbose_name="resolved at")),
                (
                    "fulfillment",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="notices",
                        to="usage_credits.fulfillment",
                        verbose_name="fulfillment",
                    ),
                ),
            ],
            options={
                "verbose_name": "payment notice",
                "verbose_name_plural": "payment notices",
                "indexes": [
                    models.Index(
                        condition=models.Q(("resolved_at__isnull", True)),
                        fields=["id"],
                        name="usage_credits_open_notices",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("source", "source_id"), name="usage_credits_one_notice_per_source"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SpendingCap",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "attributed_to",
                    usage_credits.models.fields.KeyField(
                        help_text="The API key or member that spends.",
                        max_length=255,
                        verbose_name="attributed to",
                    ),
                ),
                (
                    "every",
                    models.CharField(
                        help_text="How long a window is, in ISO 8601.", max_length=50, verbose_name="every"
                    ),
                ),
                ("limit", models.BigIntegerField(verbose_name="limit")),
                ("spent", models.BigIntegerField(default=0, verbose_name="spent")),
                ("window_start", models.DateTimeField(verbose_name="window start")),
                (
                    "counts_from",
                    models.BigIntegerField(
                        help_text="The first transaction of the window, by its id.",
                        verbose_name="counts from",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="created at"),
                ),
                (
                    "wallet",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="spending_caps",
                        to="usage_credits.wallet",
                        verbose_name="wallet",
                    ),
                ),
            ],
            options={
                "verbose_name": "spending cap",
                "verbose_name_plural": "spending caps",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("wallet", "attributed_to", "every"), name="usage_credits_one_cap_per_window"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("limit__gte", 0), ("spent__gte", 0)),
                        name="usage_credits_cap_not_negative",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Recharge",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", usage_credits.models.fields.KeyField(max_length=32, verbose_name="key")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("started", "started"),
                            ("paid", "paid, waits for its credits"),
                            ("succeeded", "succeeded"),
                            ("failed", "failed"),
                        ],
                        default="started",
                        max_length=20,
                        verbose_name="state",
                    ),
                ),
                ("pack_name", models.CharField(max_length=255, verbose_name="pack")),
                (
                    "as_sold",
                    usage_credits.models.fields.MetadataField(
                        blank=True, default=dict, verbose_name="as sold"
                    ),
                ),
                ("credits", models.BigIntegerField(verbose_name="credits")),
                (
                    "amount",
                    models.BigIntegerField(help_text="In the currency's minor unit.", verbose_name="amount"),
                ),
                ("currency", models.CharField(max_length=3, verbose_name="currency")),
                (
                    "customer_id",
                    usage_credits.models.fields.KeyField(
                        blank=True, max_length=255, verbose_name="customer id"
                    ),
                ),
                (
                    "payment_method",
                    usage_credits.models.fields.KeyField(
                        blank=True, max_length=255, verbose_name="payment method"
                    ),
                ),
                (
                    "payment",
                    usage_credits.models.fields.KeyField(
                        help_text="pi: and the id of the payment intent, once it is known.",
                        max_length=255,
                        null=True,
                        verbose_name="payment",
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=100, verbose_name="reason")),
                ("error", models.TextField(blank=True, verbose_name="error")),
                ("attempts", models.PositiveIntegerField(default=1, verbose_name="attempts")),
                (
                    "next_attempt_at",
                    models.DateTimeField(
                        help_text="When Stripe is asked again; null: it has ended.",
                        null=True,
                        verbose_name="next attempt at",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="created at"),
                ),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended at")),
                (
                    "fulfillment",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="recharge",
                        to="usage_credits.fulfillment",
                        verbose_name="fulfillment",
                    ),
                ),
                (
                    "in_flight_of",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="recharge_in_flight",
                        to="usage_credits.wallet",
                        verbose_name="in flight of",
                    ),
                ),
                (
                    "wallet",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="recharges",
                        to="usage_credits.wallet",
                        verbose_name="wallet",
                    ),
                ),
            ],
            options={
                "verbose_name": "recharge",
                "verbose_name_plural": "recharges",
                "indexes": [
                    models.Index(fields=["wallet", "created_at"], name="usage_credits_recharges"),
                    models.Index(
                        condition=models.Q(("next_attempt_at__isnull", False)),
                        fields=["next_attempt_at", "id"],
                        name="usage_credits_to_resume",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("key",), name="usage_credits_one_recharge_per_key"),
                    models.UniqueConstraint(
                        fields=("payment",), name="usage_credits_one_recharge_per_payment"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount__gt", 0), ("credits__gt", 0)),
                        name="usage_credits_recharge_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("in_flight_of", models.F("wallet")),
                                ("in_flight_of__isnull", False),
                                ("state__in", ["started", "paid"]),
                            ),
                            models.Q(("in_flight_of__isnull", True), ("state__in", ["succeeded", "failed"])),
                            _connector="OR",
                        ),
                        name="usage_credits_recharge_in_flight",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("fulfillment__isnull", False),
                                ("payment__isnull", False),
                                ("state", "succeeded"),
                            ),
                            models.Q(
                                ("fulfillment__isnull", True), ("state__in", ["started", "paid", "failed"])
                            ),
                            _connector="OR",
                        ),
                        name="usage_credits_recharge_awarded",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RechargeSetting",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("pack_name", models.CharField(max_length=255, verbose_name="pack")),
                (
                    "as_sold",
                    usage_credits.models.fields.MetadataField(
                        blank=True,
                        default=dict,
                        help_text="The pack as it was when its owner agreed to buy it.",
                        verbose_name="as sold",
                    ),
                ),
                (
                    "threshold",
                    models.BigIntegerField(
                        help_text="A balance below it is recharged, in credits.", verbose_name="threshold"
                    ),
                ),
                ("max_per_day", models.PositiveIntegerField(verbose_name="most a day")),
                ("max_per_month", models.PositiveIntegerField(verbose_name="most a month")),
                (
                    "payment_method",
                    usage_credits.models.fields.KeyField(
                        blank=True,
                        help_text="Empty: the customer's default one.",
                        max_length=255,
                        verbose_name="payment method",
                    ),
                ),
                ("is_enabled", models.BooleanField(default=True, verbose_name="is enabled")),
                ("stop_reason", models.CharField(blank=True, max_length=100, verbose_name="stop reason")),
                ("failures", models.PositiveIntegerField(default=0, verbose_name="failures in a row")),
                ("paused_until", models.DateTimeField(null=True, verbose_name="paused until")),
                (
                    "told_at",
                    models.DateTimeField(
                        help_text="When the owner was told of these failures.",
                        null=True,
                        verbose_name="told at",
                    ),
                ),
                ("set_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="set at")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="created at"),
                ),
                (
                    "wallet",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="recharge_setting",
                        to="usage_credits.wallet",
                        verbose_name="wallet",
                    ),
                ),
            ],
            options={
                "verbose_name": "recharge setting",
                "verbose_name_plural": "recharge settings",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("max_per_day__gte", 1), ("max_per_month__gte", 1), ("threshold__gte", 0)
                        ),
                        name="usage_credits_recharge_is_bounded",
                    )
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="wallet",
            constraint=models.UniqueConstraint(
                fields=("owner_type", "owner_id", "asset"), name="usage_credits_one_wallet"
            ),
        ),
        migrations.AddConstraint(
            model_name="wallet",
            constraint=models.CheckConstraint(
                condition=models.Q(("booked_held__gte", 0)), name="usage_credits_held_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="wallet",
            constraint=models.CheckConstraint(
                condition=models.Q(("debt__gte", 0)), name="usage_credits_debt_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="wallet",
            constraint=models.CheckConstraint(
                condition=models.Q(("claims__gte", 0)), name="usage_credits_claims_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="transfer",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gt", 0)), name="usage_credits_transfer_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="transfer",
            constraint=models.CheckConstraint(
                condition=models.Q(("from_wallet", models.F("to_wallet")), _negated=True),
                name="usage_credits_transfer_between_two",
            ),
        ),
        migrations.AddConstraint(
            model_name="transfer",
            constraint=models.CheckConstraint(
                condition=models.Q(("expiration_policy__in", ["preserve", "none", "fixed"])),
                name="usage_credits_transfer_policy",
            ),
        ),
        migrations.AddIndex(
            model_name="transaction",
            index=models.Index(fields=["wallet", "id"], name="usage_credits_history"),
        ),
        migrations.AddIndex(
            model_name="transaction",
            index=models.Index(fields=["wallet", "created_at"], name="usage_credits_by_date"),
        ),
        migrations.AddIndex(
            model_name="transaction",
            index=models.Index(
                condition=models.Q(("overdraft__gt", 0)),
                fields=["wallet", "id"],
                name="usage_credits_overdrafts",
            ),
        ),
        migrations.AddIndex(
            model_name="transaction",
            index=models.Index(
                condition=models.Q(("transfer__isnull", False)),
                fields=["transfer"],
                name="usage_credits_of_transfer",
            ),
        ),
        migrations.AddIndex(
            model_name="transaction",
            index=models.Index(
                condition=models.Q(("hold__isnull", False)), fields=["hold"], name="usage_credits_of_hold"
            ),
        ),
        migrations.AddIndex(
            model_name="transaction",
            index=models.Index(
                condition=models.Q(("reverses__isnull", False)),
                fields=["reverses"],
                name="usage_credits_reversals",
            ),
        ),
        migrations.AddConstraint(
            model_name="transaction",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount", 0), _negated=True), name="usage_credits_amount_not_zero"
            ),
        ),
        migrations.AddConstraint(
            model_name="transaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "balance_after",
                        django.db.models.expressions.CombinedExpression(
                            models.F("balance_before"), "+", models.F("amount")
                        ),
                    )
                ),
                name="usage_credits_after_is_before_plus",
            ),
        ),
        migrations.AddConstraint(
            model_name="transaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("overdraft", 0),
                    models.Q(
                        ("overdraft__gt", 0),
                        (
                            "overdraft__lte",
                            django.db.models.expressions.CombinedExpression(
                                models.F("amount"), "*", models.Value(-1)
                            ),
                        ),
                    ),
                    _connector="OR",
                ),
                name="usage_credits_overdraft_in_debit",
            ),
        ),
        migrations.AddConstraint(
            model_name="transaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("cash_amount__isnull", True), ("cash_currency__isnull", True)),
                    models.Q(("cash_amount__isnull", False), ("cash_currency__isnull", False)),
                    _connector="OR",
                ),
                name="usage_credits_cash_with_currency",
            ),
        ),
        migrations.AddConstraint(
            model_name="transaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("provider_cost_nanos__isnull", True), ("provider_currency__isnull", True)),
                    models.Q(("provider_cost_nanos__isnull", False), ("provider_currency__isnull", False)),
                    _connector="OR",
                ),
                name="usage_credits_provider_cost_with_currency",
            ),
        ),
        migrations.AddConstraint(
            model_name="transaction",
            constraint=models.UniqueConstraint(
                fields=("wallet", "idempotency_key"), name="usage_credits_one_effect_per_key"
            ),
        ),
        migrations.AddConstraint(
            model_name="transaction",
            constraint=models.UniqueConstraint(
                fields=("fulfillment", "grid_date"), name="usage_credits_one_award_per_date"
            ),
        ),
        migrations.AddIndex(
            model_name="lot",
            index=models.Index(
                condition=models.Q(("is_open", True)),
                fields=["wallet", "is_open", "priority", "expires_at", "id"],
                name="usage_credits_open_lots",
            ),
        ),
        migrations.AddIndex(
            model_name="lot",
            index=models.Index(
                condition=models.Q(("expires_at__isnull", False), ("is_open", True)),
                fields=["expires_at", "wallet"],
                name="usage_credits_lots_to_expire",
            ),
        ),
        migrations.AddConstraint(
            model_name="lot",
            constraint=models.CheckConstraint(
                condition=models.Q(("remaining__gte", 0), ("remaining__lte", models.F("amount"))),
                name="usage_credits_remaining_in_lot",
            ),
        ),
        migrations.AddConstraint(
            model_name="lot",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("is_open", True), ("remaining__gt", 0)),
                    models.Q(("is_open", False), ("remaining", 0)),
                    _connector="OR",
                ),
                name="usage_credits_open_while_remaining",
            ),
        ),
        migrations.AddConstraint(
            model_name="keyalias",
            constraint=models.UniqueConstraint(
                fields=("wallet", "key"), name="usage_credits_one_alias_per_key"
            ),
        ),
        migrations.AddIndex(
            model_name="hold",
            index=models.Index(
                condition=models.Q(("is_open", True)),
                fields=["is_open", "expires_at", "wallet"],
                name="usage_credits_holds_to_end",
            ),
        ),
        migrations.AddIndex(
            model_name="hold",
            index=models.Index(
                condition=models.Q(("is_open", True)),
                fields=["wallet", "is_open", "expires_at"],
                name="usage_credits_open_holds",
            ),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gt", 0)), name="usage_credits_hold_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.CheckConstraint(
                condition=models.Q(("captured__gte", 0)), name="usage_credits_captured_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.UniqueConstraint(
                fields=("wallet", "idempotency_key"), name="usage_credits_one_hold_per_key"
            ),
        ),
        migrations.AddIndex(
            model_name="fulfillment",
            index=models.Index(
                condition=models.Q(("next_fulfillment_at__isnull", False)),
                fields=["next_fulfillment_at", "id"],
                name="usage_credits_due",
            ),
        ),
        migrations.AddIndex(
            model_name="fulfillment",
            index=models.Index(
                condition=models.Q(("next_fulfillment_at__isnull", False), ("stops_at__isnull", False)),
                fields=["stops_at", "id"],
                name="usage_credits_stopping",
            ),
        ),
        migrations.AddConstraint(
            model_name="fulfillment",
            constraint=models.UniqueConstraint(
                fields=("source", "source_id"), name="usage_credits_source_fulfilled_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="debt",
            constraint=models.UniqueConstraint(
                fields=("fulfillment", "payment"), name="usage_credits_one_claim_per_payment"
            ),
        ),
        migrations.AddConstraint(
            model_name="debt",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("fulfillment__isnull", False), ("payment__isnull", False), ("reverses__isnull", True)
                    ),
                    models.Q(
                        ("fulfillment__isnull", True), ("payment__isnull", True), ("reverses__isnull", False)
                    ),
                    _connector="OR",
                ),
                name="usage_credits_claim_of_one",
            ),
        ),
        migrations.AddConstraint(
            model_name="debt",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gt", 0)), name="usage_credits_claim_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="debt",
            constraint=models.CheckConstraint(
                condition=models.Q(("open_amount__gte", 0), ("open_amount__lte", models.F("amount"))),
                name="usage_credits_open_in_claim",
            ),
        ),
        migrations.AddConstraint(
            model_name="allocation",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gt", 0)), name="usage_credits_allocation_positive"
            ),
        ),
        migrations.RunPython(guard_truth, unguard_truth, hints={"model_name": "transaction"}),
        migrations.RunPython(leave_room_in_lots, migrations.RunPython.noop, hints={"model_name": "lot"}),
    ]
