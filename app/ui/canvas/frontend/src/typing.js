// Fields that open by themselves get the focus. A card that has only just come is hidden until it is
// measured, and cannot have it before: it is asked for again, and keys are put in meanwhile.

const FRAMES = 60

/** Put the caret where typing begins, once: behind what is there, or over all of it. */
function begin(el) {
  const all = el.dataset.begin === 'all'
  if (!el.dataset.begin) return
  delete el.dataset.begin
  el.setSelectionRange(all ? 0 : el.value.length, el.value.length)
}

/** `v-typing="true"` selects what is there, so that typing replaces it. */
export const vTyping = {
  mounted(el, { value: all }) {
    el.dataset.begin = all ? 'all' : 'end'
    let left = FRAMES
    const attempt = () => {
      el.focus({ preventScroll: true })
      if (document.activeElement === el) begin(el)
      else if (el.isConnected && left-- > 0) requestAnimationFrame(attempt)
    }
    attempt()
  },
}

/** A key for a field that has no focus yet. */
export function typeInto(field, event) {
  begin(field)
  field.focus({ preventScroll: true })
  const text = event.key === 'Enter' && field instanceof HTMLTextAreaElement ? '\n' : event.key
  if ([...text].length !== 1) return
  field.setRangeText(text, field.selectionStart, field.selectionEnd, 'end')
  field.dispatchEvent(new Event('input'))
  event.preventDefault()
}
