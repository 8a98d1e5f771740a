"""A small study whose trainings are arithmetic, worker processes for it, and a real PostgreSQL server."""

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tilewire.search.ledger import open_ledger
from tilewire.search.plan import ARMS, Result
from tilewire.search.study import Study, load_study

HERE = Path(__file__).parent
STUDY = """
recipe: mosaic-speech
seed: {seed}
settings: {{ hardware: {{ family: mosaic, grid: [5, 5], neurons_per_tile: 32, channels: {{ router: 9 }} }} }}
space:
  hardware.grid: [[4, 4], [5, 5], [6, 6]]
  hardware.channels.router: {{ low: 1, high: 16, log: true }}
  budget.profile.1: {{ low: 0.05, high: 1.0 }}
objectives: [validation_accuracy, memory_devices]
constraints: ["memory_devices <= 1000000"]
reference: {{ validation_accuracy: 0.0, memory_devices: 1000000 }}
hand: {{ name: the preset, settings: {{ hardware: mosaic-5x5-neighbours }} }}
budget: {{ screen: 300, generations: 3, population: 4, survivors: 2, seeds: 2 }}
"""
spec = importlib.util.spec_from_file_location("toy_worker", HERE / "toy_worker.py")
toy_worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toy_worker)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.format(seed=3))
    return load_study(path)


@pytest.fixture
def arithmetic():
    return lambda draw, rivals: Result("complete", toy_worker.figures(draw.design), curve=(0.1, 0.2))


@pytest.fixture
def start():
    """start(study, folder, storage="-", seconds=0): a worker process of its own; all are ended after the test."""
    children = []

    def begin(study, folder, storage="-", seconds=0.0):
        command = [sys.executable, str(HERE / "toy_worker.py"), str(study.path), str(folder), storage, str(seconds)]
        children.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return children[-1]

    yield begin
    for child in children:
        child.kill()
        child.communicate()


@pytest.fixture
def books():
    """books(study, folder, storage=None): all entries by arm."""

    def read(study, folder, storage=None):
        with open_ledger(study, folder, storage, "toy") as ledger, ledger.exclusive():
            return {arm: ledger.entries(arm) for arm in ARMS}

    return read


@pytest.fixture(scope="session")
def postgres():
    """URL of an empty database of a server of our own. Needs Debian's package `postgresql`; CI fails without it, others skip."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(p) for p in [shutil.which("initdb")] if p]
    if not found:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed")
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="tilewire-postgres-", ignore_cleanup_errors=True) as name:
        yield from _served(found[-1], Path(name))


def _served(initdb, folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user = None
    if os.getuid() == 0:  # the server refuses to run as root
        user = "postgres"
        owner = pwd.getpwnam(user)
        os.chown(folder, owner.pw_uid, owner.pw_gid)

    def run(*words):
        # Not captured: the server would keep the pipe open.
        command = [str(initdb.with_name(words[0])), *words[1:]]
        subprocess.run(command, check=True, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)

    data = folder / "data"
    run("initdb", "-D", str(data), "-U", "tilewire", "-A", "trust", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
    yield f"postgresql://tilewire@127.0.0.1:{port}/postgres"
    run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
