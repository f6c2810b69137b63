// What is typed between asking for a note (or a group) and its field being there: Python makes it,
// and fingers do not wait for that.

const PATIENCE_MS = 4000

export function useAhead() {
  let text = null
  let until = 0

  const active = () => text !== null && performance.now() < until
  return {
    active,
    /** A field will come: keep what is typed until then. */
    expect() {
      text = ''
      until = performance.now() + PATIENCE_MS
    },
    /** Take in a key; false where it is none to keep. */
    key(event) {
      if (event.key === 'Escape') text = null
      else if (event.key === 'Backspace') text = text.slice(0, -1)
      else if (event.key === 'Enter') text += '\n'
      else if ([...event.key].length === 1) text += event.key
      else return false
      return true
    },
    /** The field is there: what was typed so far. */
    take() {
      const kept = active() ? text : ''
      text = null
      return kept
    },
  }
}
