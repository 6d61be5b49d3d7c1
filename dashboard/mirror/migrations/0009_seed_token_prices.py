"""Begin the history of token prices with those that the catalogues tell now.

Without it a model whose entry never changes again would have no price. Each is dated as its entry was last read
changed: since then at least it holds.
"""

from django.db import migrations

FORWARD = """
INSERT INTO mirror_tokenprice (catalogue_model_id, direction, nano_usd, valid_from)
SELECT model.id, price.direction, price.nano_usd, model.observed_at
  FROM mirror_cataloguemodel AS model
 CROSS JOIN LATERAL (VALUES ('input', model.input_nano_usd),
                            ('output', model.output_nano_usd),
                            ('cached', model.cached_input_nano_usd)) AS price (direction, nano_usd)
 WHERE price.nano_usd IS NOT NULL
"""


class Migration(migrations.Migration):
    dependencies = [("mirror", "0008_token_prices")]

    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]
