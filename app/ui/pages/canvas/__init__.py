"""The canvas page: palette, canvas, inspector, drawer and run bar."""
