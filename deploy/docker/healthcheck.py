"""Exit 0 when the server in this container answers /health."""

import os
import sys
import urllib.request

url = f"http://127.0.0.1:{os.environ.get('RAGLOOM_PORT', '8080')}/health"
with urllib.request.urlopen(url, timeout=2) as answer:
    sys.exit(0 if answer.status == 200 else 1)
