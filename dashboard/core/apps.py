from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "dashboard.core"
    label = "core"

    def ready(self) -> None:
        """Make our Celery application the one that shared tasks find, in every process."""
        import dashboard.celery  # noqa: F401, PLC0415 - importable only once the apps are loaded
