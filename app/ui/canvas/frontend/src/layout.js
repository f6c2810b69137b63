import dagre from '@dagrejs/dagre'

const GRID = 16
const snap = (n) => Math.round(n / GRID) * GRID

/**
 * Left-to-right layered positions (top left corners) of nodes, keeping the old top left corner.
 * `clusters` are lists of node ids that stay together: groups.
 */
export function layered(nodes, edges, clusters = []) {
  const graph = new dagre.graphlib.Graph({ multigraph: true, compound: clusters.length > 0 })
  const many = nodes.length > 120
  graph.setGraph({ rankdir: 'LR', nodesep: 48, ranksep: 96, ranker: many ? 'longest-path' : 'network-simplex' })
  graph.setDefaultEdgeLabel(() => ({}))
  const inside = new Set(nodes.map((n) => n.id))
  for (const n of nodes) graph.setNode(n.id, { width: n.dimensions.width || 240, height: n.dimensions.height || 144 })
  for (const e of edges) if (inside.has(e.source) && inside.has(e.target)) graph.setEdge(e.source, e.target, {}, e.id)
  clusters.forEach((ids, i) => {
    const own = ids.filter((id) => inside.has(id))
    if (own.length < 2) return
    graph.setNode(`cluster:${i}`, {})
    for (const id of own) graph.setParent(id, `cluster:${i}`)
  })
  dagre.layout(graph)
  const corners = nodes.map((n) => {
    const { x, y, width, height } = graph.node(n.id)
    return { id: n.id, x: x - width / 2, y: y - height / 2 }
  })
  const dx = Math.min(...nodes.map((n) => n.position.x)) - Math.min(...corners.map((c) => c.x))
  const dy = Math.min(...nodes.map((n) => n.position.y)) - Math.min(...corners.map((c) => c.y))
  return new Map(corners.map((c) => [c.id, { x: snap(c.x + dx), y: snap(c.y + dy) }]))
}

/** Where notes go when the nodes around them move: as far as the nearest node does. */
export function following(notes, nodes, places) {
  const middle = (n, at = n.position) => [at.x + n.dimensions.width / 2, at.y + n.dimensions.height / 2]
  const found = new Map()
  for (const note of notes) {
    const [x, y] = middle(note)
    let nearest = null
    let least = Infinity
    for (const node of nodes) {
      const [a, b] = middle(node)
      const far = Math.hypot(a - x, b - y)
      if (far < least) [nearest, least] = [node, far]
    }
    const to = nearest && places.get(nearest.id)
    if (!to) continue
    found.set(note.id, { x: note.position.x + to.x - nearest.position.x, y: note.position.y + to.y - nearest.position.y })
  }
  return found
}
