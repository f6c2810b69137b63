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
      if (!all && !people.has(other.id)) announce(`${other.name} joined.`, true)
      people.set(other.id, other)
    }
    for (const id of gone) {
      const other = people.get(id)
      if (!other) continue
      people.delete(id)
      announce(`${other.name} left.`, true)
    }
    sortOut()
  }

  function send() {
    timer = null
    if (!people.size) return
    const p = at && flow.screenToFlowCoordinate(at)
    emit('presence', { pointer: p ? [Math.round(p.x), Math.round(p.y)] : null })
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
      const own = other.person === person.id
      if (!list.has(other.person)) list.set(other.person, { ...other, name: own ? `${other.name} (you, in another tab)` : other.name })
    }
    return [...list.values()]
  })

  return { person, people, byNode, me, present, set, pointTo, edits, rename, root }
}
