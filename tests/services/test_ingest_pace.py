"""Rates of jobs."""

from __future__ import annotations

import pytest

from app.services.ingest_pace import Pace


def test_rates_are_those_of_the_last_while() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    assert pace.rates("job").files_per_s is None
    pace.begin("job")
    for second in range(1, 11):
        now = float(second)
        pace.embedded("job", f"task {second}", 3)
        pace.ended("job", f"task {second}", 5)
    assert (pace.rates("job").files_per_s, pace.rates("job").chunks_per_s) == (1.0, 5.0)
    for step in range(400):
        now = 10 + step / 2
        pace.ended("job", f"later {step}", 1)
    assert pace.rates("job").files_per_s == pytest.approx(2, rel=0.05)
    pace.forget("job")
    assert pace.rates("job").chunks_per_s is None
