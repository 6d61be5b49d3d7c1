"""Refuse UPDATE, DELETE and TRUNCATE on the ledger and on closed statements, whoever asks."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION billing_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER ledger_refuse_change BEFORE UPDATE OR DELETE ON billing_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER ledger_refuse_truncate BEFORE TRUNCATE ON billing_ledgerentry
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER statement_refuse_change BEFORE UPDATE OR DELETE ON billing_statement
    FOR EACH ROW EXECUTE FUNCTION billing_refuse_change();
CREATE TRIGGER statement_refuse_truncate BEFORE TRUNCATE ON billing_statement
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse_change();
"""

BACKWARD = """
DROP TRIGGER statement_refuse_truncate ON billing_statement;
DROP TRIGGER statement_refuse_change ON billing_statement;
DROP TRIGGER ledger_refuse_truncate ON billing_ledgerentry;
DROP TRIGGER ledger_refuse_change ON billing_ledgerentry;
DROP FUNCTION billing_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_ledger")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
