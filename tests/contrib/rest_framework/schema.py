"""The OpenAPI schema of the API, and whether an answer is what it says."""

from __future__ import annotations

import functools
import re
from typing import Any

import jsonschema
from drf_spectacular.generators import SchemaGenerator

URLCONF = "tests.contrib.rest_framework.api"


@functools.cache
def api_schema() -> dict[str, Any]:
    generator: Any = SchemaGenerator
    schema: dict[str, Any] = generator(urlconf=URLCONF).get_schema(request=None, public=True)
    return schema


def check_answer(method: str, path: str, answer: Any) -> None:
    """Fail where the schema does not have the path, the status, the media type, or a property of the body."""
    operation = operation_of(method, path)
    described = operation["responses"].get(str(answer.status_code))
    assert described, f"{method} {path} answered {answer.status_code}: {answer.content!r}"
    media_type = answer["Content-Type"].partition(";")[0]
    assert media_type in described["content"], f"{method} {path} answered {media_type}"
    body = as_json_schema(described["content"][media_type]["schema"])
    components = {
        "schemas": {name: closed(one) for name, one in api_schema()["components"]["schemas"].items()}
    }
    validator = jsonschema.Draft202012Validator(
        {**body, "components": components}, format_checker=jsonschema.FormatChecker()
    )
    validator.validate(answer.json())


def operation_of(method: str, path: str) -> dict[str, Any]:
    for template, operations in api_schema()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path.partition("?")[0]):
            operation: dict[str, Any] = operations[method.lower()]
            return operation
    raise AssertionError(f"the schema has no {path}")


def closed(component: dict[str, Any]) -> Any:
    """Return a component that has no other properties than those it names."""
    return as_json_schema({"additionalProperties": False, **component})


def as_json_schema(part: Any) -> Any:
    """Return OpenAPI 3.0 as JSON Schema: it says in another way that something may be null."""
    if isinstance(part, list):
        return [as_json_schema(one) for one in part]
    if not isinstance(part, dict):
        return part
    plain = {name: as_json_schema(one) for name, one in part.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if part.get("nullable") is True else plain
