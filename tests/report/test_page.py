"""The page of a run: self-contained, escaped, complete, and still there when pieces are missing or hostile."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tilewire.errors import RunError
from tilewire.report.page import write_report

EVIL = "</script><img src=x onerror=alert(1)>\"'&"
VOID = {"meta", "img", "br", "link", "input"}


class Reader(HTMLParser):
    """Collects elements, attributes and text, and holds the tags to be balanced."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == [], "unbalanced tags"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def page_of(folder: Path) -> str:
    path = write_report(folder)
    assert path == folder / "report.html"
    return path.read_text(encoding="utf-8")


def change(folder: Path, name: str, edit: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((folder / name).read_text())
    edit(content)
    (folder / name).write_text(json.dumps(content))


def test_all_parts_stand_in_reading_order(made: Any) -> None:
    text = Reader(page_of(made.path)).text
    parts = [
        "fits",
        "Test accuracy",
        "Chip map",
        "Tightest ports",
        "Wiring",
        "Training",
        "Confusion",
        "Objectives",
        "Provenance",
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    for figure in ("91.2 %", "80.2 %", "+11.1 points", "123,456", f"{made.fabric.memory().total:,}"):
        assert figure in text
    for word in ("synthetic data, not SHD", "no constant 'synapse_energy'", "tilewire run config.yaml", "ab" * 32):
        assert word in text
    assert "Not on this page" not in text


def test_the_page_asks_nothing_of_a_network(made: Any) -> None:
    page = page_of(made.path)
    reader = Reader(page)
    assert not {"link", "img", "iframe", "object", "embed", "base"} & reader.elements.keys()
    assert not [a for a in reader.attributes if a[1] in ("src", "href", "srcset", "action", "data", "poster")]
    assert not [a for a in reader.attributes if a[1].startswith("on")]
    assert "url(" not in page
    assert "@import" not in page
    policy = next(value for _, _, value in reader.attributes if "default-src" in value)
    script = page[page.rindex("<script>") + len("<script>") : page.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none';")
    assert f"script-src 'sha256-{digest}';" in policy
    assert len(page) < 1_000_000


def test_every_link_is_drawn_with_its_nets_and_channels(made: Any) -> None:
    reader = Reader(page_of(made.path))
    tips = [value for tag, name, value in reader.attributes if tag == "path" and name == "data-tip"]
    expected = Counter(
        f"{made.fabric.link_name(i)}\nnets\t{made.mapping.load[i]}\nchannels\t{made.fabric.capacity[i]}"
        for i in range(made.fabric.n_links)
    )
    assert Counter(tips) == expected
    assert sum(name == "data-tile" for _, name, _ in reader.attributes) == made.fabric.n_tiles


def test_traces_hold_every_net_once(made: Any) -> None:
    store = re.search(r'id="traces">(.*?)</script>', page_of(made.path))
    assert store is not None
    rows = np.array(json.loads(store[1])).reshape(-1, 3)
    load = np.bincount(rows[:, 1], weights=rows[:, 2], minlength=made.fabric.n_links)
    np.testing.assert_array_equal(load, made.mapping.load)


def test_an_overload_is_named_in_the_title_and_marked_on_the_map(maker: Callable[..., Any]) -> None:
    run = maker((3, 2), 5, "{ router: 1, tile_in: 5 }")
    page = page_of(run.path)
    text, worst = Reader(page).text, run.mapping.violations[0]
    assert run.mapping.verdict == "infeasible"
    title = re.search(r"<h1>(.*?)</h1>", page)
    assert title is not None
    assert f"carries {worst.load} nets, has {worst.limit} channels" in title[1]
    assert f"{len(run.mapping.violations)} of" in text
    assert len(re.findall(r'class="link over', page)) == len(run.mapping.violations)


@pytest.mark.parametrize(
    "name", ["config.yaml", "manifest.json", "metrics.jsonl", "mapping.npz", "hardware.yaml", "evaluation.json"]
)
@pytest.mark.parametrize("damage", [None, b"", b"\xff\x00{[", b"[1, 2]", b"null\n7\n"])
def test_a_missing_or_damaged_file_shortens_the_page(made: Any, name: str, damage: bytes | None) -> None:
    if damage is None:
        (made.path / name).unlink()
    else:
        (made.path / name).write_bytes(damage)
    reader = Reader(page_of(made.path))
    assert reader.elements["h1"] == 1
    if damage is None:
        assert name in reader.text


@pytest.mark.parametrize("value", [None, "text", -3, 1e400, [], {}, [[1]], True, 10**400], ids=lambda v: str(v)[:6])
def test_fields_of_any_type_do_not_stop_the_page(maker: Callable[..., Any], value: object) -> None:
    made = maker((1, 2), 2, "{ router: 9, tile_in: 9 }", epochs=2)
    content = json.loads((made.path / "evaluation.json").read_text())
    for key in [*content]:
        (made.path / "evaluation.json").write_text(json.dumps({**content, key: value}))
        Reader(page_of(made.path))
        inner = content[key]
        for part in inner if isinstance(inner, dict) else ():
            (made.path / "evaluation.json").write_text(json.dumps({**content, key: {**inner, part: value}}))
            Reader(page_of(made.path))
    (made.path / "evaluation.json").write_text(json.dumps(content))
    record = json.loads((made.path / "metrics.jsonl").read_text().splitlines()[0])
    (made.path / "metrics.jsonl").write_text("".join(json.dumps({**record, key: value}) + "\n" for key in record))
    Reader(page_of(made.path))


def test_names_from_files_are_text(made: Any) -> None:
    def spoil(content: dict[str, Any]) -> None:
        content["verdict"] = content["tilewire"] = content["seed"] = EVIL
        content["data"] |= {
            "name": EVIL,
            "kind": EVIL,
            "digest": EVIL,
            "classes": [EVIL, "b", "c"],
            "samples": {EVIL: EVIL},
        }
        content["hardware"] |= {"name": EVIL, "grid": [EVIL], "hash": EVIL}
        content["budget"] |= {"kind": EVIL}
        content["memory"]["by_kind"] |= {EVIL: 5}
        content["mapping"]["router"] = EVIL
        content["objectives"][EVIL] = {"value": EVIL, "unit": EVIL, "sense": EVIL, "source": EVIL}

    change(made.path, "evaluation.json", spoil)
    change(made.path, "manifest.json", lambda content: content.update(packages={EVIL: EVIL}, kernel_tier=EVIL))
    lines = [json.loads(line) for line in (made.path / "metrics.jsonl").read_text().splitlines()]
    (made.path / "metrics.jsonl").write_text("".join(json.dumps({**r, "density": {EVIL: 0.5}}) + "\n" for r in lines))
    (made.path / "config.yaml").write_text(f"# {EVIL}\nseed: 1\n")
    hardware = (made.path / "hardware.yaml").read_text()
    (made.path / "hardware.yaml").write_text(hardware.replace("name: chip", f"name: {json.dumps(EVIL)}"))
    reader = Reader(page_of(made.path))
    assert reader.elements["img"] == 0
    assert reader.elements["script"] == 2
    assert not [a for a in reader.attributes if a[1].startswith("on")]
    assert EVIL in "".join(reader.words)


def test_one_epoch_without_validation(maker: Callable[..., Any]) -> None:
    text = Reader(page_of(maker((2, 2), 3, "{ router: 9, tile_in: 9 }", epochs=1, validation=False).path)).text
    assert "Accuracy" in text
    assert "validation 0" not in text


@pytest.mark.parametrize("grid", [(1, 1), (1, 4), (9, 8)])
def test_other_grids(maker: Callable[..., Any], grid: tuple[int, int]) -> None:
    text = Reader(page_of(maker(grid, 2, "{ router: 9, tile_in: 9 }").path)).text
    assert ("grid row" in text) == (grid[0] * grid[1] > 64)


def test_input_and_output_tiles_are_marked(made: Any) -> None:
    page = page_of(made.path)
    assert page.count(">inputs</text>") == 2
    assert page.count(">outputs</text>") == 1


def test_the_same_folder_gives_the_same_page(made: Any) -> None:
    assert page_of(made.path) == page_of(made.path)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run here"):
        write_report(tmp_path)
