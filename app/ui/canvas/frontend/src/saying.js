import { ref, shallowRef } from 'vue'

const SHOWN_MS = 5000

/** What the canvas says: for a few seconds to be read, and to screen readers. */
export function useSaying(emit) {
  const toast = shallowRef(null)
  const spoken = ref('')
  let timer = null

  function show(text, icon) {
    toast.value = { text, icon }
    clearTimeout(timer)
    timer = setTimeout(() => (toast.value = null), SHOWN_MS)
  }
  return {
    toast,
    spoken,
    show,
    say(text, tell = true) {
      if (!text) return
      show(text, tell ? 'block' : 'info')
      if (tell) emit('refused', { reason: text })
    },
    /** For screen readers; `seen` shows it as well. */
    announce(text, seen = false) {
      if (!text) return
      spoken.value = text
      if (seen) show(text, 'info')
    },
    stop: () => clearTimeout(timer),
  }
}
