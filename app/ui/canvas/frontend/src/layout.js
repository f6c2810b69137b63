import dagre from '@dagrejs/dagre'

const GRID = 16
const snap = (n) => Math.round(n / GRID) * GRID

/** Left-to-right layered positions (top left corners) of nodes, keeping the old top left corner. */
export function layered(nodes, edges) {
  const graph = new dagre.graphlib.Graph({ multigraph: true })
  graph.setGraph({ rankdir: 'LR', nodesep: 48, ranksep: 96, ranker: nodes.length > 120 ? 'longest-path' : 'network-simplex' })
  graph.setDefaultEdgeLabel(() => ({}))
  const inside = new Set(nodes.map((n) => n.id))
  for (const n of nodes) graph.setNode(n.id, { width: n.dimensions.width || 240, height: n.dimensions.height || 144 })
  for (const e of edges) if (inside.has(e.source) && inside.has(e.target)) graph.setEdge(e.source, e.target, {}, e.id)
  dagre.layout(graph)
  const corners = nodes.map((n) => {
    const { x, y, width, height } = graph.node(n.id)
    return { id: n.id, x: x - width / 2, y: y - height / 2 }
  })
  const dx = Math.min(...nodes.map((n) => n.position.x)) - Math.min(...corners.map((c) => c.x))
  const dy = Math.min(...nodes.map((n) => n.position.y)) - Math.min(...corners.map((c) => c.y))
  return new Map(corners.map((c) => [c.id, { x: snap(c.x + dx), y: snap(c.y + dy) }]))
}
