"""YAML files as validated records: every fault of a file at once, each with its line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from tilewire.errors import ConfigError, Fault, UsageError, nearest

MAX_BYTES = 4 << 20  # a description is written by people; anything larger is a mistake or an attack


class Record(BaseModel):
    """Base of everything read from YAML: frozen, unknown keys refused, no silent conversion of strings to numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


R = TypeVar("R", bound=BaseModel)


def read(path: Path) -> Any:
    """Parse one YAML document with its line marks (ruamel round-trip nodes). Raises `ConfigError` naming file and line."""
    if not path.is_file():
        raise UsageError(f"no file '{path}'", hint="check the path; `tilewire hw new` writes a hardware file")
    if path.stat().st_size > MAX_BYTES:
        raise UsageError(f"'{path}' holds {path.stat().st_size} bytes, at most {MAX_BYTES} are read")
    yaml = YAML(typ="rt")
    try:
        return yaml.load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigError(f"{path} is not YAML", [Fault(where, "syntax", str(error.problem))]) from error
    except (YAMLError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"{path} is not YAML", [Fault(str(path), "syntax", str(error).splitlines()[0])]) from error


def plain(node: Any) -> Any:
    """The same content in plain dicts and lists."""
    if isinstance(node, Mapping):
        return {str(key) if isinstance(key, str) else key: plain(value) for key, value in node.items()}
    if isinstance(node, Sequence) and not isinstance(node, str | bytes):
        return [plain(value) for value in node]
    return node


def _line(document: Any, path: Sequence[str | int]) -> int | None:
    """1-based line of the deepest key of ``path`` that the document holds."""
    node, line = document, None
    for key in path:
        marks = getattr(node, "lc", None)
        try:
            line = (marks.key(key) if isinstance(node, Mapping) else marks.item(key))[0] + 1 if marks else line
            node = node[key]
        except (KeyError, IndexError, TypeError, AttributeError):
            break
    return line


def _fields(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Field names of the record that the last key of ``path`` should have been one of."""
    current: type[BaseModel] | None = model
    for key in path[:-1]:
        if current is None or not isinstance(key, str) or key not in current.model_fields:
            continue
        options = [current.model_fields[key].annotation]
        nested: list[type[BaseModel]] = []
        while options:
            option = options.pop()
            options.extend(getattr(option, "__args__", ()))
            if isinstance(option, type) and issubclass(option, BaseModel):
                nested.append(option)
        current = nested[0] if nested else None
    return list(current.model_fields) if current else []


_ALLOWED = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}


def _fault(error: Any, model: type[BaseModel], document: Any, name: str) -> Fault:
    path = [
        key for key in error["loc"] if not (isinstance(key, str) and ("[" in key or key in ("int", "float", "str")))
    ]
    line = _line(document, path)
    where = f"{name}:{line}" if line else name
    key = ".".join(str(part) for part in path) or "file"
    context = error.get("ctx", {})
    allowed = ", ".join(f"{word} {context[short]}" for short, word in _ALLOWED.items() if short in context)
    if "expected" in context:
        allowed = str(context["expected"])
    if error["type"] == "extra_forbidden":
        known = _fields(model, path)
        return Fault(where, key, "unknown key", ", ".join(known), nearest(str(path[-1]), known))
    if error["type"] == "missing":
        return Fault(where, key, "missing")
    message = error["msg"].removeprefix("Value error, ")
    problem = message[0].lower() + message[1:]
    value = error.get("input")
    shown = "" if isinstance(value, dict) else f" (is {value!r})"
    return Fault(where, key, problem + shown, allowed)


def validate(document: Any, model: type[R], name: str) -> R:
    """Check a parsed document against a record. Raises `ConfigError` that lists all faults with file:line."""
    if not isinstance(document, Mapping):
        raise ConfigError(name, [Fault(name, "file", "holds no mapping of keys to values")])
    try:
        return model.model_validate(plain(document))
    except ValidationError as error:
        faults: dict[tuple[str, str], Fault] = {}
        for item in error.errors(include_url=False):
            fault = _fault(item, model, document, name)
            faults.setdefault((fault.where, fault.key), fault)
        raise ConfigError(name, list(faults.values())) from error


def load(path: Path, model: type[R]) -> R:
    """`read` then `validate`."""
    return validate(read(path), model, str(path))


def _value(text: str, key: str) -> Any:
    try:
        return plain(YAML(typ="safe").load(text))
    except YAMLError as error:
        raise UsageError(f"--set {key}: '{text}' is not a YAML value") from error


def with_settings(document: Any, settings: Sequence[str]) -> Any:
    """Apply ``key.sub=value`` settings (values are YAML) to a parsed document. Raises `UsageError` for malformed ones."""
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set '{setting}' is not key=value", hint="for example --set train.epochs=10")
        node, path = document, key.strip().split(".")
        for part in path[:-1]:
            if not isinstance(node.get(part), dict):
                node[part] = {}
            node = node[part]
        node[path[-1]] = _value(text, key)
    return document
