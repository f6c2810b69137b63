import { ref, watch } from 'vue'

// Choices of a person that the browser keeps. Storage may be switched off: then they last as long
// as the page.

const read = (key) => {
  try {
    return localStorage.getItem(`ragloom.canvas.${key}`)
  } catch {
    return null
  }
}

const write = (key, value) => {
  try {
    localStorage.setItem(`ragloom.canvas.${key}`, value)
  } catch {
    // nothing to keep it in
  }
}

/** A switch that stays as it was left. */
export function rememberedSwitch(key, initial) {
  const kept = read(key)
  const value = ref(kept === null ? initial : kept === 'on')
  watch(value, (now) => write(key, now ? 'on' : 'off'))
  return value
}

/** Who this person is to the others: an id made once, and the name they gave. */
export function readPerson() {
  let id = read('person')
  if (!id) {
    id = Math.random().toString(36).slice(2, 12)
    write('person', id)
  }
  return { id, name: read('name') ?? '' }
}

export const writeName = (name) => write('name', name)
