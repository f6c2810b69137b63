"""XML inside zip containers, read without entities, document types or the network."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from app.documents.archive import damaged

_BAD = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)


def read_member(container: zipfile.ZipFile, name: str) -> bytes | None:
    """Return a member's bytes, None where there is none of that name.

    Raises:
        DocumentError: damaged.
    """
    try:
        return container.read(name)
    except KeyError:
        return None
    except (*_BAD, RuntimeError) as error:
        raise damaged(f"The part {name!r} of the file is damaged.") from error


def read_xml(container: zipfile.ZipFile, name: str) -> Any:
    """Return the root element of an XML member, None where there is no such member.

    Raises:
        DocumentError: damaged.
    """
    data = read_member(container, name)
    if data is None:
        return None
    root = parse(data)
    if root is None:
        raise damaged(f"The part {name!r} of the file is no valid XML.")
    return root


def parse(data: bytes) -> Any:
    """Return the root element of XML, None where it is none."""
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True,
        remove_pis=True,
    )  # fmt: skip
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        return None


def walk(root: Any, enter: Callable[[str], bool]) -> Iterator[tuple[str, Any]]:
    """Yield (name, element) of what is below an element, in order, however deeply nested.

    `enter` says by its name whether what is inside an element is walked through too.
    """
    stack = [iter(root)]
    while stack:
        child = next(stack[-1], None)
        if child is None:
            stack.pop()
            continue
        name = local(child)
        yield name, child
        if enter(name):
            stack.append(iter(child))


def local(element: Any) -> str:
    """Return an element's name without its namespace; "" for entities and the like."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Any, name: str) -> str:
    """Return the value of an attribute by its name without the namespace; "" where it has none."""
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return str(value)
    return ""


def all_text(element: Any) -> str:
    """Return the text of an element and all below it."""
    return "".join(element.itertext(tag="{*}*")) if element is not None else ""
