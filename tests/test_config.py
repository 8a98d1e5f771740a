import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.cascade_recipe import is_cascade, load_cascade
from tilewire.config import Recipe, dump, load_recipe, recipes
from tilewire.errors import ConfigError, TilewireError, UsageError
from tilewire.yamlfile import parse, validate

RECIPE = """\
seed: 4
hardware: mosaic-5x5-speech
budget:
  profile: { 1: 1.0, 3: 0.1 }
train:
  epochs: 3
  lr: 6e-3
  rate: { low: 0.01, high: 0.2 }
"""


def written(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return str(path)


def packaged(name):
    return load_cascade(name, []) if is_cascade(name) else load_recipe(name)


def test_packaged_recipes_load():
    assert "mosaic-speech" in recipes()
    for name in recipes():
        assert packaged(name).train.epochs >= 1


def test_values_reach_their_places(tmp_path):
    recipe = load_recipe(written(tmp_path, RECIPE), ["train.epochs=5", "budget.profile.3=0.25", "network.inputs=dense"])
    assert recipe.seed == 4
    assert recipe.train.epochs == 5
    assert recipe.train.lr == 0.006
    assert recipe.budget.profile == {1: 1.0, 3: 0.25}
    assert recipe.network.inputs == "dense"
    assert recipe.train.batch == Recipe().train.batch


def test_json_is_yaml(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"budget": {"profile": {1: 0.5}}, "network": {"input_tiles": [0, 1]}}))
    recipe = load_recipe(str(path))
    assert recipe.budget.profile == {1: 0.5}
    assert recipe.network.input_tiles == (0, 1)


def test_a_chip_beside_the_recipe(tmp_path):
    (tmp_path / "chip.yaml").write_text("family: mosaic\n")
    recipe = load_recipe(written(tmp_path, "hardware: chip.yaml\n"))
    assert recipe.hardware == str(tmp_path / "chip.yaml")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("train:", "trian:", "recipe.yaml:5: trian: unknown key"),
        ("epochs: 3", "epohcs: 3", "did you mean 'epochs'?"),
        ("epochs: 3", "epochs: 0", "recipe.yaml:6: train.epochs"),
        ("epochs: 3", "epochs: '3'", "valid integer"),
        ("epochs: 3", "epochs: true", "valid integer"),
        ("epochs: 3", "epochs: 2.5", "integer"),
        ("lr: 6e-3", "lr: -1", "greater than 0"),
        ("lr: 6e-3", "lr: 1e30", "at most 1000"),
        ("lr: 6e-3", "lr: .nan", "finite"),
        ("lr: 6e-3", "lr: fast", "'fast'"),
        ("low: 0.01", "low: 0.5", "low 0.5 is above high 0.2"),
        ("seed: 4", "seed: -1", "at least 0"),
        ("seed: 4", "seed: 9223372036854775808", "less than"),
        ("{ 1: 1.0, 3: 0.1 }", "{ one: 1.0 }", "recipe.yaml:4: budget.profile.one"),
        ("{ 1: 1.0, 3: 0.1 }", "[1.0, 0.1]", "recipe.yaml:4: budget.profile"),
        ("{ 1: 1.0, 3: 0.1 }", "{ 1: lots }", "recipe.yaml:4: budget.profile.1"),
        ("hardware: mosaic-5x5-speech", "hardware: 5", "recipe.yaml:2: hardware"),
        ("hardware: mosaic-5x5-speech", "router: two-turn", "'one-turn' or 'negotiated'"),
    ],
)
def test_one_mistake(tmp_path, old, new, says):
    assert old in RECIPE
    with pytest.raises(ConfigError) as caught:
        load_recipe(written(tmp_path, RECIPE.replace(old, new)))
    assert says in str(caught.value)


def test_all_mistakes_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_recipe(written(tmp_path, RECIPE.replace("epochs: 3", "epochs: 0").replace("seed: 4", "sead: 4")))
    assert {fault.key for fault in caught.value.faults} == {"sead", "train.epochs"}


def test_names_that_are_no_recipe(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'mosaic-speech'"):
        load_recipe("mosaic-spech")
    with pytest.raises(UsageError, match="no file"):
        load_recipe(str(tmp_path / "absent.yaml"))
    with pytest.raises(ConfigError, match="holds no mapping"):
        load_recipe(written(tmp_path, "- 1\n"))


UNIT = st.floats(0, 1)
POSITIVE = st.floats(1e-9, 1e3)


@settings(deadline=None, max_examples=40)
@given(
    st.fixed_dictionaries(
        {
            "seed": st.integers(0, 2**63 - 1),
            "hardware": st.sampled_from(["mosaic-5x5-speech", "on", "1e3", "~"])
            | st.just({"family": "mosaic", "grid": [2, 3], "name": "1: #x"}),
            "budget": st.fixed_dictionaries({"profile": st.dictionaries(st.integers(1, 99), UNIT)}),
            "train": st.fixed_dictionaries({"lr": POSITIVE, "floor": UNIT, "epochs": st.integers(1, 10**6)}),
            "data": st.fixed_dictionaries(
                {
                    "name": st.text("abc: #'\"\n-é", min_size=1, max_size=9),
                    "options": st.dictionaries(st.text("ab", min_size=1), POSITIVE),
                }
            ),
        }
    )
)
def test_a_dumped_recipe_is_the_recipe(content):
    recipe = Recipe.model_validate(content)
    text = dump(recipe)
    again = validate(parse(text, "config.yaml"), Recipe, "config.yaml")
    assert again == recipe
    assert dump(again) == text


def test_packaged_recipes_survive_a_dump():
    for name in recipes():
        recipe = packaged(name)
        assert validate(parse(dump(recipe), "c"), type(recipe), "c") == recipe


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_a_mutated_recipe_is_a_recipe_or_a_named_error(data):
    text = RECIPE
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(at, min(at + 8, len(text))))
        text = text[:at] + data.draw(st.text("[]{}:,-&*!|>'\"#%@ \n\t0123456789.eaxmn", max_size=6)) + text[end:]
    shown = "recipe.yaml"
    try:
        dump(validate(parse(text, "recipe.yaml"), Recipe, "recipe.yaml"))
    except TilewireError as error:
        shown = str(error)
    assert "recipe.yaml" in shown
