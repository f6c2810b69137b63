import { shallowRef, watch } from 'vue'
import { reachable, refusal } from './fit.js'
import { fromFlow, toFlow } from './ids.js'

// Everything about a wire in the hand: which ports it may go to, what to say where it may not,
// and what happens where it is dropped. Dimming goes through classes on the handles themselves:
// re-rendering every card for it would drop frames.

const CLICK = 5

export function useWiring({ flow, root, types, ops, quickAdd, say }) {
  const wire = shallowRef(null)
  let made = false
  let from = null
  // Whether the end of an existing wire is in the hand.
  let updating = false

  const portOf = (node, name, side) =>
    (side === 'source' ? node.data.view.outputs : node.data.view.inputs).find((p) => p.name === name)
  const point = (event) => {
    const p = event.changedTouches?.[0] ?? event.touches?.[0] ?? event
    return { x: p.clientX, y: p.clientY }
  }

  function eachHandle(visit) {
    for (const el of root.value.querySelectorAll('.vue-flow__handle')) {
      const node = flow.findNode(el.dataset.nodeid)
      const side = el.classList.contains('source') ? 'source' : 'target'
      const port = node?.type === 'card' && portOf(node, fromFlow(el.dataset.handleid), side)
      if (port) visit(el, node, port, side)
    }
  }

  function onConnectStart({ event, nodeId, handleId, handleType }) {
    const node = flow.findNode(nodeId)
    const name = fromFlow(handleId ?? '')
    const port = node && portOf(node, name, handleType)
    if (!port) return
    made = false
    from = point(event)
    const blocked = reachable(flow.getEdges.value, fromFlow(nodeId), handleType !== 'source')
    const drag = { node: fromFlow(nodeId), port: name, side: handleType, type: port.type, blocked, refusal: '' }
    wire.value = drag
    root.value.classList.add('is-wiring')
    eachHandle((el, other, otherPort, side) => {
      const own = other.id === nodeId && otherPort === port
      const fits = own || !refusal(types.value, drag, other.data.view.id, otherPort, side)
      el.classList.toggle('is-dim', !fits)
      el.classList.toggle('is-fit', fits && !own)
    })
  }

  function finish() {
    wire.value = null
    root.value?.classList.remove('is-wiring')
    for (const el of root.value?.querySelectorAll('.is-dim, .is-fit') ?? []) el.classList.remove('is-dim', 'is-fit')
  }

  const connectOp = (drag, node, port) =>
    drag.side === 'source'
      ? { op: 'connect', source: drag.node, source_port: drag.port, target: node, target_port: port }
      : { op: 'connect', source: node, source_port: port, target: drag.node, target_port: drag.port }

  const still = (event) => {
    const { x, y } = point(event)
    return Math.hypot(x - from.x, y - from.y) < CLICK
  }

  function onConnect(connection) {
    made = true
    ops([
      {
        op: 'connect',
        source: fromFlow(connection.source),
        source_port: fromFlow(connection.sourceHandle),
        target: fromFlow(connection.target),
        target_port: fromFlow(connection.targetHandle),
      },
    ])
  }

  function onConnectEnd(event) {
    const drag = wire.value
    finish()
    if (!drag || made || !event || (updating && still(event))) return
    // The click that follows a touch would choose from the list that opens under the finger.
    if (event.type === 'touchend' && event.cancelable) event.preventDefault()
    const { x, y } = point(event)
    if (still(event)) {
      quickAdd(x, y, drag, true)
      return
    }
    const target = document.elementFromPoint(x, y)
    const card = target?.closest('.vue-flow__node')
    if (card && root.value.contains(card)) dropOnNode(drag, flow.findNode(card.dataset.id))
    else if (target?.closest('.vue-flow__pane')) quickAdd(x, y, drag)
  }

  function dropOnNode(drag, node) {
    const { view } = node.data
    if (view.id === drag.node) return
    const ports = drag.side === 'source' ? view.inputs : view.outputs
    const side = drag.side === 'source' ? 'target' : 'source'
    const fits = ports.filter((p) => !refusal(types.value, drag, view.id, p, side))
    const best = fits.find((p) => !p.connected) ?? fits[0]
    if (best) ops([connectOp(drag, view.id, best.name)])
    else say(ports.length ? refusal(types.value, drag, view.id, ports[0], side) : `${view.title} has no ${side === 'target' ? 'inputs' : 'outputs'}.`)
  }

  // Dragging the end of an existing wire elsewhere.
  const pieces = (view) => [view.source, view.source_port, view.target, view.target_port]
  function onEdgeUpdate({ edge, connection }) {
    made = true
    const old = pieces(edge.data.view)
    const now = [connection.source, connection.sourceHandle, connection.target, connection.targetHandle].map(fromFlow)
    if (old.join('|') === now.join('|')) return
    const [source, source_port, target, target_port] = now
    ops([
      { op: 'disconnect', edges: [old] },
      { op: 'connect', source, source_port, target, target_port },
    ])
  }
  function onEdgeUpdateStart({ event }) {
    made = false
    updating = true
    from = point(event)
  }
  function onEdgeUpdateEnd({ edge, event }) {
    queueMicrotask(() => (updating = false)) // the end of the connection is told in the same breath
    if (made) return
    made = true
    // A click at the end of a wire takes it in no other hand: it is selected, as by one in its middle.
    if (still(event)) {
      flow.removeSelectedElements()
      return flow.addSelectedEdges([flow.findEdge(edge.id)])
    }
    const { x, y } = point(event)
    if (document.elementFromPoint(x, y)?.closest('.vue-flow__pane')) ops([{ op: 'disconnect', edges: [pieces(edge.data.view)] }])
  }

  // What to say while the wire hovers over a port that refuses it.
  watch(flow.connectionEndHandle, (end) => {
    const drag = wire.value
    if (!drag) return
    let reason = ''
    const node = end && flow.findNode(end.nodeId)
    if (node && !(end.nodeId === toFlow(drag.node) && fromFlow(end.id) === drag.port && end.type === drag.side)) {
      const port = portOf(node, fromFlow(end.id ?? ''), end.type)
      if (port) reason = refusal(types.value, drag, node.data.view.id, port, end.type)
    }
    if (reason !== drag.refusal) wire.value = { ...drag, refusal: reason }
  })

  return { wire, onConnectStart, onConnect, onConnectEnd, onEdgeUpdate, onEdgeUpdateStart, onEdgeUpdateEnd }
}
