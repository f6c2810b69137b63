"""Which node types exist, what they declare, and how that is described."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import Annotated

import pytest
from toy_nodes import Choose, Join, Say, TextOut, Upper, toy_registry

from app.engine import describe
from app.engine import registry as registry_module
from app.engine.node import Node, NodeConfig, NodeOutputs, SameAs
from app.engine.registry import DuplicateNodeType, RegistrationError, Registry
from app.engine.values import PORT_TYPES, PortValue, Text, accepts


def test_a_class_is_found_by_its_type():
    registry = Registry()
    assert registry.register(Say) is Say
    assert registry.register(Say) is Say
    assert registry.get("say") is Say
    assert registry.get("shout") is None
    assert "say" in registry
    assert registry.all() == [Say]
    assert len(registry) == 1


def test_two_classes_with_one_type_are_refused_by_name():
    class Other(Say):
        pass

    registry = Registry()
    registry.register(Say)
    with pytest.raises(DuplicateNodeType) as caught:
        registry.register(Other)
    assert "toy_nodes.Say" in caught.value.message
    assert "Other" in caught.value.message
    assert "Rename" in caught.value.fix


def test_an_incomplete_declaration_is_refused_with_what_is_missing():
    class Bare(Node[NodeConfig]):
        type = "bare"

    with pytest.raises(RegistrationError, match="title, family, icon, Outputs"):
        Registry().register(Bare)


def test_a_parameter_that_is_no_port_type_is_refused():
    class Odd(Node[NodeConfig]):
        type, title, family, icon = "odd", "Odd", "text", "x"
        Outputs = TextOut

        async def run(self, count: int) -> TextOut:
            raise NotImplementedError

    with pytest.raises(RegistrationError, match="count"):
        Registry().register(Odd)


def test_passing_on_an_input_that_does_not_exist_is_refused():
    class Lost(Node[NodeConfig]):
        type, title, family, icon = "lost", "Lost", "text", "x"

        class Outputs(NodeOutputs):
            out: Annotated[PortValue, SameAs("nowhere")]

        async def run(self, value: PortValue) -> Outputs:
            raise NotImplementedError

    with pytest.raises(RegistrationError, match="nowhere"):
        Registry().register(Lost)


def register_join(registry: Registry) -> None:
    registry.register(Join)


not_a_node = 5


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, f"test_engine_registry:{value}", "ragloom.nodes")


def test_entry_points_are_classes_or_functions_and_a_broken_one_stops_no_other(monkeypatch):
    entries = [
        entry("a", "Upper"),
        entry("b", "register_join"),
        entry("c", "not_a_node"),
        entry("d", "gone"),
        entry("e", "Clash"),
    ]
    monkeypatch.setattr(registry_module, "entry_points", lambda group: entries)
    registry = Registry()
    problems = registry.discover()
    assert registry.all() == [Upper, Join]
    assert [p.code for p in problems] == [
        "bad_node_class",
        "broken_node_package",
        "duplicate_node_type",
    ]
    assert all(p.fix and p.severity == "warning" for p in problems)


class Clash(Upper):
    pass


def test_a_node_type_is_described_from_its_one_declaration():
    described = describe.node_type(Upper)
    assert described["type"] == "upper"
    assert described["version"] == 2
    assert described["description"] == "Repeat a text in capitals."
    assert described["config_schema"]["properties"]["times"]["maximum"] == 9
    assert described["inputs"] == [
        {
            "name": "text",
            "type": "Text",
            "required": True,
            "many": False,
            "same_as": None,
            "help": "What to repeat.",
        }
    ]
    assert describe.node_type(Say)["outputs"][0]["help"] == "What was said."
    assert describe.node_type(Join)["inputs"][0]["many"] is True
    assert {p["same_as"] for p in describe.node_type(Choose)["outputs"]} == {"value"}
    assert [d["type"] for d in describe.node_types(toy_registry())][:2] == ["say", "upper"]


class Picture(PortValue):
    type_name, type_help = "Picture", "An image."


def test_port_types_of_third_parties_are_listed():
    class Draw(Node[NodeConfig]):
        type, title, family, icon = "draw", "Draw", "text", "x"

        class Outputs(NodeOutputs):
            picture: Picture

        async def run(self) -> Outputs:
            raise NotImplementedError

    registry = Registry()
    registry.register(Draw)
    names = [p["name"] for p in describe.port_types(registry)]
    assert names == [*PORT_TYPES, "Picture"]
    assert "Picture" not in [p["name"] for p in describe.port_types()]


@pytest.mark.parametrize("source", PORT_TYPES.values(), ids=lambda t: t.type_name)
@pytest.mark.parametrize("target", PORT_TYPES.values(), ids=lambda t: t.type_name)
def test_a_type_fits_itself_and_the_open_type_only(source, target):
    assert accepts(source, target) == (source is target or PortValue in (source, target))


def test_a_type_fits_its_bases():
    class Title(Text):
        type_name = "Title"

    assert accepts(Title, Text)
    assert not accepts(Text, Title)


def test_the_engine_starts_bare():
    code = (
        "import sys, pkgutil, importlib, app.engine\n"
        "for m in pkgutil.iter_modules(app.engine.__path__, 'app.engine.'):\n"
        "    importlib.import_module(m.name)\n"
        "heavy = {'nicegui', 'fastapi', 'sqlmodel', 'sqlalchemy', 'chromadb', 'torch', 'numpy',"
        " 'litellm', 'jsonschema', 'app.nodes', 'app.services', 'storage'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
