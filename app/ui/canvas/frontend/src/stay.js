import { nextTick, onBeforeUnmount, onMounted, ref } from 'vue'

/**
 * Where a box at a point of the canvas stands: wholly inside. What was clicked may open a panel
 * beside the canvas, which leaves less room.
 */
export function useStay(box, at) {
  const place = ref({ left: `${at.x}px`, top: `${at.y}px` })
  function stay() {
    const { width, height } = box.value.getBoundingClientRect()
    const room = box.value.offsetParent.getBoundingClientRect()
    place.value = {
      left: `${Math.max(8, Math.min(at.x, room.width - width - 8))}px`,
      top: `${Math.max(8, Math.min(at.y, room.height - height - 8))}px`,
    }
  }
  const watcher = new ResizeObserver(stay)
  onMounted(async () => {
    await nextTick()
    stay()
    watcher.observe(box.value.offsetParent)
  })
  onBeforeUnmount(() => watcher.disconnect())
  return place
}
