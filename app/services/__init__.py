"""The use cases: the only door for pages, REST and the command line."""
