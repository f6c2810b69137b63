"""Rates of jobs."""

from __future__ import annotations

import pytest

from app.services.ingestion.pace import Pace


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(clock)


def work(pace: Pace, clock: Clock, seconds: int) -> None:
    """A file of five chunks each second."""
    for _ in range(seconds):
        clock.now += 1
        pace.embedded("job", f"task {clock.now}", 3)
        pace.ended("job", f"task {clock.now}", 5)


def test_rates_are_those_of_the_last_while(pace: Pace, clock: Clock) -> None:
    assert pace.rates("job").files_per_s is None
    pace.begin("job")
    work(pace, clock, 11)
    assert (pace.rates("job").files_per_s, pace.rates("job").chunks_per_s) == (1.0, 5.0)
    for step in range(400):
        clock.now += 0.5
        pace.ended("job", f"later {step}", 1)
    assert pace.rates("job").files_per_s == pytest.approx(2, rel=0.05)
    pace.forget("job")
    assert pace.rates("job").chunks_per_s is None


def test_the_time_until_the_first_file_ends_says_nothing(pace: Pace, clock: Clock) -> None:
    """A server that starts loads its models first."""
    pace.begin("job")
    clock.now += 30
    assert pace.rates("job").files_per_s is None
    work(pace, clock, 1)
    assert pace.rates("job").files_per_s is None
    work(pace, clock, 4)
    assert (pace.rates("job").files_per_s, pace.rates("job").chunks_per_s) == (1.0, 5.0)


def test_only_time_at_work_counts(pace: Pace, clock: Clock) -> None:
    pace.begin("job")
    work(pace, clock, 5)
    pace.hold("job")
    # One that was under way still ends, and does not start the clock.
    pace.ended("job", "last", 0)
    clock.now += 3_600
    pace.begin("job")
    work(pace, clock, 5)
    assert pace.rates("job").files_per_s == pytest.approx(10 / 9)
    assert pace.hold_all() == ["job"]
    clock.now += 3_600
    assert pace.hold_all() == []
    pace.begin("job")
    work(pace, clock, 1)
    assert pace.rates("job").files_per_s == pytest.approx(11 / 10)
