"""What processing can do is listed; a nested pipeline makes a knowledge base and an upload."""

from __future__ import annotations

import json
from typing import Any

import httpx

PIPELINE: dict[str, Any] = {
    "name": "technical_documents",
    "file_types": ["pdf", "md"],
    "extraction": {"extract_code_blocks": True, "extract_images": True},
    "chunking": {"strategy": "document_aware", "chunk_size": 64, "overlap": 8},
    "embedding": {"batch_size": 50},
    "quality_control": {"validators": ["min_length", "code_syntax"], "min_chunk_length": 12},
}
TEXT = b"""# Guide

Call `run()` first.

```python
def broken(:
```

## X

No.
"""


async def test_strategies_and_checks_are_listed(client: httpx.AsyncClient) -> None:
    options = (await client.get("/api/v1/processing_options")).json()
    chunkers = {chunker["name"]: chunker["description"] for chunker in options["chunkers"]}
    assert "page" in chunkers["page"]
    assert {"semantic", "parent_child", "table_rows", "question_answer"} <= chunkers.keys()
    names = {validator["name"]: validator for validator in options["validators"]}
    assert names["encoding"]["actions"] == ["flag", "drop", "repair"]
    assert names["duplicate"]["action"] == "drop"
    types = {extractor["media_type"]: extractor for extractor in options["extractors"]}
    assert ".pdf" in types["application/pdf"]["extensions"]
    assert options["problems"] == []
    assert "chunking_strategy" in options["config_schema"]["properties"]
    assert all(v["description"] for v in options["validators"])


async def test_a_nested_pipeline_is_taken_and_really_used(client: httpx.AsyncClient) -> None:
    made = await client.post("/api/v1/knowledge_bases", json={"name": "T", "config": PIPELINE})
    assert made.status_code == 201, made.text
    kb = made.json()
    assert {w.split(":")[0] for w in kb["warnings"]} == {"file_types", "extract_images"}
    assert kb["config"]["chunking_strategy"] == "document_aware"
    documents = f"/api/v1/knowledge_bases/{kb['knowledge_base_id']}/documents"
    up = await client.post(
        documents,
        files={"files": ("guide.md", TEXT)},
        data={"processing_config": json.dumps({"custom_pipeline": PIPELINE})},
    )
    (result,) = up.json()["results"]
    assert result["status"] == "success", result
    chunks = (await client.get(f"{documents}/{result['document_id']}/chunks")).json()["items"]
    # The section of six characters is left out; the broken code is only told.
    assert len(chunks) == 1
    assert chunks[0]["content"].startswith("Guide")
    again = await client.post(
        documents,
        files={"files": ("guide.md", TEXT)},
        data={"processing_config": json.dumps({"quality_control": {"enabled": False}})},
    )
    assert again.json()["results"][0]["chunks_created"] == 2
    refused = await client.post(
        documents,
        files={"files": ("guide.md", TEXT)},
        data={"processing_config": json.dumps({"chunking": {"strategy": "psychic"}})},
    )
    assert refused.status_code in (400, 422)
    assert "document_aware" in refused.text
