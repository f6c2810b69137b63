"""How long browser tests wait, until when the view of a canvas moves, and what toasts have said.

A wait costs nothing once what it waits for is there: it is long enough for a machine that is much
slower, and busy.
"""

from __future__ import annotations

from playwright.sync_api import BrowserContext, Page, expect

MS = 60_000
expect.set_options(timeout=MS)

#: Six frames after each other show the same part of the graph, and no longer the one before the
#: first fit. Frames, not moments: a busy machine draws none for a while.
_STILL = """(patience) => new Promise((done, fail) => {
  let last = '', same = 0
  // A tab behind draws no frames: this is told even there.
  const end = setTimeout(() => fail(new Error(
    `the view of the canvas is not still: ${last || 'no frame was drawn'}`)), patience)
  const look = () => {
    const pane = document.querySelector('.vue-flow__transformationpane')
    const now = pane ? getComputedStyle(pane).transform : ''
    const open = now !== 'matrix(1, 0, 0, 1, 0, 0)' || !document.querySelector('.rl-node')
    same = now === last && open ? same + 1 : 0
    last = now
    if (same < 6) return requestAnimationFrame(look)
    clearTimeout(end)
    done()
  }
  look()
})"""


def stand_still(page: Page) -> None:
    """Wait until the view of the canvas no longer moves. The tab must be in front."""
    page.evaluate(_STILL, MS)


_TOASTS = """
window.toasts = new Set()
new MutationObserver(() => {
  for (const each of document.querySelectorAll('.rl-toast')) window.toasts.add(each.textContent)
}).observe(document, { subtree: true, childList: true, characterData: true })
"""


def keep_toasts(context: BrowserContext) -> None:
    """Note what toasts say on every page: they are gone after a few seconds."""
    context.add_init_script(_TOASTS)


def told(page: Page, words: str) -> None:
    """Wait until a toast of the page has said this."""
    page.wait_for_function("words => [...toasts].some((each) => each.includes(words))", arg=words)
