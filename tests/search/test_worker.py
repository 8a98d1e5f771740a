import random
import signal
import time

import pytest

from tilewire.errors import RunError
from tilewire.search.ledger import open_ledger
from tilewire.search.plan import ARMS
from tilewire.search.study import load_study
from tilewire.search.worker import work


def undisturbed(study, folder, evaluate):
    with open_ledger(study, folder, None, "toy") as ledger:
        work(study, ledger, evaluate)


@pytest.fixture
def alone(study, tmp_path, arithmetic, books):
    """What one worker that nobody disturbs leaves in the books."""
    undisturbed(study, tmp_path / "alone", arithmetic)
    return books(study, tmp_path / "alone")


def told(folder):
    lines = folder.with_suffix(".told").read_text().splitlines()
    return [(word, arm, int(k)) for word, arm, k, _ in (line.split() for line in lines)]


def test_a_study_makes_all_its_draws_once(alone):
    assert [len(alone[arm]) for arm in ARMS] == [16, 16, 2]
    for entries in alone.values():
        assert [draw.k for draw, _ in entries] == list(range(len(entries)))
        assert all(result.state == "complete" for _, result in entries)
        short = [str(draw.design) for draw, _ in entries if draw.stage == "short"]
        assert len(set(short)) == len(short)


def test_other_seeds_draw_other_designs(study, tmp_path, alone, arithmetic, books):
    path = tmp_path / "other.yaml"
    path.write_text(study.path.read_text().replace("seed: 3", "seed: 4"))
    other = load_study(path)
    undisturbed(other, tmp_path / "other", arithmetic)
    assert books(other, tmp_path / "other") != alone


def test_any_number_of_workers_makes_the_same_draws(study, tmp_path, alone, start, books):
    workers = [start(study, tmp_path / "two", seconds=0.01) for _ in range(2)]
    for worker in workers:
        assert worker.wait(300) == 0, worker.stderr.read()
    assert books(study, tmp_path / "two") == alone
    begun = [(arm, k) for word, arm, k in told(tmp_path / "two") if word == "begin"]
    assert len(begun) == len(set(begun)) == 34


def kills(study, folder, storage, start, count, rng, seconds):
    """Two workers, one of which is killed again and again at a random moment."""
    workers = [start(study, folder, storage, seconds) for _ in range(2)]
    done = 0
    while done < count and any(worker.poll() is None for worker in workers):
        time.sleep(rng.uniform(0.0, 1.2))
        victim = rng.choice(workers)
        if victim.poll() is None:
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            done += 1
        workers[workers.index(victim)] = start(study, folder, storage, seconds)
    last = time.monotonic()
    for worker in workers:
        assert worker.wait(300) == 0, worker.stderr.read()
    return done, time.monotonic() - last


def no_entered_draw_is_begun_again(folder):
    entered = set()
    for word, arm, k in told(folder):
        if word == "entered":
            entered.add((arm, k))
        else:
            assert (arm, k) not in entered


def test_killed_workers_lose_nothing(study, tmp_path, alone, start, books):
    kills(study, tmp_path / "killed", "-", start, 4, random.Random(1), 0.1)
    assert books(study, tmp_path / "killed") == alone
    no_entered_draw_is_begun_again(tmp_path / "killed")


@pytest.mark.slow
def test_a_hundred_kills_lose_nothing(study, tmp_path, start, books, arithmetic):
    """The same study over and over, until workers were killed a hundred times."""
    total, rng, repeat, waits = 0, random.Random(2), 0, []
    undisturbed(study, tmp_path / "alone", arithmetic)
    wanted = books(study, tmp_path / "alone")
    while total < 100:
        folder = tmp_path / f"killed-{repeat}"
        done, wait = kills(study, folder, "-", start, 100 - total, rng, 0.4)
        total, repeat = total + done, repeat + 1
        waits.append(wait)
        assert books(study, folder) == wanted
        no_entered_draw_is_begun_again(folder)
    print(f"{total} kills in {repeat} studies")


def test_a_restarted_worker_takes_over_at_once(study, tmp_path, start):
    folder = tmp_path / "dead"
    first = start(study, folder, seconds=600)
    while not folder.with_suffix(".told").is_file() or not told(folder):
        time.sleep(0.05)
    first.kill()
    first.wait()
    begun = time.monotonic()
    start(study, folder, seconds=600)
    while len(told(folder)) < 2:
        time.sleep(0.05)
        assert time.monotonic() - begun < 60
    assert told(folder)[1] == told(folder)[0]  # the same draw, not another one


def test_workers_on_a_database_make_the_same_draws(study, tmp_path, alone, start, books, postgres):
    workers = [start(study, tmp_path / "pg", postgres, 0.01) for _ in range(2)]
    for worker in workers:
        assert worker.wait(300) == 0, worker.stderr.read()
    assert books(study, tmp_path / "pg", postgres) == alone


def test_a_changed_study_is_refused(study, tmp_path, alone):
    text = study.path.read_text().replace("population: 4", "population: 5")
    study.path.write_text(text)
    with pytest.raises(RunError, match="budget changed"):
        open_ledger(load_study(study.path), tmp_path / "alone", None, "toy")


def test_a_database_that_is_not_there_is_named(study, tmp_path):
    with pytest.raises(RunError, match="cannot reach the database") as caught:
        open_ledger(study, tmp_path, "postgresql://me:secret@127.0.0.1:1/none", "toy")
    assert "secret" not in str(caught.value)
    with pytest.raises(RunError, match="no books behind"):
        open_ledger(study, tmp_path, "redis://here", "toy")


def test_a_full_disk_is_named_and_leaves_the_study_intact(study, tmp_path, arithmetic, alone, books, monkeypatch):
    import tilewire.search.ledger as module

    written, real = [0], module.os.fsync

    def fsync(handle):
        written[0] += 1
        if written[0] == 40:
            with open(tmp_path / "full" / module.JOURNAL, "ab") as journal:
                journal.write(b'{"half a li')
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr("os.fsync", fsync)
    with pytest.raises(RunError, match="No space left on device"):
        undisturbed(study, tmp_path / "full", arithmetic)
    monkeypatch.undo()
    undisturbed(study, tmp_path / "full", arithmetic)
    assert books(study, tmp_path / "full") == alone
