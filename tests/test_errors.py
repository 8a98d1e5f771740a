import inspect

from tilewire import errors
from tilewire.errors import ConfigError, Fault, TilewireError, nearest, unknown


def test_every_error_has_one_root_and_a_documented_exit_code():
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
    assert len(kinds) > 8
    for kind in kinds:
        assert issubclass(kind, TilewireError)
        assert kind.exit_code in (1, 2)


def test_text_says_where_what_and_how_to_fix():
    error = TilewireError("37 nets on 32 channels", where="tile 4, port in east", hint="widen tile_in")
    assert str(error) == "tile 4, port in east: 37 nets on 32 channels\n  fix: widen tile_in"
    assert str(TilewireError("only what")) == "only what"


def test_a_config_error_lists_every_fault():
    faults = [Fault("a.yaml:3", "gird", "unknown key", "grid", "grid"), Fault("a.yaml", "name", "missing")]
    error = ConfigError("a.yaml", faults)
    assert error.faults == tuple(faults)
    assert str(error).splitlines() == [
        "a.yaml: 2 faults",
        "  a.yaml:3: gird: unknown key (allowed: grid) (did you mean 'grid'?)",
        "  a.yaml: name: missing",
    ]
    assert str(ConfigError("a.yaml", faults[:1])).startswith("a.yaml: 1 fault\n")


def test_nearest_name():
    assert nearest("negociated", ["one-turn", "negotiated"]) == "negotiated"
    assert nearest("zzz", ["one-turn", "negotiated"]) == ""
    assert unknown("router", "one-trun", {"one-turn": 1, "negotiated": 2}) == (
        "unknown router 'one-trun'; did you mean 'one-turn'? Known: negotiated, one-turn"
    )
    assert "did you mean" not in unknown("router", "zzz", ["one-turn"])
