"""Chats with a workflow."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.problems import Door

router = APIRouter(tags=["Workflows"], route_class=Door)
