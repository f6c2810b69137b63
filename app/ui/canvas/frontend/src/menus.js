import { onBeforeUnmount, shallowRef } from 'vue'
import { COLOURS } from './groups.js'
import { isCard, isNote } from './ids.js'

// What can be done with what was clicked, by the right button, a long press, or the menu key.

const LONG_MS = 500
const STILL = 10
// How soon after a finger was lifted its click comes.
const CLICK_MS = 150

export function useMenus({ root, flow, groups, perform, ops, nodeAction, editable, extra, select, pickGroup, quickAdd, insertAt, edgeParts, editNote, nameGroup }) {
  const menu = shallowRef(null)
  let pressed = null
  let pressedAt = 0
  let held = false
  let liftedAt = 0

  const line = { line: true }
  const command = (label, icon, name, keys = '', more = {}) => ({ label, icon, keys, run: () => perform(name), ...more })
  const tidyUp = (entries) => entries.filter((e, i, all) => e && !(e.line && (i === 0 || i === all.length - 1 || all[i - 1]?.line)))

  function forCards(cards) {
    const many = cards.length > 1
    const [{ data: { view } }] = cards
    const yes = editable.value
    return tidyUp([
      ...(!many && yes ? [{ label: 'Run to here', icon: 'play_arrow', run: () => nodeAction('run_to', view.id) }] : []),
      ...(!many ? extra().filter((e) => yes || !e.edits).map((e) => ({ label: e.label, icon: e.icon, keys: e.keys, run: () => nodeAction(e.action, view.id) })) : []),
      many && yes && command('Run the selection', 'play_arrow', 'run_selection'),
      !many && { label: 'Open settings', icon: 'tune', keys: 'Enter', run: () => nodeAction('open', view.id) },
      line,
      !many && yes && command('Rename', 'edit', 'rename', 'F2'),
      !many && yes && command('Connect to…', 'cable', 'connect', 'C'),
      yes && command(cards.every((n) => n.data.view.disabled) ? 'Enable' : 'Disable', 'block', 'toggle_disabled', 'D'),
      !many && yes && command(view.pinned ? 'Unpin output' : 'Pin output', 'push_pin', 'toggle_pinned', 'P'),
      line,
      ...arranging(cards),
      line,
      command('Copy as text', 'content_copy', 'copy', 'Ctrl+C'),
      yes && command('Duplicate', 'control_point_duplicate', 'duplicate', 'Ctrl+D'),
      yes && command(many ? `Delete ${cards.length} nodes` : 'Delete', 'delete_outline', 'delete', 'Del', { danger: true }),
    ])
  }
  function arranging(elements) {
    if (!editable.value) return []
    const inGroup = elements.some((n) => groups.groupOf(n))
    const cards = elements.filter(isCard)
    const holder = cards.length === 1 && cards[0].data.view.holds
    return [
      command('Group', 'workspaces', 'group', 'Ctrl+G'),
      inGroup && command('Take out of the group', 'output', 'leave_group'),
      cards.length > 0 && command('Collapse into a sub-workflow', 'unfold_less', 'collapse', 'Ctrl+E'),
      holder && command('Expand the sub-workflow', 'unfold_more', 'expand', 'Ctrl+Shift+E'),
      cards.length > 1 && command('Tidy up', 'account_tree', 'tidy'),
    ]
  }
  function forNote(note) {
    const { view } = note.data
    if (!editable.value) return [command('Copy as text', 'content_copy', 'copy', 'Ctrl+C')]
    return tidyUp([
      { label: 'Edit', icon: 'edit', keys: 'F2', run: () => editNote(view.id) },
      { colours: COLOURS, now: view.colour, run: (colour) => ops([{ op: 'edit_note', note: view.id, colour }]) },
      line,
      ...arranging([note]),
      line,
      command('Copy as text', 'content_copy', 'copy', 'Ctrl+C'),
      command('Duplicate', 'control_point_duplicate', 'duplicate', 'Ctrl+D'),
      command('Delete', 'delete_outline', 'delete', 'Del', { danger: true }),
    ])
  }
  function forGroup(view) {
    if (!editable.value) return [command('Copy as text', 'content_copy', 'copy', 'Ctrl+C')]
    return [
      { label: 'Rename', icon: 'edit', keys: 'F2', run: () => nameGroup(view.id) },
      { colours: COLOURS, now: view.colour, run: (colour) => ops([{ op: 'set_group', group: view.id, colour }]) },
      line,
      command('Ungroup', 'layers_clear', 'ungroup', 'Ctrl+Shift+G'),
      command('Collapse into a sub-workflow', 'unfold_less', 'collapse', 'Ctrl+E'),
      command('Tidy up', 'account_tree', 'tidy'),
      line,
      command('Copy as text', 'content_copy', 'copy', 'Ctrl+C'),
      command('Duplicate', 'control_point_duplicate', 'duplicate', 'Ctrl+D'),
      command('Delete with its nodes', 'delete_outline', 'delete', 'Del', { danger: true }),
    ]
  }
  function forPane(x, y) {
    const yes = editable.value
    return tidyUp([
      yes && { label: 'Add a node', icon: 'add', keys: 'Tab', run: () => quickAdd(x, y) },
      yes && command('Add a note', 'sticky_note_2', 'note', 'N'),
      yes && command('Paste', 'content_paste', 'paste', 'Ctrl+V'),
      line,
      command('Find on the canvas', 'search', 'find_node', 'Ctrl+F'),
      command('Select all', 'select_all', 'select_all', 'Ctrl+A'),
      command('Select with a box', 'highlight_alt', 'box', 'Shift+drag'),
      yes && command('Tidy up', 'account_tree', 'tidy'),
      command('Fit everything', 'fit_screen', 'fit', '1'),
      yes && command('Snap to grid: on or off', 'grid_on', 'toggle_snap'),
      line,
      command('Keys', 'keyboard', 'help', '?'),
    ])
  }

  function open(x, y, label, entries) {
    if (!entries.length) return
    const box = root.value.getBoundingClientRect()
    menu.value = { x: x - box.left, y: y - box.top, label, entries, key: `${x},${y},${performance.now()}` }
  }
  function openFor(target, x, y) {
    const at = (selector) => target.closest?.(selector)
    const group = groups.groups.get(at('[data-group]')?.dataset.group)
    if (group) {
      pickGroup(group.id)
      return open(x, y, group.title || 'Group', forGroup(group))
    }
    const element = flow.findNode(at('.vue-flow__node')?.dataset.id ?? '')
    if (element && !element.selected) select([element])
    const edge = !element && flow.findEdge(at('.vue-flow__edge')?.dataset.id ?? '')
    if (edge) {
      return open(
        x,
        y,
        'Wire',
        editable.value
          ? [
              { label: 'Insert a node', icon: 'add', run: () => insertAt(edge.data.view, x, y) },
              { label: 'Delete', icon: 'delete_outline', danger: true, run: () => ops([{ op: 'disconnect', edges: [edgeParts(edge)] }]) },
            ]
          : [],
      )
    }
    const chosen = element || at('.vue-flow__nodesselection') ? flow.getSelectedNodes.value : []
    const cards = chosen.filter(isCard)
    if (cards.length) open(x, y, cards.length > 1 ? `${cards.length} nodes` : cards[0].data.view.title, forCards(cards))
    else if (chosen.some(isNote)) open(x, y, 'Note', forNote(chosen.find(isNote)))
    else open(x, y, 'Canvas', forPane(x, y))
  }
  /** The menu key: for what is selected, else for the canvas. */
  function openForSelection(x, y) {
    const [first] = flow.getSelectedNodes.value
    const el = first && root.value.querySelector(`.vue-flow__node[data-id="${CSS.escape(first.id)}"]`)
    if (!el) return openFor(root.value, x, y)
    const box = el.getBoundingClientRect()
    openFor(el, box.left + 24, box.top + 40)
  }

  function onContextMenu(event) {
    if (event.target.closest('input, textarea, .rl-quick, .rl-tools, .rl-menu')) return
    event.preventDefault()
    if (performance.now() - pressedAt < 1500 && menu.value) return // the long press was quicker
    openFor(event.target, event.clientX, event.clientY)
  }
  // A finger that stays: there is no right button on glass.
  function onPress(event) {
    release()
    held = false
    liftedAt = 0
    if (event.pointerType !== 'touch' || !event.isPrimary || event.target.closest('input, textarea, button:not(.rl-group-title), .rl-quick, .rl-menu')) return
    const { clientX: x, clientY: y, target } = event
    pressed = { x, y, timer: setTimeout(() => {
      pressed = null
      pressedAt = performance.now()
      held = true
      openFor(target, x, y)
    }, LONG_MS) }
  }
  function onPressMove(event) {
    if (pressed && Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) > STILL) release()
  }
  function release() {
    if (pressed) clearTimeout(pressed.timer)
    pressed = null
  }
  function close() {
    if (!menu.value) return
    menu.value = null
    root.value.focus({ preventScroll: true })
  }
  onBeforeUnmount(release)
  /** The finger leaves the glass. */
  function onLift() {
    release()
    if (held) liftedAt = performance.now()
    held = false
  }
  /**
   * Whether a click is the end of the long press that opened the menu, and means nothing: beside
   * the menu, or on what has come to lie under the finger.
   */
  function endsPress(event) {
    if (!menu.value) return false
    const now = performance.now()
    return now - liftedAt < CLICK_MS || (now - pressedAt < 900 && !event.target.closest('.rl-menu'))
  }

  return { menu, onContextMenu, onPress, onPressMove, onLift, close, openForSelection, endsPress }
}

