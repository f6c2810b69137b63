"""Where settings come from, and what is said about those that do not fit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import ENV_PREFIX, InvalidSettings, Settings, load_settings


def test_file_then_variables_then_flags(tmp_path: Path) -> None:
    file = tmp_path / "ragloom.toml"
    file.write_text('port = 1111\nhost = "0.0.0.0"\ndemo = false\n')
    env = {"RAGLOOM_PORT": "2222", "RAGLOOM_LOG_LEVEL": "debug"}
    settings = load_settings(config=file, environ=env, log_level="error", port=None)
    assert (settings.host, settings.port, settings.log_level) == ("0.0.0.0", 2222, "error")
    assert settings.demo is False


def test_file_named_by_variable_or_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "other.toml"
    named.write_text("port = 1\n")
    assert load_settings(environ={"RAGLOOM_CONFIG": str(named)}).port == 1
    monkeypatch.chdir(tmp_path)
    assert load_settings(environ={}).port == 8080
    (tmp_path / "ragloom.toml").write_text("port = 2\n")
    assert load_settings(environ={}).port == 2


def test_every_unknown_key_is_reported_with_what_was_meant(tmp_path: Path) -> None:
    file = tmp_path / "ragloom.toml"
    file.write_text("prot = 1\n")
    with pytest.raises(InvalidSettings) as caught:
        load_settings(config=file, environ={"RAGLOOM_HOSTT": "x", "RAGLOOM_ZZZ": "x"})
    text = str(caught.value)
    assert "`prot`" in text
    assert "Did you mean `port`" in text
    assert "RAGLOOM_HOSTT" in text
    assert "Did you mean the variable RAGLOOM_HOST?" in text
    assert "RAGLOOM_ZZZ" in text
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"RAGLOOM_PORT": "70000"}, "RAGLOOM_PORT"),
        ({"RAGLOOM_MAX_UPLOAD_MB": "0"}, "RAGLOOM_MAX_UPLOAD_MB"),
        ({"RAGLOOM_LOG_LEVEL": "loud"}, "'loud'"),
        ({"RAGLOOM_DEMO": "perhaps"}, "RAGLOOM_DEMO"),
    ],
)
def test_values_out_of_bounds_name_their_source(env: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidSettings, match=said):
        load_settings(environ=env)


def test_secrets_are_never_shown() -> None:
    env = {"RAGLOOM_API_KEY": "hunter2", "RAGLOOM_DATABASE_URL": "postgresql://me:hunter2@db/x"}
    assert "hunter2" not in repr(load_settings(environ=env))
    with pytest.raises(InvalidSettings) as caught:
        load_settings(environ={}, database_url=["hunter2"])
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.problems)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="cannot be read"):
        load_settings(config=tmp_path / "none.toml", environ={})
    bad = tmp_path / "bad.toml"
    bad.write_text("port = = 1")
    with pytest.raises(InvalidSettings, match="not valid TOML"):
        load_settings(config=bad, environ={})


def test_lists_and_empty_variables() -> None:
    env = {"RAGLOOM_ALLOWED_HOSTS": "a.example, b.example", "RAGLOOM_PORT": ""}
    settings = load_settings(environ=env)
    assert settings.allowed_hosts == ["a.example", "b.example"]
    assert settings.port == 8080


def test_every_setting_is_described_and_every_number_bounded() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        if field.annotation in (int, float):
            bounds = {type(mark).__name__ for mark in field.metadata}
            assert {"Ge", "Le"} <= bounds, f"{name} has no bounds"
        assert (ENV_PREFIX + name.upper()).isidentifier()


def test_every_setting_is_read_somewhere() -> None:
    app = Path(__file__).resolve().parents[2] / "app"
    sources = "".join(
        path.read_text(encoding="utf-8") for path in app.rglob("*.py") if path.name != "settings.py"
    )
    # Through a property of the settings.
    read_inside = {
        "max_upload_mb": "max_upload_bytes",
        "max_request_mb": "max_request_bytes",
        "import_roots": "allowed_roots",
    }
    for name in Settings.model_fields:
        assert f".{read_inside.get(name, name)}" in sources, name


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heaps")
def test_threads_share_few_heaps() -> None:
    """What documents leave in the heaps of many threads would never be given back."""
    code = """
import ctypes, os, re, tempfile, threading
from app.services.memory import few_heaps
few_heaps()
c = ctypes.CDLL(None)
c.malloc.restype, c.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
together = threading.Barrier(24)
def work():
    together.wait()
    c.malloc(50_000)
    together.wait()
threads = [threading.Thread(target=work) for _ in range(24)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
with tempfile.NamedTemporaryFile() as file:
    c.fopen.restype = ctypes.c_void_p
    told = c.fopen(file.name.encode(), b"w")
    c.malloc_info(0, ctypes.c_void_p(told))
    c.fclose(ctypes.c_void_p(told))
    print(len(re.findall(rb"<heap nr", open(file.name, "rb").read())))
"""
    environment = {k: v for k, v in os.environ.items() if k != "MALLOC_ARENA_MAX"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) <= max(2, os.cpu_count() or 1)
