"""KFP's published API as an OpenAPI document, put together from the client that is made of it.

`kfp_server_api` (PyPI) is generated from KFP's Swagger: its models have every field and type, its
methods every path, parameter and answer. This reads them back, so that `prism proxy` can check
what goes to a server and what comes from it.
"""

import ast
import inspect
import re
import textwrap
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import kfp_server_api  # type: ignore[import-untyped]

Schema = dict[str, Any]
SIMPLE: dict[str, Schema] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "datetime": {"type": "string", "format": "date-time"},
    "file": {"type": "string", "format": "binary"},
    "object": {},
}


def document() -> Schema:
    """The whole API as OpenAPI 3.0."""
    paths: Schema = {}
    for path, method, operation in _operations(kfp_server_api.api):
        paths.setdefault(path, {})[method] = operation
    models = {
        name: _model(model)
        for name, model in inspect.getmembers(kfp_server_api.models, inspect.isclass)
    }
    bearer = {"type": "apiKey", "in": "header", "name": "authorization"}
    return {
        "openapi": "3.0.3",
        "info": {"title": "Kubeflow Pipelines", "version": kfp_server_api.__version__},
        "paths": paths,
        "components": {"schemas": models, "securitySchemes": {"Bearer": bearer}},
    }


def _operations(api: ModuleType) -> Iterator[tuple[str, str, Schema]]:
    for name, service in inspect.getmembers(api, inspect.isclass):
        if not name.endswith("ServiceApi"):
            continue
        for method_name, method in inspect.getmembers(service, inspect.isfunction):
            if method_name.endswith("_with_http_info"):
                yield _operation(method_name.removesuffix("_with_http_info"), method)


def _operation(name: str, method: Any) -> tuple[str, str, Schema]:
    """Path, verb and operation, as the method's own code has them."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
    calls = (one for one in ast.walk(tree) if isinstance(one, ast.Call))
    call = next(one for one in calls if getattr(one.func, "attr", "") == "call_api")
    path, verb = (ast.literal_eval(one) for one in call.args[:2])
    answer = next(ast.literal_eval(k.value) for k in call.keywords if k.arg == "response_type")
    doc = inspect.getdoc(method) or ""
    types = dict(re.findall(r":type (\w+): ([^\n]+)", doc))
    required = set(re.findall(r":param (\w+):[^\n]*\(required\)", doc))
    found = list(_parameters(tree))
    parameters = [
        {
            "name": key,
            "in": where,
            "required": where == "path" or own in required,
            "schema": _schema(types[own]),
        }
        for where, key, own in found
        if where in {"path", "query"}
    ]
    operation: Schema = {
        "operationId": name,
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "done",
                "content": {"application/json": {"schema": _schema(answer)}},
            },
            "default": {
                "description": "refused",
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
        },
    }
    for where, key, own in found:
        if where not in {"body", "file"}:
            continue
        schema, kind = _schema(types[own]), "application/json"
        if where == "file":
            schema = {"type": "object", "required": [key], "properties": {key: schema}}
            kind = "multipart/form-data"
        operation["requestBody"] = {"required": True, "content": {kind: {"schema": schema}}}
    return path, verb.lower(), operation


def _parameters(tree: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Where each parameter goes, what it is called there and what in the method."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Name(id="path_params"), slice=ast.Constant(key))],
                value=ast.Subscript(slice=ast.Constant(own)),
            ):
                yield "path", str(key), str(own)
            case ast.Assign(
                targets=[
                    ast.Subscript(value=ast.Name(id="local_var_files"), slice=ast.Constant(key))
                ],
                value=ast.Subscript(slice=ast.Constant(own)),
            ):
                yield "file", str(key), str(own)
            case ast.Assign(
                targets=[ast.Name(id="body_params")], value=ast.Subscript(slice=ast.Constant(own))
            ):
                yield "body", "", str(own)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="query_params"), attr="append"),
                args=[ast.Tuple(elts=[ast.Constant(key), ast.Subscript(slice=ast.Constant(own))])],
            ):
                yield "query", str(key), str(own)
            case _:
                continue


def _model(model: Any) -> Schema:
    """An enumeration, or an object that has these fields and no others."""
    if words := getattr(model, "allowable_values", None):
        return {"type": "string", "enum": list(words)}
    types = model.openapi_types
    if model.__name__ == "ProtobufAny":  # it is any message, with its type as `@type`
        return {"type": "object"}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {json: _schema(types[own]) for own, json in model.attribute_map.items()},
    }


def _schema(kind: str) -> Schema:
    """The schema of a type as the generated client spells it."""
    if kind in SIMPLE:
        return SIMPLE[kind]
    if found := re.fullmatch(r"list\[(.+)\]", kind):
        return {"type": "array", "items": _schema(found[1])}
    if found := re.fullmatch(r"dict\(str, (.+)\)", kind):
        return {"type": "object", "additionalProperties": _schema(found[1])}
    assert hasattr(kfp_server_api, kind), kind
    return {"$ref": f"#/components/schemas/{kind}"}
