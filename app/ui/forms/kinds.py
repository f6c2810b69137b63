"""Which widget each kind of field gets: all kinds have one."""

from __future__ import annotations

from typing import Any, get_args

from app.ui.forms import body, filters, jsons, pickers, plain, rows, templates, validators
from app.ui.forms.base import Builder
from app.ui.schema import FieldSpec, Kind

BUILDERS: dict[Kind, Builder] = {
    "text": plain.line,
    "long": plain.long,
    "template": templates.template,
    "code": plain.code,
    "number": plain.number,
    "integer": plain.number,
    "flag": plain.flag,
    "choice": plain.choice,
    "several": plain.several,
    "strings": plain.strings,
    "value": plain.scalar,
    "filters": filters.build,
    "mapping": rows.mapping,
    "objects": rows.objects,
    "object": rows.one,
    "json": jsons.anything,
    "json_schema": jsons.schema,
    "body": body.build,
    "workflow": pickers.workflow,
    "port_type": pickers.port_type,
    "knowledge_base": pickers.knowledge_base,
    "model": pickers.model,
    "ref": pickers.ref,
    "chunker": pickers.chunker,
    "validators": validators.build,
    "files": pickers.files,
}
assert set(BUILDERS) == set(get_args(Kind))

#: What the value of a field must be for its widget to show it; else JSON shows it as it is.
_SHAPES: dict[Kind, tuple[type, ...]] = {
    "text": (str,), "long": (str,), "template": (str,), "code": (str,),
    "number": (int, float), "integer": (int, float), "flag": (bool,),
    "several": (list, tuple), "strings": (list, tuple), "objects": (list, tuple),
    "filters": (dict,), "mapping": (dict,), "object": (dict,), "body": (dict,),
    "choice": (str, int, float, bool), "value": (str, int, float, bool, list, tuple),
    "knowledge_base": (str,), "model": (str,), "ref": (str,), "chunker": (str,),
    "workflow": (str,), "port_type": (str,), "files": (dict, list, tuple),
    "validators": (dict,),
}  # fmt: skip


def builder_of(spec: FieldSpec, value: Any) -> Builder:
    """The widget of a field; a value it cannot show is shown as JSON, so that nothing is lost."""
    shapes = _SHAPES.get(spec.kind)
    if value is not None and shapes is not None and not isinstance(value, shapes):
        return jsons.anything
    nested = spec.kind in ("strings", "several", "objects")
    if nested and value and not all(isinstance(v, _ITEMS[spec.kind]) for v in value):
        return jsons.anything
    return BUILDERS[spec.kind]


_ITEMS: dict[str, tuple[type, ...]] = {
    "strings": (str,), "several": (str, int, float, bool), "objects": (dict,),
}  # fmt: skip
