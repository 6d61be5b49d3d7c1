"""What must be right before anything starts: said in one sentence each, by `manage.py check` and every command."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from dashboard.accounts import crypto


@register
def check_field_encryption_keys(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Refuse to start without usable keys for the secrets in the database."""
    try:
        crypto.read_keys()
    except crypto.KeyConfigurationError as error:
        return [
            Error(
                str(error),
                hint="32 random bytes in base64, e.g. FIELD_ENCRYPTION_KEYS=k1:$(head -c 32 /dev/urandom | base64)",
                id="accounts.E001",
            )
        ]
    return []
