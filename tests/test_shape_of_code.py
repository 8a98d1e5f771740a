"""The shape of the code: arrows point one way, files and functions stay small, nothing unsafe, every public name explained."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "tilewire"
# Left to right; a module may import from its own band and from bands before it.
BANDS = [
    {"__init__", "errors", "units", "streams", "tables", "student", "yamlfile", "connectivity"},
    {"hardware"},
    {"topology"},
    {"kernels"},
    {"data"},
    {"mapping"},
    {"nn"},
    {"rewire"},
    {"checkpoint"},
    {"config"},
    {"train", "classify"},
    {"simulate"},
    {"cost"},
    {"report", "interchange"},
    {"parts", "shared_phase", "run", "evaluate"},
    {"sweep", "compare"},
    {"statement"},
    {"codesign"},
    {"cascade_recipe"},
    {"cascade_run"},
    {"design"},
    {"search"},
    {"bench"},
    {"terminal"},
    {"cli", "__main__"},
]
FILES = sorted(SOURCE.rglob("*.py"))
LIGHT = (
    "tilewire.connectivity",
    "tilewire.hardware.description",
    "tilewire.mapping.routing",
    "tilewire.mapping.budget",
    "tilewire.cost.estimate",
    "tilewire.cost.design_counts",
    "tilewire.cli.main",
)


def part(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def band(name: str) -> int:
    found = [index for index, names in enumerate(BANDS) if name in names]
    assert found, f"{name} stands in no band: add it to BANDS where it belongs"
    return found[0]


def imports(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tilewire"):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith("tilewire")}
    return names


def module_of(name: str) -> str:
    """The module that an imported name lives in."""
    path = SOURCE.parent / Path(*name.split("."))
    return name if path.with_suffix(".py").exists() or path.is_dir() else name.rpartition(".")[0]


def test_there_is_code() -> None:
    assert len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_one_way(path: Path) -> None:
    own = band(part(path))
    for name in imports(ast.parse(path.read_text())):
        parts = module_of(name).split(".")
        other = parts[1] if len(parts) > 1 else "__init__"
        assert band(other) <= own, f"{path.relative_to(SOURCE)} imports {name} from a later band"


def test_no_import_loop_between_modules() -> None:
    graph: dict[str, set[str]] = {}
    for path in FILES:
        name = ".".join(("tilewire", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
        top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        graph[name] = {module_of(found) for found in imports(ast.Module(top, []))} - {name}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for other in graph.get(name, ()):
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_files_and_functions_are_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 60, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_bags_no_asserts_nothing_unsafe(path: Path) -> None:
    assert path.stem not in {"utils", "util", "misc", "helpers", "helper", "common"}
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.Assert), f"assert in line {node.lineno}"
        assert not (isinstance(node, ast.ExceptHandler) and node.type is None), f"bare except in line {node.lineno}"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {
                "eval",
                "exec",
                "print",
                "torch.load",
                "torch.manual_seed",
                "np.random.seed",
                "pickle.load",
            }
            for keyword in node.keywords:
                risky = keyword.arg in {"allow_pickle", "shell"} and ast.unparse(keyword.value) == "True"
                assert not risky, f"{called}({keyword.arg}=True) in line {node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_public_names_are_explained(path: Path) -> None:
    tree = ast.parse(path.read_text())
    if path.read_text().strip():
        assert ast.get_docstring(tree), "no module docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_tests_mirror_the_code() -> None:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        folder = path.relative_to(ROOT / "tests").parent
        assert folder == Path() or folder.name in {"conformance", "oracle"} or (SOURCE / folder).is_dir(), (
            f"{path} mirrors no folder"
        )


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_import_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'torch', 'plotly', 'matplotlib', 'h5py'}} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_help_imports_no_numerics() -> None:
    code = "import sys, tilewire.cli.main; print(sorted({'torch', 'numpy', 'numba', 'scipy'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_tables_are_not_empty() -> None:
    from tilewire.hardware.description import FAMILIES
    from tilewire.kernels.dispatch import TIERS
    from tilewire.mapping.budgets import BUDGETS
    from tilewire.mapping.placement import PLACERS
    from tilewire.mapping.routing import ROUTERS
    from tilewire.nn.initialise import INITIAL_LAWS
    from tilewire.nn.readout import READOUTS
    from tilewire.rewire.drop import DROP_RULES
    from tilewire.rewire.grow import GROW_RULES

    for table in (FAMILIES, TIERS, BUDGETS, PLACERS, ROUTERS, INITIAL_LAWS, READOUTS, DROP_RULES, GROW_RULES):
        assert type(table) is dict
        assert table
