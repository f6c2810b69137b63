"""Asking other services over HTTP."""

from __future__ import annotations

import asyncio
import builtins
import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self
from urllib.parse import quote, urlencode

from pydantic import Field, model_validator

from app.engine.context import NodeContext, Secret, Web, WebRequest, WebResponse
from app.engine.node import Node, NodeConfig, NodeOutputs, Port
from app.engine.problems import NodeFailed, RagloomError
from app.engine.values import Json, Number, PortValue, Text
from app.nodes.naming import checked, held, names_of, reads_input, worked_out
from app.nodes.ports import (
    MAX_PORTS,
    TAKEN,
    InputSpec,
    check_names,
    entries,
    spec_ports,
    text_of,
)
from app.nodes.template import checked_template, render

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
_INPUTS = [InputSpec(name="value")]
_MAX_ROWS = 50
_MAX_VALUE = 8_000
_MAX_URL = 8_000
_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_SECRET = re.compile(r"\s*secret\.([A-Za-z_][A-Za-z0-9_]{0,99})\s*")
_BODYLESS = ("GET", "HEAD", "DELETE")


class HttpRequest(Node["HttpRequest.Config"]):
    """Send a request to another service, and read its answer.

    Only hosts that the server's settings name may be asked (`http_allow`, and `http_allow_private`
    for this machine and your own network). {{ value }} and other inputs can stand in the address,
    the parameters, the headers and the body; in the address and the parameters they are encoded.
    {{ secret.NAME }} in a header stands for the variable RAGLOOM_SECRET_NAME of the server, which
    never shows in results, events or logs.
    """

    type, version, title, family, icon = "http_request", 1, "HTTP request", "logic", "http"
    #: It acts on the world, and what it gets may differ every time.
    cacheable = False
    timeout_s = 330.0
    #: Says which hosts may be asked, where a server has registered the node.
    policy: ClassVar[Web | None] = None

    class Config(NodeConfig):
        """Settings of the request."""

        method: Method = Field("GET", description="What to do there.")
        url: str = Field(
            "",
            max_length=_MAX_VALUE,
            title="Address",
            description="Where to send it, such as https://api.example.com/items/{{ value.data.id }}.",
        )
        parameters: dict[str, str] = Field(
            {},
            max_length=_MAX_ROWS,
            description="Added to the address behind “?”.",
            json_schema_extra={"widget": "key_value"},
        )
        headers: dict[str, str] = Field(
            {},
            max_length=_MAX_ROWS,
            description="Headers; {{ secret.NAME }} stands for a secret of the server.",
            json_schema_extra={"widget": "headers"},
        )
        body: str = Field(
            "",
            max_length=50_000,
            description="Template of the body, for POST, PUT and PATCH; in JSON write values as "
            "{{ value.data | tojson }}.",
            json_schema_extra={"widget": "template"},
        )
        content_type: str = Field(
            "application/json",
            max_length=200,
            pattern=r"^[\w.+-]+/[\w.+-]+(;[ \w=.+-]+)?$",
            description="What the body is.",
        )
        inputs: list[InputSpec] = Field(
            _INPUTS, max_length=MAX_PORTS, description="The inputs, by name."
        )
        result: Literal["auto", "json", "text"] = Field(
            "auto", description="Read the answer as JSON, as text, or as it says it is."
        )
        fail_on_error: bool = Field(
            True,
            title="Fail on errors",
            description="Fail when the status is 400 or more; else the status is a result.",
        )
        timeout: float = Field(
            30.0,
            ge=1,
            le=300,
            title="Time limit (seconds)",
            description="Longest wait for the whole answer, in seconds.",
        )
        max_kb: int = Field(
            2_000, ge=1, le=20_000, title="Largest answer (KB)", description="In kilobytes."
        )
        redirects: int = Field(
            5, ge=0, le=10, description="Redirects that are followed; each is checked again."
        )

        @model_validator(mode="after")
        def _sound(self) -> Self:
            check_names((given.name for given in self.inputs), TAKEN)
            names = [given.name for given in self.inputs]
            for source in (self.url, *self.parameters.values()):
                for expression in _EXPRESSION.findall(source):
                    if _SECRET.fullmatch(expression):
                        raise ValueError("a secret may stand in a header only")
                    checked(expression, names)
            for source in self.headers.values():
                for expression in _EXPRESSION.findall(source):
                    if not _SECRET.fullmatch(expression):
                        checked(expression, names)
            if re.search(r"\bsecret\s*[.\[]", " ".join(_EXPRESSION.findall(self.body))):
                raise ValueError("a secret may stand in a header only")
            checked_template(self.body)
            return self

    class Outputs(NodeOutputs):
        """The answer."""

        data: Json | None = Field(None, description="The answer as data, where it is JSON.")
        text: Text = Field(description="The answer as text.")
        status: Number = Field(description="Its status: 200 for “all went well”.")
        headers: Json = Field(description="Its headers, by lower-case name.")

    async def run(self, ctx: NodeContext, **inputs: PortValue | list[PortValue] | None) -> Outputs:
        """Ask."""
        config = self.config
        names = names_of(ctx, {s.name: inputs.get(s.name) for s in config.inputs})
        url = await _address(config.url, config.parameters, names)
        headers = {
            name: await _header(source, names) for name, source in config.headers.items() if name
        }
        body = b""
        if config.method not in _BODYLESS and config.body:
            body = (await self._body(names)).encode()
            if "content-type" not in {name.lower() for name in headers}:
                headers["Content-Type"] = (config.content_type,)
        answer = await ctx.world.web.fetch(
            WebRequest(
                url=url,
                method=config.method,
                headers=headers,
                body=body,
                timeout_s=config.timeout,
                max_bytes=config.max_kb * 1_000,
                max_redirects=config.redirects,
            )
        )
        return self._read(answer)

    async def _body(self, names: Mapping[str, Any]) -> str:
        text = await asyncio.to_thread(render, self.config.body, names)
        if "json" in self.config.content_type:
            try:
                json.loads(text)
            except ValueError:
                raise NodeFailed(
                    "The body is not JSON once it is filled in.",
                    code="bad_body",
                    fix="Write values in it as {{ value.data | tojson }}, without quotation marks "
                    "around them.",
                    found=text[:200],
                ) from None
        return text

    def _read(self, answer: WebResponse) -> Outputs:
        kind = answer.headers.get("content-type", "")
        text = _decoded(answer.body, kind)
        if answer.status >= 400 and self.config.fail_on_error:
            raise NodeFailed(
                f"The service answered with status {answer.status}: "
                f"{' '.join(text.split())[:300] or 'no message'}",
                code="http_error",
                fix="Look at the address and what is sent; the status says whose fault it is "
                "(400 to 499: the request; 500 and more: the service).",
                found=answer.status,
            )
        data: Json | None = None
        wanted = self.config.result
        if wanted == "json" or (wanted == "auto" and "json" in kind.lower()):
            try:
                data = Json(data=json.loads(text))
            except (ValueError, RecursionError):
                if wanted == "json":
                    raise NodeFailed(
                        "The answer is not JSON.",
                        code="bad_json",
                        fix="Read it as text, or look at what the service sends.",
                        found=text[:200],
                    ) from None
        return self.Outputs(
            data=data,
            text=Text(text=text),
            status=Number(value=answer.status),
            headers=Json(data=answer.headers),
        )

    @classmethod
    def allowed_by(cls, web: Web) -> builtins.type[HttpRequest]:
        """The node as a server registers it: validation knows which hosts may be asked."""
        return type(cls.__name__, (cls,), {"policy": web, "__doc__": cls.__doc__})

    @classmethod
    def inputs_for(cls, config: Mapping[str, Any]) -> dict[str, Port]:
        """The inputs by name."""
        return spec_ports(
            entries(config, "inputs", _INPUTS), "A value for the address, headers and body."
        )

    @classmethod
    def reads(cls, config: Config) -> tuple[str, ...] | None:
        """The run's input, where a template names it."""
        sources = (config.url, config.body, *config.parameters.values(), *config.headers.values())
        return reads_input(*sources)

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
        """There has to be an address, of a host that may be asked."""
        url = text_of(config, "url").strip()
        if not url:
            fix = "Write where to send the request, such as https://api.example.com/items."
            return [("no_address", "The request has no address.", fix, "error")]
        host = re.match(r"https?://[^/?#]*", url, re.IGNORECASE)
        if cls.policy is None or url.startswith("{{") or (host and "{{" in host[0]):
            return []
        try:
            cls.policy.check(_EXPRESSION.sub("x", url))
        except RagloomError as error:
            return [(error.code, error.message, error.fix, "error")]
        return []

    @classmethod
    def summary(cls, config: Mapping[str, Any]) -> str:
        """One line in words."""
        url = text_of(config, "url").strip()
        place = re.sub(r"^https?://", "", url).split("?")[0][:60] or "no address yet"
        return f"{text_of(config, 'method', 'GET')} {place}"


async def _address(url: str, parameters: Mapping[str, str], names: Mapping[str, Any]) -> str:
    """The address with its values filled in and encoded; one at the very front is taken as is."""
    pieces: list[str] = []
    for at, piece in enumerate(_EXPRESSION.split(url.strip())):
        if at % 2 == 0:
            pieces.append(piece)
            continue
        value = _written(await worked_out(piece, names))
        pieces.append(quote(value, safe="") if "".join(pieces) else value)
    address = "".join(pieces)
    filled = {name: await _filled(source, names) for name, source in parameters.items() if name}
    if filled:
        head, mark, anchor = address.partition("#")
        head += ("&" if "?" in head else "?") + urlencode(filled)
        address = head + mark + anchor
    if len(address) > _MAX_URL:
        raise NodeFailed(
            f"The address has {len(address):,} characters once it is filled in.",
            code="bad_url",
            fix="Send long values in the body.",
            found=len(address),
            expected=_MAX_URL,
        )
    return address


async def _filled(source: str, names: Mapping[str, Any]) -> str:
    pieces = _EXPRESSION.split(source)
    for at in range(1, len(pieces), 2):
        pieces[at] = _written(await worked_out(pieces[at], names))
    return "".join(pieces)


async def _header(source: str, names: Mapping[str, Any]) -> tuple[str | Secret, ...]:
    """Pieces of a header. A secret is told apart here: one in a value stays plain text."""
    found: list[str | Secret] = []
    for at, piece in enumerate(_EXPRESSION.split(source)):
        secret = _SECRET.fullmatch(piece) if at % 2 else None
        if secret:
            found.append(Secret(name=secret[1]))
        else:
            found.append(_written(await worked_out(piece, names)) if at % 2 else piece)
    return tuple(found)


def _written(data: Any) -> str:
    data = held(data)
    if isinstance(data, str):
        return data
    if isinstance(data, bool) or not isinstance(data, int | float):
        return json.dumps(data, ensure_ascii=False)
    return f"{data:.15g}"


def _decoded(body: bytes, kind: str) -> str:
    match = re.search(r"charset=[\"']?([\w.:-]+)", kind, re.IGNORECASE)
    try:
        return body.decode(match[1] if match else "utf-8-sig", errors="replace")
    except LookupError:
        return body.decode("utf-8", errors="replace")
