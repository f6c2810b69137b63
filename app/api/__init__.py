"""REST: thin doors to the services."""
