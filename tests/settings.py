"""The project of the tests. TEST_DATABASE chooses the database; see tests/databases.py."""

from __future__ import annotations

from tests.databases import database_settings
from usage_credits import CreditPack, Operation, SubscriptionPlan, cents, credits

SECRET_KEY = "not a secret"
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"
ALLOWED_HOSTS = ["testserver", "localhost"]
AUTH_USER_MODEL = "app.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": database_settings()}
# The default hasher is slow on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.admin",
    "djstripe",
    "rest_framework",
    "drf_spectacular",
    "usage_credits",
    "tests.app",
]
MIGRATION_MODULES = {"djstripe": "tests.djstripe_tables"}
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
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

REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}

STRIPE_LIVE_MODE = False
STRIPE_TEST_SECRET_KEY = "sk_test_" + "0" * 24
STRIPE_TEST_PUBLIC_KEY = "pk_test_" + "0" * 24
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"

# The examples of the behaviour catalogue.
USAGE_CREDITS = {
    "OPERATIONS": [
        Operation("report", costs=25),
        Operation("img", costs=credits(10) + credits(1).per("mb")),
        Operation("mail", costs=1),
    ],
    "CREDIT_PACKS": [
        CreditPack("starter", gives=1_000, costs=cents(4_900)),
        CreditPack("bonus", gives=500, bonus=100, costs=cents(2_900)),
        CreditPack("hundred", gives=100, costs=cents(1_000)),
    ],
    "SUBSCRIPTION_PLANS": [
        SubscriptionPlan(
            "pro",
            stripe_price="price_pro",
            gives=credits(500).every("month"),
            signup_bonus=100,
            trial_includes=50,
            unused_credits="expire",
        ),
        SubscriptionPlan(
            "prem",
            stripe_price="price_prem",
            gives=credits(2_000).every("month"),
            signup_bonus=200,
            unused_credits="expire",
        ),
        SubscriptionPlan(
            "roll",
            stripe_price="price_roll",
            gives=credits(1_000).every("month"),
            unused_credits="rollover",
        ),
        SubscriptionPlan(
            "ultra",
            stripe_price="price_ultra",
            gives=credits(5_000).every("month"),
            unused_credits="expire",
        ),
    ],
}
