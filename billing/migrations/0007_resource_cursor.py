from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0006_ownership_names")]

    operations = [
        migrations.AddField(
            model_name="meteringcursor",
            name="last_resource_change_id",
            field=models.BigIntegerField(
                db_default=0, default=0, help_text="newest mirror.ResourceChange that was metered"
            ),
        ),
    ]
