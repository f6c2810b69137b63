import { onBeforeUnmount, shallowRef } from 'vue'
import { accepts, fittingPorts, reachable, refusal } from './fit.js'
import { idOf, isCard } from './ids.js'

// The small search box of the canvas, and what it offers: node types to add, ports to connect to,
// things to find.

const WIDTH = 328

/** The kinds that were made for a value before those that take any. */
const closest = (entries, exact) => [...entries].sort((a, b) => Number(exact(b)) - Number(exact(a)))

export function usePick({ root, flow, types, catalog, editable, ops, emit, flowPoint, edgeParts, addNote, select, centreOn }) {
  const box = shallowRef(null)

  function open(clientX, clientY, content) {
    const room = root.value.getBoundingClientRect()
    box.value = {
      x: clientX - room.left,
      y: clientY - room.top,
      id: performance.now(),
      ...content,
    }
  }
  function close() {
    if (!box.value) return
    box.value = null
    root.value.focus({ preventScroll: true })
  }
  function closeUnlessInside(event) {
    if (box.value && !event.target.closest('.rl-quick')) box.value = null
  }
  // A press beside the canvas leaves the box too.
  const leave = (event) => {
    if (box.value && root.value && !root.value.contains(event.target)) box.value = null
  }
  document.addEventListener('pointerdown', leave, true)
  onBeforeUnmount(() => document.removeEventListener('pointerdown', leave, true))
  function choose(entry) {
    const { chosen } = box.value
    close()
    chosen(entry)
  }

  // ---- nodes to add ----
  const NOTE = { type: '', key: ':note', title: 'Sticky note', family: 'note', icon: 'sticky_note_2', description: 'Words beside the nodes.' }
  /** `drag` is the wire in hand; `beside` says that its port was clicked, not a place for the node. */
  function add(clientX, clientY, drag = null, beside = false) {
    if (!editable.value) return
    const ends = (entry) => (drag.side === 'source' ? entry.inputs : entry.outputs)
    const fitting = drag ? catalog.value.filter((entry) => fittingPorts(types.value, drag, entry).length > 0) : catalog.value
    const entries = drag ? closest(fitting, (entry) => ends(entry).some((p) => p.type === drag.type)) : fitting
    const from = drag && { node: drag.node, port: drag.port, side: drag.side, type: drag.type }
    const at = flowPoint(clientX, clientY)
    emit('paneAction', { action: 'quick_add', x: at.x, y: at.y, from, types: entries.map((e) => e.type) })
    if (!catalog.value.length) return
    const gap = beside ? 64 : 0
    const x = from?.side === 'target' ? at.x - 240 - gap : at.x + gap
    open(clientX, clientY, {
      entries: drag ? entries : [...entries, NOTE],
      heading: drag ? `Add a node that ${drag.side === 'source' ? 'takes' : 'gives'} ${drag.type}` : 'Add a node',
      none: drag ? 'No node fits this port.' : 'No node of that name.',
      chosen: (entry) => (entry === NOTE ? addNote(at) : ops([{ op: 'add_node', type: entry.type, x, y: at.y - 48, connect: from, free: !from || beside }])),
    })
  }
  /** Into a wire: only what takes its value and gives what its other end wants. */
  function insert(view, clientX, clientY) {
    if (!editable.value) return
    const target = flow.getNodes.value.find((n) => isCard(n) && idOf(n) === view.target)
    const wanted = target?.data.view.inputs.find((p) => p.name === view.target_port)?.type ?? 'Any'
    const fits = (entry) => entry.inputs.some((p) => accepts(types.value, view.type, p.type)) && entry.outputs.some((p) => accepts(types.value, p.type, wanted))
    const exact = (entry) => entry.inputs.some((p) => p.type === view.type) && entry.outputs.some((p) => p.type === wanted)
    const at = flowPoint(clientX, clientY)
    open(clientX, clientY, {
      entries: closest(catalog.value.filter(fits), exact),
      heading: 'Insert a node',
      none: 'No node fits into this wire.',
      chosen: (entry) => ops([{ op: 'add_node', type: entry.type, x: at.x - 112, y: at.y - 64, insert: edgeParts({ data: { view } }) }]),
    })
  }

  // ---- wires from the keyboard ----
  function partners(card) {
    const { view } = card.data
    const cards = flow.getNodes.value.filter((n) => isCard(n) && n !== card)
    const far = (n) => Math.hypot(n.position.x - card.position.x, n.position.y - card.position.y)
    const found = []
    for (const side of ['source', 'target']) {
      const own = side === 'source' ? view.outputs : view.inputs
      const blocked = reachable(flow.getEdges.value, view.id, side !== 'source')
      for (const port of own) {
        const drag = { node: view.id, port: port.name, side, type: port.type, blocked }
        for (const other of cards) {
          const there = side === 'source' ? other.data.view.inputs : other.data.view.outputs
          for (const end of there) {
            if (refusal(types.value, drag, idOf(other), end, side === 'source' ? 'target' : 'source')) continue
            const [source, source_port, target, target_port] = side === 'source' ? [view.id, port.name, idOf(other), end.name] : [idOf(other), end.name, view.id, port.name]
            if (flow.getEdges.value.some((e) => [source, source_port, target, target_port].every((part, i) => edgeParts(e)[i] === part))) continue
            const arrow = side === 'source' ? '→' : '←'
            found.push({
              key: [source, source_port, target, target_port].join('|'),
              title: `${port.name} ${arrow} ${other.data.view.title}`,
              description: `${end.name} · ${side === 'source' ? port.type : end.type}`,
              family: other.data.view.family,
              icon: other.data.view.icon,
              rank: (side === 'target' && !port.connected ? 0 : side === 'source' && !end.connected ? 1 : 2) * 1e6 + far(other),
              op: { op: 'connect', source, source_port, target, target_port },
            })
          }
        }
      }
    }
    return found.sort((a, b) => a.rank - b.rank)
  }
  function connect(card) {
    const el = root.value.querySelector(`.vue-flow__node[data-id="${CSS.escape(card.id)}"]`)
    const { right, top } = (el ?? root.value).getBoundingClientRect()
    open(right + 8, top, {
      entries: partners(card),
      heading: `Connect “${card.data.view.title}” to`,
      none: 'Nothing here fits its ports.',
      chosen: (entry) => ops([entry.op]),
    })
  }

  // ---- what is on the canvas ----
  function find() {
    const room = root.value.getBoundingClientRect()
    const cards = flow.getNodes.value.map(({ id, type, data: { view } }) =>
      type === 'card'
        ? { key: id, id, title: view.title, description: [view.summary, view.id].filter(Boolean).join(' · '), type: view.type, family: view.family, icon: view.icon }
        : { key: id, id, title: view.text.split('\n')[0].replace(/^[#*\s-]+/, '').slice(0, 80) || 'Empty note', description: 'Note', type: view.text.slice(0, 500), family: 'note', icon: 'sticky_note_2' },
    )
    open(room.left + room.width / 2 - WIDTH / 2, room.top + 64, {
      entries: cards,
      heading: 'Find on the canvas',
      none: 'Nothing here has that name.',
      chosen: ({ id }) => {
        select([flow.findNode(id)].filter(Boolean))
        centreOn(id)
      },
    })
  }

  return { box, add, insert, connect, find, close, closeUnlessInside, choose }
}
