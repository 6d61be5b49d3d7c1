"""Settings, all from the environment (see .env.example); wiring only.

`make up` fills what is missing from DATA_DIR/secrets. Nothing here reads a file of its own accord.
"""

from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF

from dashboard import env

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"

DEBUG = env.read_flag("DEBUG", default=False)
SECRET_KEY = env.read_text("SECRET_KEY")
# Comma-separated "id:base64key" pairs, newest first: the first encrypts, all decrypt (accounts/crypto.py).
FIELD_ENCRYPTION_KEYS = env.read_list("FIELD_ENCRYPTION_KEYS")
# Loopback is always allowed: health checks and the one-machine default come from there.
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *env.read_list("ALLOWED_HOSTS")]
CSRF_TRUSTED_ORIGINS = env.read_list("CSRF_TRUSTED_ORIGINS")
# True when a proxy in front of us speaks TLS: secure cookies, HSTS and the https redirect hang on it.
HTTPS = env.read_flag("HTTPS", default=False)
TRUSTED_PROXY_COUNT = env.read_integer("TRUSTED_PROXY_COUNT", default=0)

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.usersessions",
    "django_htmx",
    "csp",
    "dashboard.core",
    "dashboard.accounts",
    "dashboard.mirror",
    "billing",
    "dashboard.lifecycle",
    "dashboard.web",
    "dashboard.embedded",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "dashboard.accounts.middleware.RequestContextMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "dashboard.accounts.middleware.CrossSiteMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "dashboard.accounts.middleware.SessionAgeMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    # Everything is behind sign-in unless a view says otherwise (and the permission table agrees).
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "dashboard.accounts.middleware.PermissionMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "dashboard.urls"
ASGI_APPLICATION = "dashboard.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dashboard.web.nav.shell",
            ],
            "builtins": [f"dashboard.web.templatetags.{name}" for name in ("ui", "figures", "costs")],
        },
    }
]

# --- PostgreSQL and Redis ---------------------------------------------------------------------------------------
DATABASES = {
    "default": dj_database_url.parse(
        env.read_text("DATABASE_URL"),
        conn_max_age=env.read_integer("DATABASE_CONN_MAX_AGE_SECONDS", default=60),
        conn_health_checks=True,
    )
}
# Seconds. A page or a task that waits longer waits for nothing good; 0, for migrations, waits for ever.
STATEMENT_TIMEOUT = env.read_integer("DATABASE_STATEMENT_TIMEOUT_SECONDS", default=30)
DATABASES["default"].setdefault("OPTIONS", {})["options"] = (
    f"-c statement_timeout={STATEMENT_TIMEOUT}s -c idle_in_transaction_session_timeout=60s -c lock_timeout=10s"
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = env.read_text("REDIS_URL")
# Shared by all web processes: sign-in lockout counts here. A flush only forgets counters, never a session.
CACHES = {
    "default": {
        "BACKEND": "dashboard.core.cache.FailOpenRedisCache",
        "LOCATION": REDIS_URL.replace("redis+socket://", "unix://"),
        "KEY_PREFIX": "desk",
        "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
    }
}

# --- Celery (what was tried: shared reference 2.1 and 2.5; docs/adr/0002) ----------------------------------------
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 5,
    "socket_connect_timeout": 5,
    "health_check_interval": 10,
}
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = (
    600  # seconds; prefork only. A backfill of 60 days may take minutes, a sync has its own deadline
)
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "lifecycle.*": {"queue": "stops"},
    "mirror.*": {"queue": "sync"},
    "mail.*": {"queue": "mail"},
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"

# --- Together AI: hosts come from the environment only, because a host set in a form would receive the key --------
TOGETHER_BASE_URL = env.read_text("TOGETHER_BASE_URL", default="https://api.together.ai")
TOGETHER_INFERENCE_URL = env.read_text("TOGETHER_INFERENCE_URL", default="")
TOGETHER_METRICS_URL = env.read_text("TOGETHER_METRICS_URL", default="")
TOGETHER_API_KEY = env.read_text("TOGETHER_API_KEY", default="")
# True when the bundled simulator answers: pages then say that the organisation is a demonstration.
SIMULATED = env.read_flag("SIMULATED", default=False)

# Reports go to https addresses in the internet; a receiver in the own network must be allowed to all who may add one.
WEBHOOKS_MAY_REACH_PRIVATE_ADDRESSES = env.read_flag("WEBHOOKS_MAY_REACH_PRIVATE_ADDRESSES", default=False)

# --- Sign-in ------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "overview"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_ADAPTER = "dashboard.accounts.adapter.ClosedSignupAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"  # accounts are made by an Admin, who vouches for the address
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False  # the other sessions end: accounts/adapter.py, set_password
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # no mail to strangers who typed a wrong address
ACCOUNT_SESSION_REMEMBER = False  # the cookie ends with the browser; limits are in accounts/sessions.py
ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip,5/5m/key"}
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXY_COUNT
SESSION_COOKIE_AGE = (
    12 * 3600
)  # how long a row may live; age and idleness are checked in accounts/sessions.py
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
if HTTPS:
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$"]  # probes ask the process itself, behind the proxy
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    if TRUSTED_PROXY_COUNT:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "dashboard.web.views.errors.csrf_failure"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# --- Mail -----------------------------------------------------------------------------------------------------------
EMAIL_BACKEND = "dashboard.accounts.mail_queue.QueuedBackend"
# What the worker of the queue `mail` sends with, and a page when there is no broker.
MAIL_TRANSPORT = env.read_text("EMAIL_BACKEND", default="django.core.mail.backends.smtp.EmailBackend")
EMAIL_HOST = env.read_text("EMAIL_HOST", default="localhost")
EMAIL_PORT = env.read_integer("EMAIL_PORT", default=25)
EMAIL_HOST_USER = env.read_text("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env.read_text("EMAIL_HOST_PASSWORD", default="")
EMAIL_USE_TLS = env.read_flag("EMAIL_USE_TLS", default=False)
EMAIL_USE_SSL = env.read_flag("EMAIL_USE_SSL", default=False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.read_text("DEFAULT_FROM_EMAIL", default="endpoint-desk@localhost")

# --- Pages ----------------------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "dashboard.web.finders.NodeModulesFinder",
]
STATIC_ROOT = Path(env.read_text("STATIC_ROOT", default=str(BASE_DIR / "staticfiles")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"redact": {"()": "dashboard.core.logs.RedactSecrets"}},
    "formatters": {"line": {"()": "dashboard.core.logs.LineFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["redact"]}},
    "root": {"handlers": ["console"], "level": env.read_text("LOG_LEVEL", default="INFO")},
    # httpx names every URL at INFO; our transport logs each call once, by its template and without ids.
    # Celery tells of each task twice; what a task did is a row (SyncRun, ActionStep), what failed is an error.
    "loggers": {
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
