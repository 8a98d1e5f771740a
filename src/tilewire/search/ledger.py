"""The books of a study: every draw and its result, kept by the search engine's storage, touched by one worker at a time.

A draw is a trial of the engine (so its dashboard shows a study), WAITING until a worker takes it, RUNNING with the name of that worker. The
engine's own heartbeat does not cover trials that are asked for and told by hand, so the books ask `Locks` who is alive: a draw whose
worker is dead is taken over, and its training continues from its last checkpoint.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tilewire.errors import RunError
from tilewire.search.locks import FileLocks, Locks, PostgresLocks, unreachable
from tilewire.search.plan import ARMS, Draw, Entry, Result
from tilewire.search.propose import distributions, engine, parameters
from tilewire.search.study import Study

JOURNAL = "journal.log"


class Ledger:
    """The books. Every method but `exclusive` is called inside `exclusive`."""

    def __init__(self, study: Study, storage: Any, locks: Locks, name: str, journal: Path | None = None) -> None:
        self.study, self.storage, self.locks, self.worker = study, storage, locks, worker_name()
        self.journal, self.optuna = journal, engine()
        self.trials: dict[tuple[str, int], int] = {}
        with self.exclusive():
            self.ids = {arm: self._open(f"{name} {arm}") for arm in ARMS}
        locks.attend(self.worker)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the books alone. A failed write is a `RunError`; what was written before it stays."""
        with self.locks.exclusive():
            if self.journal is not None:
                _mend(self.journal)
            failures = _failures()
            try:
                yield
            except failures as error:
                reason = error.strerror if isinstance(error, OSError) else str(error).strip().splitlines()[0]
                raise RunError(
                    f"could not write the books of the study: {reason}",
                    hint="free space, or bring the database back; the same command continues",
                ) from error

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave: draws that are still ours are free for others. Raises nothing."""
        self.locks.close()
        self.storage.remove_session()
        if self.journal is None:
            self.storage.engine.dispose()

    def _open(self, name: str) -> int:
        directions = [
            self.optuna.study.StudyDirection.MAXIMIZE if up else self.optuna.study.StudyDirection.MINIMIZE
            for up in self.study.maximised
        ]
        try:
            number = int(self.storage.create_new_study(directions, name))
            self.storage.set_study_user_attr(number, "study", self.study.text)
            self.storage.set_study_system_attr(number, "study:metric_names", self.study.file.objectives)
        except self.optuna.exceptions.DuplicatedStudyError:
            number = int(self.storage.get_study_id_from_name(name))
            self._same(number)
        return number

    def _same(self, number: int) -> None:
        before = self.storage.get_study_user_attrs(number).get("study")
        if before is None:  # its maker died between two writes
            self.storage.set_study_user_attr(number, "study", self.study.text)
        elif before != self.study.text:
            changed = [
                key for key, value in json.loads(self.study.text).items() if json.loads(before).get(key) != value
            ]
            raise RunError(
                f"the study was begun with other settings: {', '.join(changed)} changed",
                where=str(self.study.path),
                hint="another --out, or the old study file",
            )

    def entries(self, arm: str) -> list[Entry]:
        """All draws of an arm with their results, by number."""
        found = []
        for trial in self.storage.get_all_trials(self.ids[arm], deepcopy=False):
            self.trials[arm, trial.number] = trial._trial_id
            found.append((_draw(trial.user_attrs), _result(trial)))
        return found

    def create(self, draw: Draw) -> None:
        """Enter a draw. Raises `RunError` if the books do not go on at its number."""
        template = self.optuna.trial.FrozenTrial(
            number=-1, trial_id=-1, state=self.optuna.trial.TrialState.WAITING, value=None, values=None,
            datetime_start=None, datetime_complete=None, intermediate_values={},
            params=parameters(self.study.space, draw.design) if draw.arm != "hand" else {},
            distributions=distributions(self.study.space) if draw.arm != "hand" else {},
            user_attrs={"draw": asdict(draw)}, system_attrs={},
        )  # fmt: skip
        trial = self.storage.create_new_trial(self.ids[draw.arm], template_trial=template)
        number = self.storage.get_trial_number_from_id(trial)
        if number != draw.k:
            raise RunError(f"draw {draw.k} of arm {draw.arm} became trial {number}: somebody wrote past the lock")
        self.trials[draw.arm, draw.k] = trial

    def take(self, arm: str) -> Draw | None:
        """The first draw that nobody alive works on, now ours."""
        state = self.optuna.trial.TrialState
        for trial in self.storage.get_all_trials(self.ids[arm], deepcopy=False):
            if trial.state.is_finished() or (trial.state == state.RUNNING and self._held(trial)):
                continue
            self.storage.set_trial_user_attr(trial._trial_id, "worker", self.worker)
            if trial.state == state.WAITING:
                self.storage.set_trial_state_values(trial._trial_id, state.RUNNING)
            return _draw(trial.user_attrs)
        return None

    def _held(self, trial: Any) -> bool:
        worker = trial.user_attrs.get("worker")
        return worker is not None and worker != self.worker and self.locks.present(worker)

    def finish(self, draw: Draw, result: Result) -> None:
        """Enter the result of our draw."""
        state = self.optuna.trial.TrialState
        trial = self.trials[draw.arm, draw.k]
        losses = self.study.losses(result.objectives)
        self.storage.set_trial_user_attr(trial, "result", asdict(result))
        if result.state == "complete" and losses is not None:
            values = [-loss if up else loss for loss, up in zip(losses, self.study.maximised, strict=True)]
            violations = [constraint.violation(result.objectives) for constraint in self.study.constraints]
            self.storage.set_trial_system_attr(trial, "constraints", [min(v, 1e9) for v in violations])
            self.storage.set_trial_state_values(trial, state.COMPLETE, values)
        else:
            self.storage.set_trial_state_values(trial, state.PRUNED if result.state == "stopped" else state.FAIL)


def _draw(attributes: Mapping[str, Any]) -> Draw:
    return Draw(**attributes["draw"])


def _result(trial: Any) -> Result | None:
    """The result of a finished trial; one that was written but not yet closed counts as unfinished and is done again from its folder."""
    if not trial.state.is_finished():
        return None
    stored = dict(trial.user_attrs["result"])
    return Result(**(stored | {"curve": tuple(stored["curve"])}))


def _failures() -> tuple[type[Exception], ...]:
    """What is raised when the disk is full or the database server goes away."""
    from sqlalchemy.exc import SQLAlchemyError

    return (OSError, SQLAlchemyError, engine().exceptions.StorageInternalError)


def worker_name() -> str:
    """A name that no other worker has, on any machine."""
    return f"{os.uname().nodename}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def open_ledger(study: Study, folder: Path, storage: str | None, name: str) -> Ledger:
    """The books in the folder of the study (journal file), or behind a PostgreSQL URL. Raises `RunError` if they cannot be opened."""
    optuna = engine()
    if storage is None:
        locks = FileLocks(folder)
        path = folder / JOURNAL
        with locks.exclusive():
            _mend(path)
            backend = optuna.storages.journal.JournalFileBackend(str(path), lock_obj=_Outer())
            books = optuna.storages.JournalStorage(backend)
        return Ledger(study, books, locks, name, path)
    scheme, _, rest = storage.partition("://")
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise RunError(f"no books behind '{scheme}://'", hint="postgresql://user:password@host/database")
    url = f"postgresql://{rest}"
    remote = PostgresLocks(url, name)
    failures: tuple[type[Exception], ...] = (*_failures(), RuntimeError)
    try:
        with remote.exclusive():  # two workers must not make the tables at once
            books = optuna.storages.RDBStorage(
                f"postgresql+psycopg://{rest}", engine_kwargs={"pool_pre_ping": True}, skip_compatibility_check=False
            )
    except failures as error:
        raise unreachable(url, error) from error
    return Ledger(study, books, remote, name)


def _mend(path: Path) -> None:
    """Drop a last line that its writer did not live to end, or had no space to end."""
    if not path.is_file():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


class _Outer:
    """No lock: the engine's own lock file outlives a killed owner by half a minute, and all access is inside `Ledger.exclusive`."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return None
