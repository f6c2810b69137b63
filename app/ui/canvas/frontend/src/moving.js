import { nextTick, ref, shallowRef } from 'vue'
import { aligned, guides } from './align.js'
import { idOf, isCard, isNote } from './ids.js'
import { following, layered } from './layout.js'
import { rememberedSwitch } from './remember.js'

// Where things are: dragging with guides, joining a group or a wire where they are dropped,
// nudging, lining up, tidying.

const GRID = 16
const NEAR = 6

export function useMoving({ flow, ops, editable, groups, boxOfGroup, edgeParts, fit }) {
  const dragging = ref(false)
  const snapOn = rememberedSwitch('snap', true)
  const lines = shallowRef({})
  let target = null

  const snap = (n) => (snapOn.value ? Math.round(n / GRID) * GRID : Math.round(n))
  const snapped = ({ x, y }) => ({ x: snap(x), y: snap(y) })
  const places = (elements) => Object.fromEntries(elements.map((n) => [idOf(n), [n.position.x, n.position.y]]))
  const movesOf = (elements, label) => ({
    op: 'move_nodes',
    positions: places(elements.filter(isCard)),
    notes: places(elements.filter(isNote)),
    ...(label ? { label } : {}),
  })
  const send = (elements, label) => elements.length && ops([movesOf(elements, label)])

  // ---- dragging ----
  const around = (elements) => {
    const x = Math.min(...elements.map((n) => n.position.x))
    const y = Math.min(...elements.map((n) => n.position.y))
    return {
      x,
      y,
      width: Math.max(...elements.map((n) => n.position.x + n.dimensions.width)) - x,
      height: Math.max(...elements.map((n) => n.position.y + n.dimensions.height)) - y,
    }
  }
  let others = []
  function onStart({ nodes }) {
    dragging.value = true
    const moved = new Set(nodes.map((n) => n.id))
    others = flow.getNodes.value.filter((n) => !moved.has(n.id)).map((n) => ({ ...n.position, ...n.dimensions }))
  }
  function onDrag({ nodes, event }) {
    if (!nodes?.length) return
    const found = guides(around(nodes), others, snapOn.value ? 0.5 : NEAR / flow.viewport.value.zoom)
    if (!snapOn.value) {
      const [dx, dy] = [found.x?.off ?? 0, found.y?.off ?? 0]
      if (dx || dy) for (const n of nodes) n.position = { x: n.position.x + dx, y: n.position.y + dy }
    }
    const next = { ...(found.x && { x: found.x }), ...(found.y && { y: found.y }) }
    if (found.x || found.y || Object.keys(lines.value).length) lines.value = next
    point(event, nodes)
  }
  /** A loose card over a wire: it would go into it. */
  function point(event, nodes) {
    const at = event?.touches?.[0] ?? event
    const [card] = nodes
    const loose = nodes.length === 1 && isCard(card) && ![...card.data.view.inputs, ...card.data.view.outputs].some((p) => p.connected)
    const el = loose && at?.clientX !== undefined ? wireAt(at.clientX, at.clientY) : null
    if (el !== target) {
      target?.classList.remove('is-drop')
      el?.classList.add('is-drop')
      target = el
    }
  }
  const wireAt = (x, y) => document.elementsFromPoint(x, y).map((el) => el.closest?.('.vue-flow__edge')).find(Boolean) ?? null
  function onStop({ nodes }) {
    dragging.value = false
    lines.value = {}
    const wire = target && flow.findEdge(target.dataset.id)
    target?.classList.remove('is-drop')
    target = null
    moved(nodes, wire)
  }
  /** Elements were dragged to where they are now. */
  function moved(nodes, wire = null) {
    dragging.value = false
    if (!nodes.length || !editable.value) return
    const join = wire ? null : groups.joining(nodes, boxOfGroup)
    ops([
      movesOf(nodes),
      ...(wire ? [{ op: 'insert', node: idOf(nodes[0]), wire: edgeParts(wire) }] : []),
      ...(join ? [join] : []),
    ])
  }

  // ---- by command ----
  function nudge(dx, dy) {
    const elements = flow.getSelectedNodes.value
    if (!elements.length || !editable.value) return
    for (const n of elements) n.position = { x: n.position.x + dx, y: n.position.y + dy }
    send(elements)
  }
  function put(elements, to, label) {
    const changed = elements.filter((n) => to.has(n.id))
    for (const n of changed) n.position = to.get(n.id)
    send(changed, label)
  }
  function align(how) {
    const elements = flow.getSelectedNodes.value
    if (elements.length > 1 && editable.value) put(elements, aligned(elements, how), 'Line up')
  }
  function tidy(fitAfter = true) {
    const chosen = flow.getSelectedNodes.value.filter(isCard)
    const cards = chosen.length > 1 ? chosen : flow.getNodes.value.filter(isCard)
    if (!cards.length || !editable.value) return
    const clusters = [...groups.groups.values()].map((g) => groups.members(g).filter(isCard).map((n) => n.id))
    const to = layered(cards, flow.getEdges.value, clusters)
    const notes = chosen.length > 1 ? flow.getSelectedNodes.value.filter(isNote) : flow.getNodes.value.filter(isNote)
    const all = new Map([...to, ...following(notes, cards, to)])
    put([...cards, ...notes], all, 'Tidy up')
    if (fitAfter) nextTick(() => fit())
  }

  return { dragging, snapOn, lines, snapped, onStart, onDrag, onStop, moved, nudge, align, tidy, wireAt }
}
