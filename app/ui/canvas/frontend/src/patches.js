import { markRaw, nextTick } from 'vue'
import { toFlow } from './ids.js'

// Turns what Python sends (node and edge views) into Vue Flow elements. Views are marked raw, so
// Vue does not wrap configs and port lists in proxies; a change replaces the whole view.

const nodeOf = (view) => ({
  id: toFlow(view.id),
  type: 'card',
  position: { x: view.x, y: view.y },
  ariaLabel: `${view.title}, ${view.type}`,
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
  flow.setNodes((graph.nodes ?? []).map(nodeOf))
  flow.setEdges((graph.edges ?? []).map(edgeOf))
}

export function applyPatch(flow, patch) {
  if (patch.remove_edges?.length) flow.removeEdges(patch.remove_edges)
  if (patch.remove_nodes?.length) flow.removeNodes(patch.remove_nodes.map(toFlow), false)
  const added = []
  const changedPorts = []
  for (const view of patch.nodes ?? []) {
    const node = flow.findNode(toFlow(view.id))
    if (!node) {
      added.push(nodeOf(view))
      continue
    }
    if (ports(node.data.view) !== ports(view)) changedPorts.push(node.id)
    node.data = { view: markRaw(view) }
    node.ariaLabel = `${view.title}, ${view.type}`
    if (!node.dragging) node.position = { x: view.x, y: view.y }
  }
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
