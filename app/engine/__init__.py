"""The engine: graphs of typed nodes, their validation and their execution."""
