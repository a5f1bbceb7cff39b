from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import BaseCommand, CommandParser, get_commands, load_command_class
from django.db import models
from django.test import override_settings

import usage_credits
from tests.contrib.project import app
from tests.plugins import pytest_options
from usage_credits import SubscriptionPlan, checks, conf, signals, testing
from usage_credits.billing import stripe_events
from usage_credits.contrib.rest_framework.urls import api_urls
from usage_credits.dsl.categories import DEFAULT_CATEGORIES
from usage_credits.models import NoticeReason

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if "_build" not in path.parts)
QUICKSTART = "tutorial/quickstart.md"

_BLOCK = re.compile(
    r"^(?P<indent> *)```(?:\{code-block\} )?(?P<language>\w+)\n"
    r"(?: *:caption: (?P<caption>\S+)\n)?(?P<code>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
_SETTING = re.compile(r"^\| \[`(?P<key>\w+)`\]\(#\S+\) \| .+ \| `(?P<default>.+)` \|$", re.MULTILINE)


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> Iterator[tuple[str | None, str]]:
    for block in _BLOCK.finditer(page(name)):
        if block["language"] == language:
            lines = (line.removeprefix(block["indent"]) for line in block["code"].splitlines())
            yield block["caption"], "\n".join(lines)


def quickstart_file(caption: str) -> str:
    (code,) = [code for name, code in blocks(QUICKSTART, "python") if name == caption]
    return code


def documented_defaults() -> dict[str, Any]:
    defaults = dict(_SETTING.findall(page("reference/settings.md")))
    return {key: eval(text, {"timedelta": timedelta}) for key, text in defaults.items()}


def test_document_every_setting() -> None:
    assert list(documented_defaults()) == list(conf.READERS)
    headings = re.findall(r"^## ([A-Z_]+)$", page("reference/settings.md"), re.MULTILINE)
    assert headings == list(conf.READERS)


@pytest.mark.parametrize("key", conf.READERS)
def test_quote_the_default_of_each_setting(key: str) -> None:
    documented = conf.READERS[key](documented_defaults()[key], key)
    assert documented == getattr(conf.Settings(), key.lower())


def test_document_every_signal() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", page("reference/events.md"), re.MULTILINE)
    assert rows == sorted(rows, key=rows.index)
    assert set(rows) == set(signals.ALL)


@pytest.mark.parametrize("field", [field.name for field in fields(signals.EventContext)])
def test_document_every_field_of_a_context(field: str) -> None:
    assert re.search(rf"\b{field}\b", page("reference/events.md"))


def test_document_every_check() -> None:
    assert checks.__file__
    ids = set(re.findall(r"usage_credits\.[EWI]\d{3}", Path(checks.__file__).read_text(encoding="utf-8")))
    assert ids
    assert set(re.findall(r"^## (\S+)$", page("reference/checks.md"), re.MULTILINE)) == ids


def test_document_every_category() -> None:
    section = page("reference/dsl.md").partition("## Categories\n")[2]
    assert set(DEFAULT_CATEGORIES) <= set(re.findall(r"`(\w+)`", section))


def test_document_every_option_of_a_plan() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", page("reference/dsl.md"), re.MULTILINE)
    assert set(rows) == {field.name for field in fields(SubscriptionPlan)} - {"name"}


def test_document_every_event_that_is_received() -> None:
    documented = page("how-to/run-in-production.md") + page("how-to/refunds-and-disputes.md")
    assert set(stripe_events.EVENTS) <= set(re.findall(r"`([\w.]+)`", documented))


@pytest.mark.parametrize(
    "page_name", ["how-to/sell-packs.md", "reference/data-model.md", "reference/events.md"]
)
def test_document_every_reason_of_a_notice(page_name: str) -> None:
    assert set(NoticeReason.values) <= set(re.findall(r"`(\w+)`", page(page_name)))


def own_commands() -> dict[str, BaseCommand]:
    names = [name for name, app in get_commands().items() if app == "usage_credits"]
    return {name: load_command_class("usage_credits", name) for name in names}


def test_document_every_command_and_its_options() -> None:
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page("reference/commands.md"), re.M | re.S))
    assert set(sections) == set(own_commands())
    for name, command in own_commands().items():
        parser = CommandParser()
        command.add_arguments(parser)
        options = {option for action in parser._actions for option in action.option_strings} - {
            "-h",
            "--help",
        }
        assert set(re.findall(r"^\| `(--[\w-]+)", sections[name], re.MULTILINE)) == options


def own_tasks() -> dict[str, inspect.Signature]:
    for module in app.conf.imports:
        import_module(module)
    tasks = {name: task for name, task in app.tasks.items() if name.startswith("usage_credits.")}
    return {name: inspect.signature(task.run) for name, task in tasks.items()}


def test_document_every_task_and_its_arguments() -> None:
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page("reference/tasks.md"), re.M | re.S))
    documented = {
        f"usage_credits.{name}": re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        for name, section in sections.items()
    }
    assert documented == {name: list(signature.parameters) for name, signature in own_tasks().items()}


def test_show_a_schedule_of_tasks_that_exist() -> None:
    ((caption, code),) = [block for block in blocks("how-to/jobs.md", "python") if block[0]]
    settings: dict[str, Any] = {}
    exec(code, settings)
    scheduled = {
        entry["task"]: entry.get("kwargs", {}) for entry in settings["CELERY_BEAT_SCHEDULE"].values()
    }
    assert caption == "settings.py"
    assert settings["CELERY_IMPORTS"] == app.conf.imports
    assert set(scheduled) == set(own_tasks())
    for name, arguments in scheduled.items():
        own_tasks()[name].bind(**arguments)


def test_show_tasks_that_are_sent_with_arguments_they_take() -> None:
    sent = 0
    for _caption, code in blocks("how-to/jobs.md", "python"):
        for node in ast.walk(ast.parse(code)):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="delay" | "enqueue")):
                    arguments = {word.arg: ast.literal_eval(word.value) for word in node.keywords if word.arg}
                    own_tasks()[f"usage_credits.{name}"].bind(**arguments)
                    sent += 1
    assert sent == 4


@pytest.mark.parametrize("language", ["text", "ini"])
def test_show_command_lines_that_are_understood(language: str) -> None:
    code = "\n".join(code for _caption, code in blocks("how-to/jobs.md", language))
    lines = re.findall(r"python manage\.py (\w+)(.*)", code)
    assert lines
    for name, options in lines:
        parser = CommandParser()
        own_commands()[name].add_arguments(parser)
        parser.parse_args(options.split())


def test_document_every_path_of_the_api() -> None:
    documented = re.findall(r"`(?:GET|POST) ([\w/<>]+)`", page("how-to/rest-framework.md"))
    routes = [str(url.pattern).replace("<int:pk>", "<id>").replace("<str:", "<") for url in api_urls()]
    assert documented == routes


@pytest.mark.parametrize("name", usage_credits.__all__)
def test_document_every_public_name(name: str) -> None:
    reference = page("reference/api.md") + page("reference/dsl.md")
    assert re.search(rf"usage_credits\.{name}\b|^`{name}`$", reference, re.MULTILINE)


@pytest.mark.parametrize("name", testing.__all__)
def test_document_every_name_of_testing(name: str) -> None:
    assert re.search(rf"^\| `{name}\(", page("how-to/test-your-project.md"), re.MULTILINE)


@pytest.mark.parametrize(
    "model", list(apps.get_app_config("usage_credits").get_models()), ids=lambda model: model.__name__
)
def test_document_every_table(model: type[models.Model]) -> None:
    parts = page("reference/data-model.md").split(f"`{model._meta.db_table}`")
    assert len(parts) == 2
    section = parts[1].partition("\n## ")[0].partition("\n\n`usage_credits_")[0]
    columns = [field.column for field in model._meta.concrete_fields]
    names = re.findall(r"`(\w+)`", section)
    assert [name for name in names if name in columns][: len(columns)] == columns
    assert {constraint.name for constraint in model._meta.constraints} <= set(names)


@pytest.mark.parametrize("name", PAGES)
def test_show_python_that_parses(name: str) -> None:
    for _caption, code in blocks(name, "python"):
        is_setting = code.lstrip().startswith('"')
        lines = "\n".join(f"{line}," for line in code.splitlines() if line)
        ast.parse(f"{{\n{lines}\n}}" if is_setting else code)


@pytest.mark.parametrize(
    "caption", ["mysite/settings.py", "mysite/urls.py", "accounts/models.py", "accounts/views.py"]
)
def test_show_quickstart_that_compiles(caption: str) -> None:
    compile(quickstart_file(caption), caption, "exec")


def test_show_quickstart_settings_that_work() -> None:
    namespace: dict[str, Any] = {"INSTALLED_APPS": [], "DATABASES": {"default": {}}}
    exec(quickstart_file("mysite/settings.py"), namespace)
    with override_settings(USAGE_CREDITS=namespace["USAGE_CREDITS"]):
        assert checks.check_settings() == []
        assert conf.current().catalogue.operation_names == ("send_email", "process_image")


SPENDING = """
import doctest

import django

django.setup()
raise SystemExit(doctest.testfile("session.txt", module_relative=False).failed)
"""

SHOPPING = """
import django

django.setup()

from django.test import Client
from django.test.utils import setup_test_environment

from accounts.models import User
from usage_credits.testing import FakeStripe, receive_webhooks, use_fake_stripe

setup_test_environment()
user = User.objects.get()
buyer = Client()
buyer.force_login(user)
with use_fake_stripe(FakeStripe()) as fake:
    receive_webhooks()
    answer = buyer.post("/buy/starter/")
    (session,) = fake.all("checkout.session")
    assert (answer.status_code, answer["Location"]) == (302, session["url"])
    fake.pay(session)
    assert set(fake.deliver_pending()) == {200}
print(user.credits)
"""


def test_follow_the_quickstart(tmp_path: Path) -> None:
    def run(*command: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "mysite.settings"}
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    run("-m", "django", "startproject", "mysite", ".", "--settings=tests.settings")
    run("-m", "django", "startapp", "accounts", "--settings=tests.settings")
    settings = tmp_path / "mysite/settings.py"
    # dj-stripe's own migrations take a minute.
    skipped = 'MIGRATION_MODULES = {"djstripe": None}'
    settings.write_text(f"{settings.read_text()}\n{quickstart_file('mysite/settings.py')}\n{skipped}\n")
    for caption in ("accounts/models.py", "accounts/views.py", "mysite/urls.py"):
        (tmp_path / caption).write_text(quickstart_file(caption))
    session = "\n".join(code for _caption, code in blocks(QUICKSTART, "pycon"))
    (tmp_path / "session.txt").write_text(session)
    (tmp_path / "spending.py").write_text(SPENDING)
    (tmp_path / "shopping.py").write_text(SHOPPING)

    run("manage.py", "makemigrations", "accounts")
    run("manage.py", "check", "--fail-level", "WARNING")
    run("manage.py", "migrate", "--run-syncdb")
    run("spending.py")
    assert f"\n{run('shopping.py')}\n" in page(QUICKSTART)
    for command in re.findall(r"\* +python manage\.py (\w+)", page(QUICKSTART)):
        run("manage.py", command)


TESTING = "how-to/test-your-project.md"


def test_run_the_tests_of_the_how_to(tmp_path: Path) -> None:
    files: dict[str, list[str]] = {}
    for caption, code in blocks(TESTING, "python"):
        if caption:
            files.setdefault(caption, []).append(code)
    assert set(files) == {"settings.py", "test_credits.py", "test_january.py"}
    definitions = "CreditPack, Operation, SubscriptionPlan, credits, dollars"
    project = f"from tests.settings import *\nfrom usage_credits import {definitions}\n"
    user = "import pytest\n\n@pytest.fixture\ndef user(db, django_user_model):\n    "
    files["settings.py"].insert(0, project)
    files["conftest.py"] = [user + 'return django_user_model.objects.create(username="ada")\n']
    for caption, codes in files.items():
        (tmp_path / caption).write_text("\n\n".join(codes))
    (tmp_path / "pytest.ini").touch()
    # Without dj-stripe's migrations, as the page has it, only SQLite makes its tables in any order.
    environment = {**os.environ, "TEST_DATABASE": "sqlite"}
    environment |= {"PYTHONPATH": f"{ROOT}:{tmp_path}", "DJANGO_SETTINGS_MODULE": "settings"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *pytest_options()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout
