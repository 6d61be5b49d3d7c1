from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "dashboard.accounts"
    label = "accounts"

    def ready(self) -> None:
        # Registers the start-up check of the encryption keys.
        from dashboard.accounts import checks  # noqa: F401, PLC0415 - models must be loaded first
