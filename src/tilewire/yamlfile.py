"""YAML files as validated records: every fault of a file at once, each with its line."""

from __future__ import annotations

import itertools
import numbers
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarbool import ScalarBoolean

from tilewire.errors import ConfigError, Fault, UsageError, nearest

MAX_BYTES = 256 << 10  # a description is written by people; the parser takes seconds for this much
MAX_DEPTH = 64
MAX_NODES = 100_000  # aliases let a short text stand for any number of values


class Record(BaseModel):
    """Base of everything read from YAML: frozen, unknown keys refused, no silent conversion of strings or booleans to numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


R = TypeVar("R", bound=BaseModel)


def text_of(path: Path) -> str:
    """Content of a YAML file. Raises `UsageError` if it is missing, unreadable or larger than a description can be."""
    if not path.is_file():
        raise UsageError(f"no file '{path}'", hint="check the path")
    try:
        with open(path, "rb") as handle:
            content = handle.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read the file: {error.strerror}", where=str(path)) from error
    if len(content) > MAX_BYTES:
        raise UsageError(f"'{path}' is larger than {MAX_BYTES} bytes", hint="a description is a few lines of YAML")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not YAML", [Fault(str(path), "syntax", str(error))]) from error


def _depth(text: str) -> int:
    """Most brackets that stand open at once: the parser needs quadratic time for them."""
    return max(
        itertools.accumulate((letter in "[{") - (letter in "]}") for letter in text if letter in "[]{}"), default=0
    )


def parse(text: str, name: str) -> Any:
    """One YAML document with its line marks (ruamel round-trip nodes). Raises `ConfigError` naming file and line."""
    if _depth(text) > MAX_DEPTH:
        raise ConfigError(f"{name} is not YAML", [Fault(name, "syntax", f"nested deeper than {MAX_DEPTH} levels")])
    try:
        return YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        fault = Fault(where, "syntax", str(error.problem))
    except RecursionError:
        fault = Fault(name, "syntax", "nested too deep")
    except (
        YAMLError,
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
    ) as error:  # the parser's own slips on odd input included
        fault = Fault(name, "syntax", (str(error) or type(error).__name__).splitlines()[0])
    raise ConfigError(f"{name} is not YAML", [fault])


def read(path: Path) -> Any:
    """`text_of` then `parse`."""
    return parse(text_of(path), str(path))


def plain(node: Any) -> Any:
    """The same content in plain dicts, lists and scalars. Raises ValueError for other types, endless or exploding aliases."""
    try:
        return _plain(node, itertools.count(1))
    except RecursionError as error:
        raise ValueError("nested too deep, or an alias of itself") from error


def _plain(node: Any, count: Iterator[int]) -> Any:
    if next(count) > MAX_NODES:
        raise ValueError(f"stands for more than {MAX_NODES} values")
    if isinstance(node, Mapping):
        return {_plain(key, count): _plain(value, count) for key, value in node.items()}
    if isinstance(node, ScalarBoolean):
        return bool(node)
    if isinstance(node, str):
        return str(node)
    if isinstance(node, numbers.Real) and not isinstance(node, bool):
        return int(node) if isinstance(node, numbers.Integral) else float(node)
    if isinstance(node, tuple):
        return tuple(_plain(value, count) for value in node)
    if isinstance(node, Sequence) and not isinstance(node, bytes):
        return [_plain(value, count) for value in node]
    if node is None or isinstance(node, bool):
        return node
    raise ValueError(f"{node!r:.60} is no text, number, list or mapping")


def line_of(document: Any, path: Sequence[str | int]) -> int | None:
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


def _path(location: Sequence[str | int], document: Any) -> list[str | int]:
    """The keys of a location; the marks that say which type of a union was tried are not keys."""
    path: list[str | int] = []
    node = document
    for key in location:
        inside = isinstance(node, Mapping) and key in node
        if not inside and isinstance(key, str) and ("[" in key or key in ("int", "float", "str")):
            continue
        path.append(key)
        within = inside or (isinstance(node, list) and isinstance(key, int) and key < len(node))
        node = node[key] if within else None
    return path


def _fault(error: Any, model: type[BaseModel], document: Any, name: str) -> Fault:
    path = _path(error["loc"], document)
    line = line_of(document, path)
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
    shown = "" if isinstance(value, dict) else f" (is {reprlib.repr(value)})"
    return Fault(where, key, problem + shown, allowed)


def validate(document: Any, model: type[R], name: str) -> R:
    """Check a parsed document against a record. Raises `ConfigError` that lists all faults with file:line."""
    if not isinstance(document, Mapping):
        raise ConfigError(name, [Fault(name, "file", "holds no mapping of keys to values")])
    try:
        content = plain(document)
    except (ValueError, TypeError) as error:  # TypeError: a mapping as a key
        raise ConfigError(name, [Fault(name, "file", str(error))]) from error
    try:
        return model.model_validate(content)
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
    except (YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"--set {key}: '{text}' is not a YAML value") from error


def with_settings(document: Any, settings: Sequence[str], name: str | None = None) -> Any:
    """Apply ``key.sub=value`` settings (values are YAML) to a parsed mapping. Raises `UsageError` for malformed ones."""
    if settings and not isinstance(document, dict):
        raise UsageError("--set changes keys, but the file holds no mapping of keys to values", where=name)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set '{setting}' is not key=value", hint="for example --set train.epochs=10")
        node: Any = document
        path = [int(part) if part.isdecimal() else part for part in key.strip().split(".")]  # hop classes are numbers
        for part in path[:-1]:
            if not isinstance(node.get(part), dict):
                node[part] = {}
            node = node[part]
        node[path[-1]] = _value(text, key)
    return document
