import { ref, shallowReactive } from 'vue'

// State of the last run by node id. A node's status line and its wires read only their own key,
// so an update never re-renders whole cards. What moves while a node works follows `now`: animations
// of the style sheet would have the page painted anew sixty times a second, on every screen.
const TICK_MS = 125
const STILL = window.matchMedia('(prefers-reduced-motion: reduce)').matches

export function useStatuses() {
  const map = shallowReactive(new Map())
  const now = ref(performance.now())
  let timer = null

  const tick = () => {
    now.value = performance.now()
  }
  const watchRunning = () => {
    const running = [...map.values()].some((s) => s.state === 'running')
    if (running && timer === null) timer = setInterval(tick, TICK_MS)
    if (!running && timer !== null) {
      clearInterval(timer)
      timer = null
    }
  }

  return {
    map,
    now,
    /** Where something that takes `period` ms to come round again is by now, 0..1. */
    phase: (period) => (STILL ? 0 : (now.value % period) / period),
    set(statuses, replace = false) {
      tick()
      if (replace) map.clear()
      for (const [id, status] of Object.entries(statuses)) {
        if (status === null) map.delete(id)
        else {
          const startedAt = performance.now() - (status.elapsed_ms ?? 0)
          map.set(id, Object.freeze({ ...status, startedAt }))
        }
      }
      watchRunning()
    },
    markStale(ids) {
      for (const id of ids) {
        const status = map.get(id)
        if (status && !status.stale) map.set(id, Object.freeze({ ...status, stale: true }))
      }
    },
    stop() {
      if (timer !== null) clearInterval(timer)
    },
  }
}
