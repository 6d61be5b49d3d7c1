"""The product's settings with what a test run needs: throw-away secrets and quick password hashing."""

import base64
import os

os.environ.setdefault("SECRET_KEY", "tests-only-" + "x" * 50)
os.environ.setdefault("FIELD_ENCRYPTION_KEYS", "test:" + base64.b64encode(b"k" * 32).decode())
os.environ.setdefault("EMAIL_BACKEND", "django.core.mail.backends.locmem.EmailBackend")
# The services plugin sets both before this module loads; tools (mypy, makemigrations) need no server.
os.environ.setdefault("DATABASE_URL", "postgres:///unused")
os.environ.setdefault("REDIS_URL", "unix:///unused")

from dashboard.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"  # noqa: F405
# Parallel test workers share one Redis: each counts sign-in attempts under its own prefix.
CACHES["default"]["KEY_PREFIX"] = f"desk-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"  # noqa: F405
