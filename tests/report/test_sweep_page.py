"""The page of a sweep and its plot."""

import json
import math
import re
from dataclasses import asdict
from importlib import resources
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.errors import RunError
from tilewire.report.memory_plot import MARKS, Dot, Plot, colour, log_ticks, marks, memory_plot
from tilewire.report.sweep_page import render, write_sweep_drawings, write_sweep_report
from tilewire.statement.comparison import COUNTS, compare, objective_of
from tilewire.statement.trainings import Training


def content(**changes):
    rows = []
    for group, factor in (("paper", 1.0), ("<ours>", 0.1)):
        for size in (1, 2):
            for seed in range(5):
                values = {objective_of(count): 1000 * factor * size for count in COUNTS} | {"parameters": 10.0 * size}
                rows.append(
                    Training(
                        f"{group}{size}", seed, "mosaic 2x2x8", values | {"test_accuracy": 0.4 * size + 0.01 * seed}
                    )
                )
    rows.append(Training("lost", 1, "", {}, "out of <memory>"))
    found = compare(
        rows,
        {"paper": ["paper"], "<ours>": ["<ours>"]},
        contrasts={"a <tenth>": ("<ours>1", "paper1")},
        rng=np.random.default_rng(0),
    )
    plain = {"schema": 1, "command": "tilewire sweep x.yaml", "trainings": 21, "counts": COUNTS} | asdict(found)
    return json.loads(json.dumps(plain)) | changes


def test_page_says_ratio_floor_failure_and_command():
    page = render("digits", content())
    assert "10×" in page
    assert "floor 2x2x8" in page
    assert "out of &lt;memory&gt;" in page
    assert "<ours>" not in page
    assert "tilewire sweep x.yaml" in page
    assert "20 of 21 trainings" in page
    assert page.count('class="chart"') == len(COUNTS)
    assert "a &lt;tenth&gt;" in page


def test_drawings_stand_alone(tmp_path):
    given = content()
    given["cells"][0]["groups"] = []
    (tmp_path / "comparison.json").write_text(json.dumps(given))
    drawings = write_sweep_drawings(tmp_path)
    assert [path.name for path in drawings] == [f"accuracy_{count}.svg" for count in COUNTS]
    for path in drawings:
        root = ElementTree.fromstring(path.read_text())
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        texts = [element.text for element in root.iter() if element.text]
        assert {"<ours>", "paper", "of no method"} <= set(texts)
        assert sum(element.tag.endswith("circle") for element in root.iter()) == 4 + 3  # cells with figures, legend
        colours = {name for element in root.iter() for name in element.get("class", "").split()}
        assert all(f".{name}" in path.read_text() for name in colours - {"chart", "dot"})
        assert "href" not in path.read_text()
        assert "url(" not in path.read_text()


def test_page_without_sizes_says_what_to_do():
    bare = content()
    for row in bare["cells"]:
        row["figures"] = {k: v for k, v in row["figures"].items() if "memory" not in k}
    bare |= {"ratios": [], "fronts": {name: {} for name in bare["groups"]}}
    assert "--resize" in render("digits", bare)


def test_damaged_comparison_is_an_error(tmp_path):
    for text in ("{", "{}", '{"cells": 3}'):
        (tmp_path / "comparison.json").write_text(text)
        with pytest.raises(RunError, match="no readable comparison"):
            write_sweep_report(tmp_path)


@settings(deadline=None, max_examples=100)
@given(st.floats(1, 1e9), st.floats(1.05, 1e9))
def test_log_ticks_are_inside_and_few(low, factor):
    found = log_ticks(low, low * factor)
    assert all(low <= tick <= low * factor for tick in found)
    assert found == sorted(found)
    assert len(found) <= 10
    assert len(found) >= min(math.log10(factor) - 1, 2) - 1e-9


def test_plot_of_one_lonely_cell():
    dot = Dot(1000.0, 0.5, (None, None), (None, None), None, False, "a & b")
    drawn = memory_plot(Plot([dot], {}, {}), "x")
    assert "a &amp; b" in drawn
    assert "hollow" in drawn
    assert "nan" not in drawn
    assert memory_plot(Plot([], {}, {}), "x") == ""


@given(st.floats(0, 1), st.floats(0, 1))
def test_marks_hold_the_accuracies_and_are_at_least_two(a, b):
    low, high = min(a, b), max(a, b)
    found = marks(low, high)
    assert len(found) >= 2
    assert found == sorted(set(found) & set(MARKS))
    assert found[0] <= low or found[0] == MARKS[-2]
    assert found[-1] >= high or found[-1] == MARKS[-1]


def test_names_of_near_floors_stand_on_rows_of_their_own():
    dot = Dot(5000.0, 0.5, (None, None), (None, None), None, True, "")
    drawn = str(
        memory_plot(Plot([dot], {}, {"mosaic 2x2x8": 1000.0, "mosaic 3x3x8": 1010.0, "mosaic 4x4x8": 4900.0}), "x")
    )
    heights = [float(part.split('y="')[1].split('"')[0]) for part in drawn.split("<text ")[1:] if ">floor" in part]
    assert heights[0] < heights[1]
    assert heights[2] == heights[0]


def test_methods_have_colours_of_their_own() -> None:
    """Ten methods and the cells of none: a class for lines and dots, another colour each, in the light and in the dark scheme."""
    style = resources.files("tilewire.report").joinpath("drawing.css").read_text()
    classes = [colour(None), *(colour(method) for method in range(10))]
    assert len(set(classes)) == 11
    for scheme in style.split("@media")[:2]:
        found = [re.search(rf"--{name}: (#\w+);", scheme) for name in classes]
        assert len({match.group(1) for match in found if match}) == 11
    assert all(f".line.{name} {{" in style and f".dot.{name}," in style for name in classes)


@pytest.mark.parametrize(("devices", "named"), [(2e4, "20 k"), (5e6, "5 M"), (1e9, "1 G"), (1e10, "10 G"), (5, "5")])
def test_marks_of_the_axis_are_short(devices: float, named: str) -> None:
    dots = [Dot(x, 0.5, (None, None), (None, None), 0, True, "") for x in (devices / 1.5, devices * 1.5)]
    assert f">{named}<" in memory_plot(Plot(dots, {}, {}), "x")
