"""``tilewire hw profile``: one JSON object, refused requests named."""

import json
import sys

import pytest

from tilewire.cli import main as cli

CHIP = "family: mosaic\ngrid: [2, 3]\nneurons_per_tile: 8\nchannels: { router: 4, tile_in: 10 }\n"


@pytest.fixture
def call(monkeypatch, capfd, tmp_path):
    (tmp_path / "chip.yaml").write_text(CHIP)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["tilewire", "hw", "profile", str(tmp_path / "chip.yaml"), *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        shown = capfd.readouterr()
        return caught.value.code, shown.out, shown.err

    return run


def test_profiles_as_json_and_as_text(call):
    code, out, _ = call("--direction", "1:1,3:0.5", "--method", "closed-form", "--json")
    found = json.loads(out)
    assert code == 0
    assert set(found) == {"profile", "scale", "probability", "confidence", "method", "networks", "router"}
    assert found["profile"]["1"] == pytest.approx(min(1.0, found["scale"]))
    code, out, _ = call("--networks", "20", "--confidence", "0.8")
    assert code == 0
    assert "probability 0.8" in out


def test_wrong_requests(call):
    assert call("--method", "guess")[0] == 2
    assert "at least 59 networks" in call("--networks", "20")[2]
    assert "no hop class [2]" in call("--direction", "2:1")[2]
