import { markRaw, nextTick } from 'vue'
import { toFlow, toNote } from './ids.js'

// Turns what Python sends (node, note and edge views) into Vue Flow elements. Views are marked raw,
// so Vue does not wrap configs and port lists in proxies; a change replaces the whole view.

const nodeOf = (view) => ({
  id: toFlow(view.id),
  type: 'card',
  position: { x: view.x, y: view.y },
  data: { view: markRaw(view) },
})

// Notes lie under the wires, also while they are selected.
const noteOf = (view) => ({
  id: toNote(view.id),
  type: 'note',
  position: { x: view.x, y: view.y },
  zIndex: -2000,
  connectable: false,
  data: { view: markRaw(view) },
})

const edgeOf = (view) => ({
  id: view.id,
  type: 'wire',
  source: toFlow(view.source),
  target: toFlow(view.target),
  sourceHandle: toFlow(view.source_port),
  targetHandle: toFlow(view.target_port),
  ariaLabel: `${view.source} ${view.source_port} to ${view.target} ${view.target_port}`,
  data: { view: markRaw(view) },
})

const ports = (view) => JSON.stringify([view.inputs.map((p) => p.name), view.outputs.map((p) => p.name), view.summary === ''])

export function loadGraph(flow, graph) {
  flow.setEdges([])
  flow.setNodes([...(graph.nodes ?? []).map(nodeOf), ...(graph.notes ?? []).map(noteOf)])
  flow.setEdges((graph.edges ?? []).map(edgeOf))
}

export function applyPatch(flow, patch) {
  if (patch.remove_edges?.length) flow.removeEdges(patch.remove_edges)
  const gone = [...(patch.remove_nodes ?? []).map(toFlow), ...(patch.remove_notes ?? []).map(toNote)]
  if (gone.length) flow.removeNodes(gone, false)
  const added = []
  const changedPorts = []
  const change = (view, id, make) => {
    const node = flow.findNode(id)
    if (!node) return added.push(make(view))
    if (make === nodeOf && ports(node.data.view) !== ports(view)) changedPorts.push(node.id)
    node.data = { view: markRaw(view) }
    if (!node.dragging && (node.position.x !== view.x || node.position.y !== view.y)) node.position = { x: view.x, y: view.y }
  }
  for (const view of patch.nodes ?? []) change(view, toFlow(view.id), nodeOf)
  for (const view of patch.notes ?? []) change(view, toNote(view.id), noteOf)
  if (added.length) flow.addNodes(added)
  for (const [id, [x, y]] of Object.entries(patch.moved ?? {})) {
    const node = flow.findNode(toFlow(id))
    if (node && !node.dragging) node.position = { x, y }
  }
  const newEdges = []
  for (const view of patch.edges ?? []) {
    const edge = flow.findEdge(view.id)
    if (edge) edge.data = { view: markRaw(view) }
    else newEdges.push(edgeOf(view))
  }
  if (newEdges.length) flow.addEdges(newEdges)
  if (changedPorts.length) nextTick(() => flow.updateNodeInternals(changedPorts))
}
