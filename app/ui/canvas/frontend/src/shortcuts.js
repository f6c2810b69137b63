import { isTyping } from './clipboard.js'
import { typeInto } from './typing.js'

// Keys live on the document: when a focused node is deleted, focus falls back to the body.

const CONTROL = {
  z: 'undo',
  y: 'redo',
  a: 'select_all',
  d: 'duplicate',
  s: 'save',
  enter: 'run',
  k: 'find',
  f: 'find_node',
  g: 'group',
  e: 'collapse',
}
const SHIFTED = { undo: 'redo', group: 'ungroup', collapse: 'expand' }
const PLAIN = {
  Delete: 'delete',
  Backspace: 'delete',
  F2: 'rename',
  d: 'toggle_disabled',
  p: 'toggle_pinned',
  c: 'connect',
  n: 'note',
  ContextMenu: 'menu',
  1: 'fit',
  '+': 'zoom_in',
  '=': 'zoom_in',
  '-': 'zoom_out',
  '?': 'help',
  Tab: 'quick_add',
  Escape: 'escape',
  Enter: 'open',
  ArrowLeft: 'walk_left',
  ArrowRight: 'walk_right',
  ArrowUp: 'walk_up',
  ArrowDown: 'walk_down',
}
const NUDGE = { ArrowLeft: [-16, 0], ArrowRight: [16, 0], ArrowUp: [0, -16], ArrowDown: [0, 16] }
export function installShortcuts({ root, perform, copy, paste, nudge, ahead }) {
  const visible = () => root.value && root.value.offsetParent !== null
  const inDialog = (target) => target instanceof Element && Boolean(target.closest('.q-dialog, [role="dialog"], .q-menu'))
  const onCanvas = () => {
    const focused = document.activeElement
    return !focused || focused === document.body || root.value.contains(focused)
  }

  function keydown(event) {
    const control = event.ctrlKey || event.metaKey
    if (ahead.active() && !control && !isTyping(event.target) && ahead.key(event)) return event.preventDefault()
    // A title that waits to be typed gets the keys, wherever the focus went meanwhile.
    const field = isTyping(event.target) ? null : root.value.querySelector('.rl-title-input, .rl-sticky-input')
    if (field && !control) return typeInto(field, event)
    if (!visible() || inDialog(event.target) || event.defaultPrevented) return
    let name = null
    if (control && !event.altKey) {
      name = CONTROL[event.key.toLowerCase()]
      if (event.shiftKey) name = SHIFTED[name] ?? name
      if (!name) return
      if (isTyping(event.target) && name !== 'save' && name !== 'run') return
      if (name === 'find_node' && !onCanvas()) return
    } else {
      if (isTyping(event.target) || !onCanvas() || control) return
      if (event.altKey) {
        if (!NUDGE[event.key]) return
        event.preventDefault()
        nudge(...NUDGE[event.key])
        return
      }
      name = event.shiftKey && event.key === 'F10' ? 'menu' : PLAIN[event.key]
      if (!name || (event.key === 'Tab' && event.shiftKey)) return
      // Buttons of the canvas keep Enter and Tab for themselves.
      const button = event.target instanceof Element && event.target.closest('button')
      if (button && (name === 'open' || name === 'quick_add')) return
    }
    if (perform(name) !== false) event.preventDefault()
  }
  const clip = (handler) => (event) => {
    if (!visible() || isTyping(event.target) || inDialog(event.target)) return
    if (event.type !== 'paste' && !document.getSelection()?.isCollapsed) return
    handler(event)
  }
  const listeners = {
    keydown,
    copy: clip((event) => copy(event, false)),
    cut: clip((event) => copy(event, true)),
    paste: clip(paste),
  }
  for (const [name, handler] of Object.entries(listeners)) document.addEventListener(name, handler)
  return () => {
    for (const [name, handler] of Object.entries(listeners)) document.removeEventListener(name, handler)
  }
}
