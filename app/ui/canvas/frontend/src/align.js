// Lining things up: new places of elements `{ id, position, dimensions }`, by id.

const boxes = (nodes) => nodes.map((n) => ({ id: n.id, ...n.position, width: n.dimensions.width || 240, height: n.dimensions.height || 144 }))
const lowest = (list, of) => Math.min(...list.map(of))
const highest = (list, of) => Math.max(...list.map(of))

const LINES = {
  left: (all) => ((x) => (b) => ({ x, y: b.y }))(lowest(all, (b) => b.x)),
  right: (all) => ((edge) => (b) => ({ x: edge - b.width, y: b.y }))(highest(all, (b) => b.x + b.width)),
  centre: (all) => ((mid) => (b) => ({ x: mid - b.width / 2, y: b.y }))((lowest(all, (b) => b.x) + highest(all, (b) => b.x + b.width)) / 2),
  top: (all) => ((y) => (b) => ({ x: b.x, y }))(lowest(all, (b) => b.y)),
  bottom: (all) => ((edge) => (b) => ({ x: b.x, y: edge - b.height }))(highest(all, (b) => b.y + b.height)),
  middle: (all) => ((mid) => (b) => ({ x: b.x, y: mid - b.height / 2 }))((lowest(all, (b) => b.y) + highest(all, (b) => b.y + b.height)) / 2),
}

export const WAYS = [
  { how: 'left', icon: 'align_horizontal_left', label: 'Align left' },
  { how: 'centre', icon: 'align_horizontal_center', label: 'Align centres' },
  { how: 'right', icon: 'align_horizontal_right', label: 'Align right' },
  { how: 'top', icon: 'align_vertical_top', label: 'Align top' },
  { how: 'middle', icon: 'align_vertical_center', label: 'Align middles' },
  { how: 'bottom', icon: 'align_vertical_bottom', label: 'Align bottom' },
  { how: 'across', icon: 'horizontal_distribute', label: 'Space out across', least: 3 },
  { how: 'down', icon: 'vertical_distribute', label: 'Space out downwards', least: 3 },
]

/** Equal gaps between neighbours; the outermost stay. */
function spread(all, axis, length) {
  const order = [...all].sort((a, b) => a[axis] - b[axis])
  const last = order.at(-1)
  const room = last[axis] + last[length] - order[0][axis]
  const gap = (room - order.reduce((sum, b) => sum + b[length], 0)) / (order.length - 1)
  let at = order[0][axis]
  return new Map(
    order.map((b) => {
      const place = { x: b.x, y: b.y, [axis]: Math.round(at) }
      at += b[length] + gap
      return [b.id, place]
    }),
  )
}

export function aligned(nodes, how) {
  const all = boxes(nodes)
  if (how === 'across') return spread(all, 'x', 'width')
  if (how === 'down') return spread(all, 'y', 'height')
  const place = LINES[how](all)
  return new Map(all.map((b) => [b.id, place(b)]))
}

/** Lines that a dragged box shares with others, and how far off it is from them. */
export function guides(box, others, near) {
  const edges = (b, axis, length) => [b[axis], b[axis] + b[length] / 2, b[axis] + b[length]]
  const best = (axis, length, across, breadth) => {
    let found = null
    for (const other of others) {
      for (const theirs of edges(other, axis, length)) {
        for (const own of edges(box, axis, length)) {
          const off = theirs - own
          if (Math.abs(off) > near || (found && Math.abs(off) >= Math.abs(found.off))) continue
          const from = Math.min(box[across], other[across])
          const to = Math.max(box[across] + box[breadth], other[across] + other[breadth])
          found = { at: theirs, off, from, to }
        }
      }
    }
    return found
  }
  return { x: best('x', 'width', 'y', 'height'), y: best('y', 'height', 'x', 'width') }
}
