// What part of the graph is on the screen: fitting it in, keeping it in sight when room is lost.

import { onBeforeUnmount } from 'vue'
import { fitted, freeRoom, onScreen, overlap, shiftInto } from './room.js'

// No graph is shown larger than it is. Asked to fit, all of it is shown; by itself the view stays
// where titles can be read, at the beginning of a graph that is larger.
const LIMITS = { minZoom: 0.1, maxZoom: 1 }
const READABLE = { minZoom: 0.25, maxZoom: 1 }
// Elements of the page that float over the canvas say so with this attribute.
const COVERS = '[data-covers-canvas]'
// What cards snap to.
export const GRID = 16

export function useView(flow, root) {
  const duration = window.matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : 160
  // Where the last fit, and what was revealed since, have put the view: a person may have moved on.
  let made = null
  let arrives = 0

  // Nodes that just came are not measured yet.
  const boxOf = (n) => ({ ...n.position, width: n.dimensions.width || 240, height: n.dimensions.height || 144 })
  const rect = (el) => el.getBoundingClientRect()
  const covers = () => [...(root.value.parentElement?.querySelectorAll(COVERS) ?? [])]
  const bars = () => [...covers(), ...root.value.querySelectorAll('.rl-tools')].map(rect)
  const screen = (node) => onScreen(boxOf(node), flow.viewport.value, rect(root.value))

  function go(viewport, ms) {
    arrives = performance.now() + ms + 60
    flow.setViewport(viewport, { duration: ms })
  }
  /** Show all elements, or those with these ids of Vue Flow. */
  function fit(ids, ms = duration, limits = LIMITS) {
    const nodes = ids?.length ? ids.map((id) => flow.findNode(id)).filter(Boolean) : flow.getNodes.value
    if (!nodes.length) return
    const map = root.value.querySelector('.vue-flow__minimap')
    const viewport = fitted(nodes.map(boxOf), rect(root.value), bars(), map && rect(map), limits)
    made = ids?.length ? null : viewport
    go(viewport, ms)
  }
  /** The first view of a graph. */
  const open = () => fit(null, 0, READABLE)
  function untouched() {
    if (!made || performance.now() < arrives) return Boolean(made)
    const { x, y, zoom } = flow.viewport.value
    return Math.abs(x - made.x) < 1 && Math.abs(y - made.y) < 1 && Math.abs(zoom - made.zoom) < 0.001
  }

  function centreOn(id) {
    const node = flow.findNode(id)
    if (!node) return
    const box = rect(root.value)
    const room = freeRoom(box, bars())
    const { x, y, width, height } = boxOf(node)
    const zoom = Math.max(flow.viewport.value.zoom, 0.8)
    const middle = [(room.left + room.right) / 2 - box.left, (room.top + room.bottom) / 2 - box.top]
    go({ x: middle[0] - (x + width / 2) * zoom, y: middle[1] - (y + height / 2) * zoom, zoom }, duration)
  }
  /** Move the view by as little as brings an element into sight. */
  function reveal(id) {
    const node = flow.findNode(id)
    if (!node) return
    const [dx, dy] = shiftInto(screen(node), freeRoom(rect(root.value), bars()))
    const { x, y, zoom } = flow.viewport.value
    if (!dx && !dy) return
    const viewport = { x: x + dx, y: y + dy, zoom }
    if (untouched()) made = viewport
    go(viewport, duration)
  }

  // ---- panels open and close, answers appear ----
  function resized() {
    const [chosen] = flow.getSelectedNodes.value
    if (chosen) reveal(chosen.id)
    else if (untouched()) open()
  }
  function covered() {
    if (!untouched()) return
    const over = covers().map(rect)
    if (flow.getNodes.value.some((n) => over.some((r) => overlap(screen(n), r)))) fit(null, duration, READABLE)
  }
  let frame = 0
  let canvasToo = false
  const watcher = new ResizeObserver((entries) => {
    canvasToo ||= entries.some((e) => e.target === root.value)
    cancelAnimationFrame(frame)
    frame = requestAnimationFrame(() => {
      canvasToo ? resized() : covered()
      canvasToo = false
    })
  })
  /** Begin to watch the room there is; call once everything is on the page. */
  function follow() {
    watcher.observe(root.value)
    for (const el of covers()) watcher.observe(el)
  }
  onBeforeUnmount(() => {
    watcher.disconnect()
    cancelAnimationFrame(frame)
  })

  function flowPoint(clientX, clientY) {
    const p = flow.screenToFlowCoordinate({ x: clientX, y: clientY })
    return { x: Math.round(p.x / GRID) * GRID, y: Math.round(p.y / GRID) * GRID }
  }

  return { fit, open, centreOn, reveal, follow, duration, flowPoint }
}
