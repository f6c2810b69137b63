import { markRaw, shallowReactive, shallowRef } from 'vue'
import { idOf, isNote, toFlow, toNote } from './ids.js'

// Groups as the file has them; their frames follow their members.

export const COLOURS = ['amber', 'blue', 'green', 'rose', 'violet', 'grey']

export function useGroups(flow) {
  const groups = shallowReactive(new Map())
  const active = shallowRef(null)

  function load(list) {
    groups.clear()
    for (const view of list ?? []) groups.set(view.id, markRaw(view))
  }
  function patch(change) {
    for (const id of change.remove_groups ?? []) groups.delete(id)
    for (const view of change.groups ?? []) groups.set(view.id, markRaw(view))
    if (active.value && !groups.has(active.value)) active.value = null
  }
  /** Elements of the canvas that are in a group. */
  const members = (view) => [...view.nodes.map(toFlow), ...view.notes.map(toNote)].map((id) => flow.findNode(id)).filter(Boolean)
  /** The group that an element is in. */
  const groupOf = (element) => {
    const key = isNote(element) ? 'notes' : 'nodes'
    for (const view of groups.values()) if (view[key].includes(idOf(element))) return view
    return null
  }
  /** Groups of which everything is selected. */
  const wholeGroups = (elements) => {
    const chosen = new Set(elements.map((n) => n.id))
    return [...groups.values()].filter((view) => {
      const inside = members(view)
      return inside.length && inside.every((n) => chosen.has(n.id))
    })
  }
  /** The operation by which elements dropped into a frame join its group, if they do. */
  function joining(dropped, boxOf) {
    const loose = dropped.filter((n) => !groupOf(n))
    for (const view of groups.values()) {
      const box = boxOf(view.id)
      if (!box) continue
      const inside = loose.filter((n) => {
        const [x, y] = [n.position.x + n.dimensions.width / 2, n.position.y + n.dimensions.height / 2]
        return x > box.left && x < box.left + box.width && y > box.top && y < box.top + box.height
      })
      if (!inside.length) continue
      const of = (notes) => inside.filter((n) => isNote(n) === notes).map(idOf)
      return { op: 'set_group', group: view.id, nodes: [...view.nodes, ...of(false)], notes: [...view.notes, ...of(true)] }
    }
    return null
  }
  return { groups, active, load, patch, members, groupOf, wholeGroups, joining }
}
