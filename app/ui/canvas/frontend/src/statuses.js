import { ref, shallowReactive } from 'vue'

// State of the last run by node id. A node's status line and its wires read only their own key,
// so an update never re-renders whole cards.
export function useStatuses() {
  const map = shallowReactive(new Map())
  const now = ref(performance.now())
  let timer = null

  const tick = () => {
    now.value = performance.now()
  }
  const watchRunning = () => {
    const running = [...map.values()].some((s) => s.state === 'running')
    if (running && timer === null) timer = setInterval(tick, 100)
    if (!running && timer !== null) {
      clearInterval(timer)
      timer = null
    }
  }

  return {
    map,
    now,
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
