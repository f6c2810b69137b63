#!/bin/sh
# Build the wheel, front end included, into the folder $1. Run from the source folder.
set -eu
python3 -m pip wheel --quiet --no-deps --wheel-dir "$1" .
