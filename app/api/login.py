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
/* The colours of the pages behind this one. */
:root {{ --bg: #f7f5f2; --card: #fff; --line: #dedbd6; --text: #27231e; --muted: #6b665e; --accent: #00666e; --on-accent: #fff; --warn: #8a5a00; }}
@media (prefers-color-scheme: dark) {{ :root {{ --bg: #161412; --card: #272421; --line: #3a3632; --text: #ebe8e4; --muted: #aaa59e; --accent: #6fc5cf; --on-accent: #06262a; --warn: #e0b35c; }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 20px; background: var(--bg); color: var(--text); font: 14px/1.55 Inter, system-ui, -apple-system, "Segoe UI", sans-serif; -webkit-font-smoothing: antialiased; }}
main {{ width: 100%; max-width: 27rem; padding: 28px; background: var(--card); border: 1px solid var(--line); border-radius: 12px; }}
svg {{ width: 30px; height: 30px; display: block; margin-bottom: 12px; stroke: var(--accent); }}
h1 {{ font-size: 1.3rem; letter-spacing: -.015em; margin: 0 0 .5rem; font-weight: 600; }}
p {{ margin: 0; color: var(--muted); }}
code {{ padding: 1px 5px; border-radius: 4px; color: var(--text); background: color-mix(in srgb, currentColor 9%, transparent); font: .92em ui-monospace, "SF Mono", Menlo, monospace; white-space: nowrap; }}
form span {{ display: flex; gap: 8px; margin-top: .4rem; }}
input {{ flex: 1; min-width: 0; font: inherit; padding: 7px 10px; border-radius: 8px; border: 1px solid color-mix(in srgb, var(--text) 45%, transparent); background: transparent; color: inherit; }}
button {{ font: inherit; font-weight: 550; padding: 7px 16px; border-radius: 8px; border: 0; background: var(--accent); color: var(--on-accent); cursor: pointer; }}
:focus-visible {{ outline: 2px solid var(--accent); outline-offset: 2px; }}
p.note {{ margin-bottom: 12px; padding: 8px 12px; border-radius: 8px; color: var(--text); background: color-mix(in srgb, var(--warn) 14%, transparent); }}
label {{ display: block; margin-top: 1.4rem; font-weight: 550; font-size: 13px; }}
</style>
</head>
<body>
<main>
<svg viewBox="0 0 32 32" fill="none" stroke-width="3.2" stroke-linecap="round" aria-hidden="true"><path d="M4 9.5h6.2M16.4 9.5H28M4 16h12.2M22.4 16H28M4 22.5h6.2M16.4 22.5H28"/><path d="M13.3 4v7.2M13.3 14.2v3.6M13.3 20.8V28M19.3 4v3.2M19.3 13v6.2M19.3 25.2V28"/></svg>
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
