"""Settings of the example. Everything about credits is in USAGE_CREDITS, at the end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dj_database_url

from usage_credits import CreditPack, Operation, SubscriptionPlan, credits, dollars, token_prices, token_rates

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("STUDIO_DATA", BASE_DIR))

# An example, on your own machine only: the key is public, and errors are shown in full.
SECRET_KEY = "studio-example-not-a-secret"
DEBUG = True
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
AUTH_USER_MODEL = "studio.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"
STATIC_URL = "static/"
MEDIA_ROOT = DATA_DIR / "media"
# Mails are printed where the server runs.
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_htmx",
    "djstripe",
    # Before usage_credits: its usage_credits/base.html puts the pages into the studio's layout.
    "studio",
    "usage_credits",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]


def database() -> dict[str, Any]:
    """Return the database of DATABASE_URL, by default an SQLite file beside manage.py."""
    found: dict[str, Any] = dict(
        dj_database_url.parse(os.environ.get("DATABASE_URL", f"sqlite:///{DATA_DIR / 'studio.sqlite3'}"))
    )
    options: dict[str, Any] = found.setdefault("OPTIONS", {})
    if found["ENGINE"].endswith("sqlite3"):
        # IMMEDIATE: a transaction takes the lock when it starts, and so never fails half way for want of it.
        # WAL: readers do not wait for the writer.
        options.setdefault("transaction_mode", "IMMEDIATE")
        options.setdefault("timeout", 20)
        options.setdefault("init_command", "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL")
    elif found["ENGINE"].endswith("mysql"):
        options.setdefault("charset", "utf8mb4")
        found["TEST"] = {"CHARSET": "utf8mb4"}
    return found


DATABASES = {"default": database()}

# dj-stripe's own migrations take about a minute on a new database, which is long for a first look. This creates
# the same tables in one step. Leave it out of a project of your own: dj-stripe could not be upgraded there.
MIGRATION_MODULES = {"djstripe": "project.djstripe_tables"}

STRIPE_LIVE_MODE = False
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
STRIPE_TEST_SECRET_KEY = os.environ.get("STRIPE_TEST_SECRET_KEY", "")
STRIPE_TEST_PUBLIC_KEY = os.environ.get("STRIPE_TEST_PUBLIC_KEY", "")
FAKE_STRIPE_SECRET_KEY = "sk_test_" + "0" * 24
if "STRIPE_API_HOST" in os.environ:
    # A Stripe that is not Stripe: the fake that `manage.py demo` starts. It takes any key.
    STRIPE_API_HOST = os.environ["STRIPE_API_HOST"]
    STRIPE_TEST_SECRET_KEY = FAKE_STRIPE_SECRET_KEY
    STRIPE_TEST_PUBLIC_KEY = "pk_test_" + "0" * 24

# A plan names prices that exist at Stripe; the demo creates these at its fake. What they cost there.
PRO_PRICES = {
    "month": os.environ.get("STUDIO_PRICE_MONTH", "price_studio_pro_month"),
    "year": os.environ.get("STUDIO_PRICE_YEAR", "price_studio_pro_year"),
}
PRO_COSTS = {"month": dollars(15), "year": dollars(150)}

# The language models wait a little before each word, as real ones do: longer by more than 1, and not at all by 0.
LANGUAGE_MODEL_PACE = float(os.environ.get("STUDIO_PACE", 1))

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "EXCEPTION_HANDLER": "usage_credits.contrib.rest_framework.handlers.exception_handler",
}

USAGE_CREDITS = {
    "OPERATIONS": [
        Operation("preview"),
        Operation(
            "render",
            costs=credits(5) + credits(2).per("megapixels"),
            validates=(lambda params: params["megapixels"] <= 4, "A render has at most 4 megapixels."),
        ),
        Operation(
            "upscale",
            costs=credits(3).per("megapixels"),
            validates=(
                lambda params: params["megapixels"] <= 9,
                "This render is too large to be upscaled: the result may have at most 9 megapixels.",
            ),
        ),
        # For 100 tokens that a model reads, and for 100 that it writes; and what its provider charges for a million.
        Operation(
            "chat",
            costs=token_rates(
                {"swift": (credits(1), credits(10)), "deep": (credits(2), credits(30))}, every=100
            ),
            provider_cost=token_prices({"swift": (0.25, 1.25), "deep": (3, 15)}),
        ),
    ],
    "CREDIT_PACKS": [
        CreditPack("starter", gives=60, costs=dollars(6)),
        CreditPack("studio", gives=500, bonus=50, costs=dollars(39)),
    ],
    "SUBSCRIPTION_PLANS": [
        # No payment stands behind this one: it starts with each user's wallet, as studio/models.py says.
        SubscriptionPlan("free", gives=credits(5).every("month")),
        SubscriptionPlan(
            "pro",
            gives=credits(400).every("month"),
            stripe_price=PRO_PRICES,
            signup_bonus=50,
            bonus_once=True,
            unused_credits="rollover",
        ),
    ],
    # Pages warn at 15 credits. Mails go out then, and when a fifth is left of what was bought or awarded last.
    "LOW_BALANCE_THRESHOLD": 15,
    "LOW_BALANCE_THRESHOLDS": ["20%"],
    "CALLBACKS": {
        "low_balance_reached": "studio.mails.warn_of_low_balance",
        "recharge_succeeded": "studio.mails.tell_of_recharge",
        "recharge_failed": "studio.mails.tell_of_failed_recharge",
    },
}
