import { ref, shallowReactive } from 'vue'

// State of the last run by node id. A node's status line and its wires read only their own key,
// so an update never re-renders whole cards. What moves while a node works follows `now`: animations
// of the style sheet would have the page painted anew sixty times a second, on every screen. What is
// over sooner than one would notice (BEGIN_MS) moves nothing at all.
const TICK_MS = 125
const BEGIN_MS = 400
// Cards that change in one frame: many at once would hold the page for longer than that.
const SLICE = 50
const STILL = window.matchMedia('(prefers-reduced-motion: reduce)').matches

export function useStatuses() {
  const map = shallowReactive(new Map())
  const now = ref(performance.now())
  const coming = new Map()
  let timer = null
  let frame = 0

  const move = () => {
    timer = null
    const at = performance.now()
    let age = -1
    for (const status of map.values()) if (status.state === 'running') age = Math.max(age, at - status.startedAt)
    if (age < 0) return
    if (age >= BEGIN_MS) now.value = at
    timer = setTimeout(move, age >= BEGIN_MS ? TICK_MS : BEGIN_MS - age)
  }

  const show = () => {
    frame = 0
    let left = document.hidden ? Infinity : SLICE
    for (const [id, status] of coming) {
      if (left-- === 0) break
      coming.delete(id)
      if (status === null) map.delete(id)
      else map.set(id, status)
    }
    if (coming.size) frame = requestAnimationFrame(show)
    if (timer === null) move()
  }

  const begun = (status) => Object.freeze({ ...status, startedAt: performance.now() - (status.elapsed_ms ?? 0) })

  return {
    map,
    now,
    /** Whether it has worked for so long that its time is shown. */
    told: (status) => now.value - status.startedAt >= BEGIN_MS,
    /** Where something that takes `period` ms to come round again is by now, 0..1. */
    phase: (period) => (STILL ? 0 : (now.value % period) / period),
    /** The state of a graph that is drawn anew. */
    load(statuses) {
      coming.clear()
      map.clear()
      for (const [id, status] of Object.entries(statuses)) map.set(id, begun(status))
      if (timer === null) move()
    },
    set(statuses, replace = false) {
      now.value = performance.now()
      if (replace) {
        coming.clear()
        for (const id of map.keys()) if (!Object.hasOwn(statuses, id)) coming.set(id, null)
      }
      for (const [id, status] of Object.entries(statuses)) coming.set(id, status && begun(status))
      if (!frame) show()
    },
    markStale(ids) {
      for (const id of ids) {
        const into = coming.has(id) ? coming : map
        const status = into.get(id)
        if (status && !status.stale) into.set(id, Object.freeze({ ...status, stale: true }))
      }
    },
    stop() {
      clearTimeout(timer)
      cancelAnimationFrame(frame)
    },
  }
}
