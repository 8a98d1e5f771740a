import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from tilewire.errors import ConfigError, TilewireError, UsageError
from tilewire.yamlfile import MAX_BYTES, Record, load, parse, plain, read, validate, with_settings


class Inner(Record):
    size: int = Field(default=1, ge=1, le=9)
    share: float = 0.5


class Outer(Record):
    name: str
    inner: Inner = Inner()
    either: int | str = 0
    rows: tuple[Inner, ...] = Field(default=(), strict=False)


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        validate(parse(text, "f.yaml"), Outer, "f.yaml")
    return [str(fault) for fault in caught.value.faults]


def test_lines_and_nearest_names_at_every_depth():
    found = faults("nmae: x\ninner:\n  size: 12\n  shre: 1\nrows:\n  - size: 1\n  - size: 0\n    zise: 2\n")
    assert found == [
        "f.yaml: name: missing",
        "f.yaml:3: inner.size: input should be less than or equal to 9 (is 12) (allowed: at most 9)",
        "f.yaml:4: inner.shre: unknown key (allowed: size, share) (did you mean 'share'?)",
        "f.yaml:7: rows.1.size: input should be greater than or equal to 1 (is 0) (allowed: at least 1)",
        "f.yaml:8: rows.1.zise: unknown key (allowed: size, share) (did you mean 'size'?)",
        "f.yaml:1: nmae: unknown key (allowed: name, inner, either, rows) (did you mean 'name'?)",
    ]


def test_one_fault_for_a_union():
    assert len(faults("name: x\neither: [1]\n")) == 1


@pytest.mark.parametrize("key", ["g[rid", "str", "int", "'[key]'"])
def test_keys_that_look_like_marks_are_keys(key):
    assert "unknown key" in faults(f"name: x\n{key}: 1\n")[0]


@pytest.mark.parametrize("value", ["'3'", "true", "2.5", "null", "[3]", "{a: 3}", ".nan"])
def test_no_silent_conversion(value):
    assert "inner.size" in faults(f"name: x\ninner: {{ size: {value} }}\n")[0]


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan", "'1'", "true"])
def test_figures_are_finite_numbers(value):
    assert "inner.share" in faults(f"name: x\ninner: {{ share: {value} }}\n")[0]


def test_a_long_value_is_shown_short():
    assert len(faults(f"name: x\ninner: {{ size: {'9' * 5000}x }}\n")[0]) < 300


def test_scalars_become_plain():
    node = plain(
        parse("a: 6e-3\nb: 0x10\nc: 1_000\nd: &t true\ne: *t\nf: |\n  text\ng: null\nh: [1, 2.50]\n1: x\n", "f")
    )
    assert node == {
        "a": 0.006,
        "b": 16,
        "c": 1000,
        "d": True,
        "e": True,
        "f": "text\n",
        "g": None,
        "h": [1, 2.5],
        1: "x",
    }
    assert [type(value) for value in node.values()] == [float, int, int, bool, bool, str, type(None), list, str]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)),
        "a: &a [*a]\n",
        "a: !!python/object/apply:os.system [echo]\nb: !!python/name:os.system ''\n",
        "a: !!binary aGVsbG8=\n",
        "a: 2020-01-01\n",
        "? {a: 1}\n: 2\n",
    ],
    ids=["exploding aliases", "alias of itself", "tags", "bytes", "dates", "mapping as key"],
)
def test_hostile_documents_are_refused(text):
    assert faults(text)


@pytest.mark.parametrize("text", ["[" * 200_000, "a: " + "{b: " * 3000 + "1" + "}" * 3000, "\0", "a: \x07"])
def test_hostile_syntax_is_refused(text):
    with pytest.raises(ConfigError, match="is not YAML"):
        parse(text, "f.yaml")


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    path = tmp_path / "f.yaml"
    with pytest.raises(UsageError, match="no file"):
        read(path)
    with pytest.raises(UsageError, match="no file"):
        read(tmp_path)
    path.write_bytes(b"a: \xff\xfe\n")
    with pytest.raises(ConfigError, match="is not YAML"):
        read(path)
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(UsageError, match=f"larger than {MAX_BYTES}"):
        read(path)
    monkeypatch.setattr("builtins.open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(UsageError, match="Permission denied"):
        read(path)


def test_load(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_text("name: x\nrows: [{ size: 2 }]\n")
    assert load(path, Outer) == Outer(name="x", rows=(Inner(size=2),))


def test_settings():
    document = with_settings({"a": {"b": 1}, "p": {1: 0.5}}, ["a.b=2", "a.c=[1, x]", "d.e=null", "p.1=0.25", "p.3=1"])
    assert document == {"a": {"b": 2, "c": [1, "x"]}, "d": {"e": None}, "p": {1: 0.25, 3: 1}}


@pytest.mark.parametrize("setting", ["a", "=1", " =1", "a=[", "a=!!python/name:os.system ''", "a=&x [*x]"])
def test_malformed_settings(setting):
    with pytest.raises(UsageError, match="--set"):
        with_settings({}, [setting])


def test_settings_need_a_mapping():
    with pytest.raises(UsageError, match="mapping"):
        with_settings(None, ["a=1"])


@settings(deadline=None, max_examples=150)
@given(st.text("ab12[]{}:,-&*!|>'\"#%@? \n\t.", max_size=25))
def test_any_text_is_a_document_or_a_named_error(text):
    shown = "f.yaml"
    try:
        validate(parse(text, "f.yaml"), Outer, "f.yaml")
    except TilewireError as error:
        shown = str(error)
    assert "f.yaml" in shown


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_survive_the_text(value):
    assert math.isclose(plain(parse(f"a: {value!r}", "f"))["a"], value, rel_tol=0, abs_tol=0)
