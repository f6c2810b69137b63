import { computed, onBeforeUnmount, shallowReactive, shallowRef } from 'vue'
import { readPerson, writeName } from './remember.js'

// The others who look at this workflow: pointers, selections, what they edit. Cards read only
// their own key, so a moving pointer draws nothing but itself.

const POINTER_MS = 80

export function usePeople({ emit, flow, root, announce }) {
  const person = readPerson()
  const people = shallowReactive(new Map())
  const byNode = shallowReactive(new Map())
  const me = shallowRef(null)
  let timer = null
  let at = null
  let editing = ''

  function sortOut() {
    const wanted = new Map()
    for (const other of people.values()) {
      for (const id of new Set([...other.selection, ...(other.editing ? [other.editing] : [])])) {
        if (!wanted.has(id)) wanted.set(id, [])
        wanted.get(id).push({ name: other.name, colour: other.colour, editing: other.editing === id })
      }
    }
    for (const id of [...byNode.keys()]) if (!wanted.has(id)) byNode.delete(id)
    for (const [id, list] of wanted) if (JSON.stringify(byNode.get(id)) !== JSON.stringify(list)) byNode.set(id, list)
  }

  function set({ people: changed = [], gone = [], me: self, all = false }) {
    if (all) people.clear()
    if (self) me.value = self
    for (const other of changed) {
      const own = other.person === person.id
      if (!all && !own && !people.has(other.id)) announce(`${other.name} joined.`, true)
      people.set(other.id, own ? { ...other, name: 'You, in another tab' } : other)
    }
    for (const id of gone) {
      const other = people.get(id)
      if (!other) continue
      people.delete(id)
      if (other.person !== person.id) announce(`${other.name} left.`, true)
    }
    sortOut()
  }

  // Vue Flow's own conversion puts points on the grid.
  function place({ x, y }) {
    const { left, top } = root.value.getBoundingClientRect()
    const { x: dx, y: dy, zoom } = flow.viewport.value
    return [Math.round((x - left - dx) / zoom), Math.round((y - top - dy) / zoom)]
  }
  function send() {
    timer = null
    if (!people.size) return
    emit('presence', { pointer: at && place(at) })
  }
  /** The pointer is here on the screen, or (null) has left the canvas. */
  function pointTo(point) {
    at = point
    if (people.size && timer === null) timer = setTimeout(send, POINTER_MS)
  }
  function edits(node) {
    if (node === editing) return
    editing = node
    emit('presence', { editing: node })
  }
  function rename(name) {
    person.name = name
    writeName(name)
    emit('person', { name })
  }
  onBeforeUnmount(() => clearTimeout(timer))

  /** One entry for each person, however many tabs they have. */
  const present = computed(() => {
    const list = new Map()
    for (const other of people.values()) {
      if (!list.has(other.person)) list.set(other.person, other)
    }
    return [...list.values()]
  })

  return { person, people, byNode, me, present, set, pointTo, edits, rename }
}
