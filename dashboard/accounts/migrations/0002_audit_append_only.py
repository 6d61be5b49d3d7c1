"""Refuse UPDATE, DELETE and TRUNCATE on the audit trail, whoever asks."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION accounts_refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER audit_refuse_change BEFORE UPDATE OR DELETE ON accounts_auditevent
    FOR EACH ROW EXECUTE FUNCTION accounts_refuse_audit_change();
CREATE TRIGGER audit_refuse_truncate BEFORE TRUNCATE ON accounts_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION accounts_refuse_audit_change();
"""

BACKWARD = """
DROP TRIGGER audit_refuse_truncate ON accounts_auditevent;
DROP TRIGGER audit_refuse_change ON accounts_auditevent;
DROP FUNCTION accounts_refuse_audit_change();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
