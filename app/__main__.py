"""`python -m app` is `ragloom`."""

from app.main import main

main()
