"""The page for whoever has not come in through a link. Plain HTML: nothing else is served yet."""

from __future__ import annotations

from html import escape

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Open Ragloom</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.55 system-ui, sans-serif; max-width: 30rem; margin: 14vh auto; padding: 0 20px; }}
h1 {{ font-size: 1.35rem; margin: 0 0 .6rem; }}
code {{ padding: 2px 6px; border-radius: 4px; background: color-mix(in srgb, currentColor 10%, transparent); }}
form span {{ display: flex; gap: 8px; margin-top: .4rem; }}
input {{ flex: 1; font: inherit; padding: 8px 10px; border-radius: 6px; border: 1px solid color-mix(in srgb, currentColor 35%, transparent); background: transparent; color: inherit; }}
button {{ font: inherit; padding: 8px 14px; border-radius: 6px; border: 0; background: #006a70; color: #fff; cursor: pointer; }}
p.note {{ padding: 8px 12px; border-left: 3px solid #d9480f; }}
label {{ display: block; margin-top: 1.6rem; }}
</style>
</head>
<body>
<main>
<h1>Open Ragloom</h1>
{note}
<p>Use the link that <code>ragloom serve</code> printed when it started. For a fresh one, run
<code>ragloom link</code> in the folder the server was started in.</p>
<form method="post" action="/login">
<label for="api_key">Or paste an API key</label>
<span>
<input id="api_key" name="api_key" type="password" autocomplete="current-password" required>
<button>Open</button>
</span>
</form>
</main>
</body>
</html>
"""


def login_page(note: str = "") -> str:
    """HTML that says how to get in."""
    shown = f'<p class="note" role="alert">{escape(note)}</p>' if note else ""
    return _PAGE.format(note=shown)
