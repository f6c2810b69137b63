import { fragment } from './clipboard.js'
import { idOf, isCard, isNote } from './ids.js'

// What keys, menus and bars do to the selection.

// The socket drops messages of more than 1 MB without a word.
const PASTE_LIMIT = 900_000
const EDITING = new Set(['undo', 'redo'])

export function useCommands({ flow, root, ops, emit, say, editable, groups, pick, moving, view, select, duration, pointerOrCentre, pointerOrBeside, flowPoint, renaming, renamingGroup, editingNote, addNote, menus, edgeParts, announce, ahead, boxing }) {
  const chosen = () => flow.getSelectedNodes.value
  const cards = () => chosen().filter(isCard)
  const nodeIds = () => cards().map(idOf)
  const noteIds = () => chosen().filter(isNote).map(idOf)
  const activeGroup = () => groups.groups.get(groups.active.value)

  function toggleDisabled(ids) {
    const views = flow.getNodes.value.filter((n) => isCard(n) && ids.includes(idOf(n))).map((n) => n.data.view)
    ops([{ op: 'set_disabled', nodes: ids, disabled: !views.every((v) => v.disabled) }])
  }

  function walk(dx, dy) {
    const nodes = flow.getNodes.value
    const current = chosen()[0]
    if (!nodes.length) return
    if (!current) return arrive(nodes[0])
    const wires = flow.getEdges.value.filter((e) => (dx > 0 ? e.source : e.target) === current.id)
    const wired = new Set(wires.map((e) => (dx > 0 ? e.target : e.source)))
    const pool = dx !== 0 && wired.size ? nodes.filter((n) => wired.has(n.id)) : nodes.filter((n) => n !== current)
    const ahead = (n) => (dx ? (n.position.x - current.position.x) * dx : (n.position.y - current.position.y) * dy)
    const away = (n) => Math.abs(dx ? n.position.y - current.position.y : n.position.x - current.position.x)
    const next = pool.filter((n) => ahead(n) > 0).sort((a, b) => ahead(a) + 2 * away(a) - ahead(b) - 2 * away(b))[0]
    if (next) arrive(next)
  }
  /** Select with the keyboard: the focus goes along, so that a screen reader says the name. */
  function arrive(element) {
    select([element])
    view.reveal(element.id)
    root.value.querySelector(`.vue-flow__node[data-id="${CSS.escape(element.id)}"]`)?.focus({ preventScroll: true })
  }

  const COMMANDS = {
    select_all: () => select(flow.getNodes.value),
    box: () => {
      boxing.value = true
      say('Draw a box around what to select.', false)
    },
    duplicate: () => chosen().length && ops([{ op: 'duplicate', nodes: nodeIds(), notes: noteIds() }]),
    delete: () => {
      const edges = flow.getSelectedEdges.value.map(edgeParts)
      if (chosen().length || edges.length) ops([{ op: 'delete', nodes: nodeIds(), notes: noteIds(), edges }])
    },
    rename: () => {
      if (!editable.value) return
      if (groups.active.value) renamingGroup.value = groups.active.value
      else if (nodeIds().length) renaming.value = nodeIds()[0]
      else if (noteIds().length) editingNote.value = noteIds()[0]
    },
    toggle_disabled: () => nodeIds().length && toggleDisabled(nodeIds()),
    toggle_pinned: () => nodeIds().length === 1 && emit('nodeAction', { action: 'toggle_pinned', node: nodeIds()[0] }),
    run_selection: () => editable.value && nodeIds().length && emit('nodeAction', { action: 'run_selection', node: nodeIds()[0] }),
    connect: () => {
      if (editable.value && cards().length === 1) pick.connect(cards()[0])
      else if (editable.value) say('Select one node, then press C to connect it.', false)
    },
    note: () => {
      if (editable.value) addNote(flowPoint(...pointerOrCentre()))
    },
    group: () => {
      if (chosen().length && editable.value) {
        ahead.expect()
        ops([{ op: 'group', nodes: nodeIds(), notes: noteIds() }])
      } else if (editable.value) say('Select what belongs together, then press Ctrl+G.', false)
    },
    ungroup: () => {
      const gone = new Set([...chosen().map((n) => groups.groupOf(n)?.id), groups.active.value].filter(Boolean))
      if (gone.size) ops([{ op: 'ungroup', groups: [...gone] }])
    },
    leave_group: () => ops([{ op: 'leave_group', nodes: nodeIds(), notes: noteIds() }]),
    collapse: () => {
      if (nodeIds().length) ops([{ op: 'collapse', nodes: nodeIds(), notes: noteIds(), title: activeGroup()?.title ?? '' }])
    },
    expand: () => {
      const [card] = cards()
      if (card?.data.view.holds) ops([{ op: 'expand', node: idOf(card) }])
    },
    tidy: () => moving.tidy(chosen().length < 2),
    toggle_snap: () => {
      moving.snapOn.value = !moving.snapOn.value
      announce(moving.snapOn.value ? 'Snap to grid is on.' : 'Snap to grid is off.', true)
    },
    fit: () => view.fit(),
    zoom_in: () => flow.zoomIn({ duration }),
    zoom_out: () => flow.zoomOut({ duration }),
    quick_add: () => {
      // Where nothing can be added, Tab goes on to what comes next.
      if (!editable.value) return false
      const [wire] = flow.getSelectedEdges.value
      if (wire && !chosen().length) pick.insert(wire.data.view, ...pointerOrCentre())
      else pick.add(...pointerOrBeside())
    },
    find_node: () => pick.find(),
    menu: () => menus().openForSelection(...pointerOrCentre()),
    open: () => {
      const [id] = nodeIds()
      if (id) return emit('nodeAction', { action: 'open', node: id })
      if (!noteIds().length) return false
      COMMANDS.rename()
    },
    copy: () => copyAsText(),
    paste: () => pasteFromClipboard(),
    escape: () => {
      if (menus().menu.value) menus().close()
      else if (pick.box.value) pick.close()
      else flow.removeSelectedElements()
    },
    walk_left: () => walk(-1, 0),
    walk_right: () => walk(1, 0),
    walk_up: () => walk(0, -1),
    walk_down: () => walk(0, 1),
  }
  function perform(name) {
    if (COMMANDS[name]) return COMMANDS[name]()
    if (!EDITING.has(name) || editable.value) emit('command', { name })
  }

  // ---- the clipboard ----
  const copied = () => fragment(chosen(), flow.getEdges.value, groups.wholeGroups(chosen()))
  function copy(event, cut) {
    if (!chosen().length) return
    event.clipboardData.setData('text/plain', copied())
    event.preventDefault()
    if (cut) COMMANDS.delete()
  }
  async function copyAsText() {
    if (!chosen().length) return
    try {
      await navigator.clipboard.writeText(copied())
      say('Copied. Paste it on any canvas, or into a text.', false)
    } catch {
      say('The browser does not let this page write to the clipboard. Press Ctrl+C instead.', false)
    }
  }
  function pasteText(text) {
    if (!text.trim() || !editable.value) return
    if (text.length > PASTE_LIMIT) return say('The clipboard holds too much to paste here. Import it as a file.')
    const { x, y } = flowPoint(...pointerOrCentre())
    ops([{ op: 'paste', text, x, y }])
  }
  function paste(event) {
    const text = event.clipboardData.getData('text/plain')
    if (!text.trim()) return
    event.preventDefault()
    pasteText(text)
  }
  async function pasteFromClipboard() {
    try {
      pasteText(await navigator.clipboard.readText())
    } catch {
      say('The browser does not let this page read the clipboard. Press Ctrl+V instead.', false)
    }
  }

  return { perform, copy, paste, toggleDisabled }
}
