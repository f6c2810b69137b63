#!/bin/sh
# Install the wheel in $2 with the pinned packages of $3 into a fresh virtual environment at $1.
# $4, where given, is an extra package index for PyTorch. No network is needed after this step.
set -eu
python3 -m venv "$1"
if [ -n "${4:-}" ]; then
  "$1/bin/python" -m pip install --quiet --no-cache-dir --index-url "$4" -c "$3" torch
fi
"$1/bin/python" -m pip install --quiet --no-cache-dir -c "$3" "$2"/ragloom-*.whl
"$1/bin/ragloom" doctor --models
