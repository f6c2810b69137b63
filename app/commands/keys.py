"""`ragloom keys`: API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.common import AsJson, Data, exits, finish, settings_of

if TYPE_CHECKING:
    from app.settings import Settings

keys_cli = typer.Typer(help="API keys.", no_args_is_help=True)


@keys_cli.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="What the key is for.")], data: Data = None
) -> None:
    """Make an API key and print it; it cannot be read again."""
    with exits():
        finish(_keys_create(name, settings_of(data=data)))


async def _keys_create(name: str, settings: Settings) -> int:
    from app.services.neighbour import open_keys

    async with open_keys(settings) as keys:
        _, secret = await keys.create(name)
    typer.echo(secret)
    return 0


@keys_cli.command("revoke")
def keys_revoke(
    key: Annotated[str, typer.Argument(help="Id or name of the key.")], data: Data = None
) -> None:
    """End an API key."""
    with exits():
        finish(_keys_revoke(key, settings_of(data=data)))


async def _keys_revoke(key: str, settings: Settings) -> int:
    from app.services.neighbour import open_keys

    async with open_keys(settings) as keys:
        await keys.revoke(key)
    typer.echo(f"“{key}” is revoked.", err=True)
    return 0


@keys_cli.command("list")
def keys_list(data: Data = None, as_json: AsJson = False) -> None:
    """List API keys, without their secrets."""
    with exits():
        finish(_keys_list(settings_of(data=data), as_json=as_json))


async def _keys_list(settings: Settings, *, as_json: bool) -> int:
    from app.commands import show
    from app.services.neighbour import open_keys

    async with open_keys(settings) as keys:
        found = await keys.list()
    if as_json:
        show.as_json([key.model_dump() for key in found])
    for key in () if as_json else found:
        state = "revoked" if key.revoked_at else f"last used {key.last_used_at or 'never'}"
        typer.echo(f"{key.key_id}  {key.name}  {state}")
    return 0
