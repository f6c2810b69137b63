"""`ragloom serve` with nodes that misbehave: `python -m tests.crash.bad_server serve …`."""

from __future__ import annotations

from app.main import main
from app.services import container
from tests.crash import bad_nodes

if __name__ == "__main__":
    container.register_all = bad_nodes.register
    main()
