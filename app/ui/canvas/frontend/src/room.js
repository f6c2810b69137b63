// Where the graph goes on the screen: into the part of the canvas that nothing floats over.

const MARGIN = 24
const GAP = 16
// What floats over the canvas never takes more than this share of it.
const MOST = 0.6

/** The smallest box around boxes `{ x, y, width, height }`. */
export function around(boxes) {
  const x = Math.min(...boxes.map((b) => b.x))
  const y = Math.min(...boxes.map((b) => b.y))
  return {
    x,
    y,
    width: Math.max(...boxes.map((b) => b.x + b.width)) - x,
    height: Math.max(...boxes.map((b) => b.y + b.height)) - y,
  }
}

/** What is left of `box` beside bars (rectangles along its upper or lower edge). */
export function freeRoom(box, bars) {
  const room = { left: box.left + MARGIN, right: box.right - MARGIN, top: box.top + MARGIN, bottom: box.bottom - MARGIN }
  for (const bar of bars) {
    if (!bar.height) continue
    const most = box.height * MOST
    if (bar.top + bar.bottom > box.top + box.bottom) room.bottom = Math.min(room.bottom, Math.max(bar.top - GAP, box.bottom - most))
    else room.top = Math.max(room.top, Math.min(bar.bottom + GAP, box.top + most))
  }
  return room
}

/**
 * The viewport that shows `bounds` in the middle of `room`, or what fits of them from their
 * beginning; `box` is the canvas on the screen.
 */
export function viewportFor(bounds, room, box, { minZoom, maxZoom }) {
  const wide = room.right - room.left
  const high = room.bottom - room.top
  const zoom = Math.max(minZoom, Math.min(maxZoom, wide / bounds.width, high / bounds.height))
  return {
    x: room.left - box.left + Math.max(0, wide - bounds.width * zoom) / 2 - bounds.x * zoom,
    y: room.top - box.top + Math.max(0, high - bounds.height * zoom) / 2 - bounds.y * zoom,
    zoom,
  }
}

/** A flow box as the screen shows it. */
export function onScreen({ x, y, width, height }, { x: dx, y: dy, zoom }, box) {
  const left = box.left + dx + x * zoom
  const top = box.top + dy + y * zoom
  return { left, top, right: left + width * zoom, bottom: top + height * zoom }
}

export const overlap = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom

/** How far to shift `rect`, so that it lies in `room`; where it is larger, its upper left corner does. */
export function shiftInto(rect, room) {
  const along = (low, high, from, to) => (low < from || high - low > to - from ? from - low : Math.min(0, to - high))
  return [along(rect.left, rect.right, room.left, room.right), along(rect.top, rect.bottom, room.top, room.bottom)]
}

/**
 * The viewport for boxes in the canvas `box`, beside bars and not under the corner `map`, which is
 * avoided to the side where that leaves the boxes larger.
 */
export function fitted(boxes, box, bars, map, limits) {
  const bounds = around(boxes)
  const room = freeRoom(box, bars)
  const plain = viewportFor(bounds, room, box, limits)
  if (!map?.height || !boxes.some((b) => overlap(onScreen(b, plain, box), map))) return plain
  const beside = viewportFor(bounds, { ...room, right: Math.min(room.right, map.left - GAP) }, box, limits)
  const apart = viewportFor(bounds, freeRoom(box, [...bars, map]), box, limits)
  return beside.zoom > apart.zoom ? beside : apart
}
