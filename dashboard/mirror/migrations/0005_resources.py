import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_audit_append_only"),
        ("mirror", "0004_fewer_indexes"),
    ]

    operations = [
        migrations.CreateModel(
            name="ModelDeprecation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("model", models.TextField(unique=True)),
                ("removal_on", models.DateField(help_text="the provider's date, UTC")),
                ("replacement", models.TextField(blank=True, help_text="a model's name; empty: none named")),
                (
                    "is_dedicated_possible",
                    models.BooleanField(
                        help_text="whether a dedicated endpoint may still serve it; None: not told", null=True
                    ),
                ),
                ("source", models.TextField(help_text="where it was read and when")),
            ],
            options={
                "ordering": ["removal_on", "model"],
            },
        ),
        migrations.AlterField(
            model_name="syncrun",
            name="outcome",
            field=models.CharField(
                choices=[
                    ("running", "Running"),
                    ("complete", "Complete"),
                    ("partial", "Partial"),
                    ("failed", "Failed"),
                    ("busy", "Another run held the lock"),
                    ("unavailable", "Not offered to this key"),
                ],
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="syncrun",
            name="resource",
            field=models.CharField(
                choices=[
                    ("projects", "Projects"),
                    ("hardware", "Hardware and prices"),
                    ("endpoints", "Endpoints and deployments"),
                    ("in_transition", "Deployments in transition"),
                    ("events", "Events"),
                    ("traffic", "Traffic"),
                    ("fine_tunes", "Fine-tunes"),
                    ("batches", "Batches"),
                    ("evaluations", "Evaluations"),
                    ("files", "Files"),
                    ("uploads", "Model uploads"),
                    ("models", "Own models"),
                    ("catalogue", "Model catalogue"),
                    ("clusters", "Clusters"),
                    ("regions", "Regions of clusters and volumes"),
                    ("volumes", "Volumes"),
                    ("containers", "Containers"),
                    ("rl", "RL post-training"),
                    ("details", "Events and curves of jobs"),
                    ("unit_prices", "Prices from the bill"),
                ],
                max_length=16,
            ),
        ),
        migrations.CreateModel(
            name="Resource",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("remote_id", models.TextField()),
                ("payload", models.JSONField()),
                ("fingerprint", models.BinaryField(max_length=16)),
                ("first_observed_at", models.DateTimeField()),
                ("observed_at", models.DateTimeField()),
                (
                    "missing_since",
                    models.DateTimeField(
                        help_text="first found missing, not yet confirmed; None: seen since", null=True
                    ),
                ),
                ("absent_since", models.DateTimeField(null=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("fine-tune", "Fine-tune"),
                            ("batch", "Batch"),
                            ("evaluation", "Evaluation"),
                            ("upload", "Model upload"),
                            ("upload-v1", "Model upload (v1)"),
                            ("file", "File"),
                            ("model", "Model"),
                            ("cluster", "GPU cluster"),
                            ("volume", "Shared volume"),
                            ("container", "Container"),
                            ("rl-resource", "RL resources"),
                            ("rl-session", "RL session"),
                        ],
                        max_length=12,
                    ),
                ),
                ("name", models.TextField()),
                (
                    "model",
                    models.TextField(
                        blank=True, help_text="base model of a job or model; empty: none or not told"
                    ),
                ),
                ("hardware", models.TextField(blank=True, help_text="GPU type as the provider writes it")),
                ("region", models.TextField(blank=True)),
                ("owner", models.TextField(blank=True, help_text="the provider's id or name of who made it")),
                (
                    "variety",
                    models.TextField(
                        blank=True,
                        help_text="kind within the kind: Lora sft, score, KUBERNETES on-demand, fine-tune file",
                    ),
                ),
                ("state", models.TextField(blank=True, help_text="the provider's word; empty: it has none")),
                ("state_message", models.TextField(blank=True)),
                (
                    "state_since",
                    models.DateTimeField(help_text="start of the present state, as far as known", null=True),
                ),
                ("status", models.CharField(help_text="value of core/status.py", max_length=16)),
                ("remote_created_at", models.DateTimeField(null=True)),
                ("remote_updated_at", models.DateTimeField(null=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "expires_at",
                    models.DateTimeField(
                        help_text="deadline of a job, end of a reservation, expiry of RL resources", null=True
                    ),
                ),
                ("progress", models.FloatField(help_text="0 to 1; None: not told", null=True)),
                (
                    "seconds_remaining",
                    models.PositiveIntegerField(help_text="the provider's estimate", null=True),
                ),
                ("size_bytes", models.BigIntegerField(null=True)),
                ("tokens", models.BigIntegerField(help_text="trained or processed", null=True)),
                (
                    "total_nano_usd",
                    models.BigIntegerField(
                        help_text="the provider's own total, nano-dollars; None: not told", null=True
                    ),
                ),
                (
                    "gpu_count",
                    models.PositiveIntegerField(default=0, help_text="GPUs it holds, prepaid ones included"),
                ),
                ("units", models.PositiveIntegerField(default=0)),
                (
                    "sku",
                    models.TextField(
                        blank=True, help_text="what UnitPrice prices; empty: nothing bills by the hour"
                    ),
                ),
                (
                    "nano_usd_per_unit_hour",
                    models.BigIntegerField(help_text="None: price unknown, never zero", null=True),
                ),
                (
                    "burn",
                    models.BigIntegerField(default=0, help_text="nano-dollars per hour now: units x price"),
                ),
                (
                    "unpriced_units",
                    models.PositiveIntegerField(default=0, help_text="billing units whose price is unknown"),
                ),
                ("details_read_at", models.DateTimeField(null=True)),
                (
                    "connection",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="accounts.connection"
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="mirror.project"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ResourceChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "not_before",
                    models.DateTimeField(
                        help_text="previous observation; None: exact, or no bound known", null=True
                    ),
                ),
                ("state", models.TextField()),
                ("units", models.PositiveIntegerField(help_text="None: the phase does not tell", null=True)),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("event", "provider event"),
                            ("phase", "phase transition"),
                            ("poll", "seen by polling"),
                            ("estimate", "estimated"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "phase_key",
                    models.TextField(
                        blank=True, help_text="what makes a phase the same phase; empty for polls"
                    ),
                ),
                ("recorded_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "resource",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="changes",
                        to="mirror.resource",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ResourceDocument",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        choices=[
                            ("body", "Full body"),
                            ("checkpoints", "Checkpoints"),
                            ("metrics", "Training metrics"),
                            ("files", "Files of a model"),
                            ("revisions", "Revisions of a model"),
                        ],
                        max_length=12,
                    ),
                ),
                ("payload", models.JSONField()),
                ("read_at", models.DateTimeField()),
                (
                    "resource",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="documents",
                        to="mirror.resource",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ResourceEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.TextField()),
                (
                    "at",
                    models.DateTimeField(help_text="None: the provider's time could not be read", null=True),
                ),
                ("position", models.PositiveIntegerField(help_text="place in the feed, oldest first")),
                ("type", models.TextField(blank=True)),
                ("level", models.TextField(blank=True)),
                ("message", models.TextField(blank=True)),
                ("payload", models.JSONField()),
                (
                    "resource",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="mirror.resource",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ResourceLink",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "relation",
                    models.CharField(
                        choices=[
                            ("input", "Input file"),
                            ("validation", "Validation file"),
                            ("output", "Output file"),
                            ("errors", "Error file"),
                            ("model", "Model"),
                            ("base", "Base model"),
                            ("volume", "Volume"),
                            ("cluster", "Cluster"),
                            ("rl-resource", "RL resources"),
                        ],
                        max_length=12,
                    ),
                ),
                ("target", models.TextField(help_text="remote id, or a model's name")),
                (
                    "resource",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="links",
                        to="mirror.resource",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="UnitPrice",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "sku",
                    models.TextField(
                        help_text="kind and what sets the price, e.g. cluster/H100_SXM/ON_DEMAND"
                    ),
                ),
                ("nano_usd_per_hour", models.BigIntegerField(help_text="nano-dollars per unit and hour")),
                ("valid_from", models.DateTimeField()),
                ("valid_until", models.DateTimeField(null=True)),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("bill", "derived from a billed hour"),
                            ("estimate", "the provider's estimate"),
                        ],
                        max_length=8,
                    ),
                ),
                ("evidence", models.TextField(help_text="one sentence: which billed hour, which estimate")),
                (
                    "connection",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="accounts.connection"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="CatalogueModel",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("remote_id", models.TextField()),
                ("payload", models.JSONField()),
                ("fingerprint", models.BinaryField(max_length=16)),
                ("first_observed_at", models.DateTimeField()),
                ("observed_at", models.DateTimeField()),
                (
                    "missing_since",
                    models.DateTimeField(
                        help_text="first found missing, not yet confirmed; None: seen since", null=True
                    ),
                ),
                ("absent_since", models.DateTimeField(null=True)),
                (
                    "origin",
                    models.CharField(
                        choices=[("serverless", "/v1/models"), ("supported", "/v2/supported-models")],
                        max_length=10,
                    ),
                ),
                (
                    "name",
                    models.TextField(help_text="what inference and deployments call it, e.g. Qwen/Qwen3-32B"),
                ),
                ("display_name", models.TextField(blank=True)),
                ("publisher", models.TextField(blank=True)),
                ("type", models.TextField(blank=True, help_text="chat, embedding, ...; open set")),
                (
                    "support",
                    models.TextField(
                        blank=True, help_text="RECOMMENDED, SUPPORTED, DEPRECATED, HIDDEN; empty: not told"
                    ),
                ),
                ("context_length", models.BigIntegerField(null=True)),
                ("is_serverless", models.BooleanField(default=False)),
                ("is_dedicated", models.BooleanField(default=False)),
                ("is_fine_tunable", models.BooleanField(default=False)),
                ("input_nano_usd", models.BigIntegerField(null=True)),
                ("output_nano_usd", models.BigIntegerField(null=True)),
                ("cached_input_nano_usd", models.BigIntegerField(null=True)),
                (
                    "connection",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="accounts.connection"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["name"], name="catalogue_model_by_name")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("connection", "origin", "remote_id"), name="catalogue_model_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ClusterRegion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("remote_id", models.TextField()),
                ("payload", models.JSONField()),
                ("fingerprint", models.BinaryField(max_length=16)),
                ("first_observed_at", models.DateTimeField()),
                ("observed_at", models.DateTimeField()),
                (
                    "missing_since",
                    models.DateTimeField(
                        help_text="first found missing, not yet confirmed; None: seen since", null=True
                    ),
                ),
                ("absent_since", models.DateTimeField(null=True)),
                (
                    "connection",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="accounts.connection"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("connection", "remote_id"), name="cluster_region_once")
                ],
            },
        ),
        migrations.AddIndex(
            model_name="resource",
            index=models.Index(
                condition=models.Q(("absent_since", None)),
                fields=["kind", "-remote_created_at", "id"],
                name="resource_newest",
            ),
        ),
        migrations.AddIndex(
            model_name="resource",
            index=models.Index(
                condition=models.Q(("absent_since", None)),
                fields=["kind", "status"],
                include=("project", "burn", "unpriced_units", "gpu_count"),
                name="resource_by_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="resource",
            constraint=models.UniqueConstraint(
                fields=("connection", "kind", "remote_id"), name="resource_once"
            ),
        ),
        migrations.AddIndex(
            model_name="resourcechange",
            index=models.Index(fields=["resource", "at", "id"], name="resource_change_timeline"),
        ),
        migrations.AddConstraint(
            model_name="resourcechange",
            constraint=models.UniqueConstraint(
                condition=models.Q(("phase_key", ""), _negated=True),
                fields=("resource", "phase_key"),
                name="resource_change_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="resourcedocument",
            constraint=models.UniqueConstraint(fields=("resource", "name"), name="resource_document_once"),
        ),
        migrations.AddIndex(
            model_name="resourceevent",
            index=models.Index(fields=["resource", "position"], name="resource_event_order"),
        ),
        migrations.AddConstraint(
            model_name="resourceevent",
            constraint=models.UniqueConstraint(fields=("resource", "key"), name="resource_event_once"),
        ),
        migrations.AddIndex(
            model_name="resourcelink",
            index=models.Index(fields=["target"], name="resource_link_target"),
        ),
        migrations.AddConstraint(
            model_name="resourcelink",
            constraint=models.UniqueConstraint(
                fields=("resource", "relation", "target"), name="resource_link_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="unitprice",
            constraint=models.UniqueConstraint(
                condition=models.Q(("valid_until", None)),
                fields=("connection", "sku"),
                name="unit_price_one_open",
            ),
        ),
        migrations.AddConstraint(
            model_name="unitprice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("valid_until", None), ("valid_until__gt", models.F("valid_from")), _connector="OR"
                ),
                name="unit_price_order",
            ),
        ),
    ]
