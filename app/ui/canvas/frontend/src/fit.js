// The browser's share of type checking: which ports to dim while a wire is dragged. Python decides.

/** Whether an output of type `source` may go into an input of type `target`. */
export function accepts(types, source, target) {
  const fits = types[target]?.accepts
  return fits ? fits.includes(source) : true
}

/** Ids of all nodes reachable from `start` along (or against) the wires. */
export function reachable(edges, start, forward) {
  const next = new Map()
  for (const { view } of edges.map((e) => e.data)) {
    const [from, to] = forward ? [view.source, view.target] : [view.target, view.source]
    if (!next.has(from)) next.set(from, [])
    next.get(from).push(to)
  }
  const seen = new Set([start])
  const queue = [start]
  while (queue.length) {
    for (const id of next.get(queue.pop()) ?? []) {
      if (!seen.has(id)) {
        seen.add(id)
        queue.push(id)
      }
    }
  }
  return seen
}

/** Why a wire from `drag` cannot end at this port; empty where it can. */
export function refusal(types, drag, node, port, side) {
  if (side === drag.side) return drag.side === 'source' ? 'An output goes into an input.' : 'An input takes an output.'
  if (drag.blocked.has(node)) return node === drag.node ? 'A node cannot feed itself.' : 'This would make a loop.'
  const [source, target] = drag.side === 'source' ? [drag.type, port.type] : [port.type, drag.type]
  if (!accepts(types, source, target)) return `${source} does not fit: ${drag.side === 'source' ? port.name : drag.port} takes ${target}.`
  return ''
}

/** Ports of a palette entry that could take this wire. */
export function fittingPorts(types, drag, entry) {
  const ports = drag.side === 'source' ? entry.inputs : entry.outputs
  return ports.filter((p) => (drag.side === 'source' ? accepts(types, drag.type, p.type) : accepts(types, p.type, drag.type)))
}
