import { onBeforeUnmount, shallowReactive, shallowRef } from 'vue'
import { fromFlow, toFlow } from './ids.js'

// One tooltip for all ports and problem badges: what it says is looked up when it is asked for,
// so 500 cards carry no text for it.

const WAIT_MS = 300
const WIDTH = 300

export function useTips({ root, flow, types }) {
  const tip = shallowRef(null)
  const values = shallowReactive(new Map())
  let over = null
  let timer = null

  function hide() {
    clearTimeout(timer)
    over = null
    if (tip.value) tip.value = null
  }
  function hover(event) {
    const el = event.target instanceof Element ? event.target.closest('[data-tip]') : null
    if (el === over) return
    const shown = tip.value !== null
    hide()
    if (!el || event.buttons || root.value.classList.contains('is-wiring')) return
    over = el
    timer = setTimeout(() => show(el), shown ? 60 : WAIT_MS)
  }
  function focus(event) {
    const el = event.target.closest?.('[data-tip]')
    if (el && el.matches(':focus-visible')) {
      over = el
      show(el)
    }
  }

  function show(el) {
    const node = flow.findNode(el.closest('.vue-flow__node')?.dataset.id ?? '')
    if (!node || !el.isConnected) return
    const content = el.dataset.tip === 'problems' ? problems(node) : port(node, el)
    if (!content) return
    const [room, at] = [root.value.getBoundingClientRect(), el.getBoundingClientRect()]
    const x = Math.max(8, Math.min((at.left + at.right) / 2 - room.left - WIDTH / 2, room.width - WIDTH - 8))
    const above = at.bottom - room.top > room.height * 0.6
    tip.value = {
      ...content,
      style: above ? { left: `${x}px`, bottom: `${room.bottom - at.top + 6}px` } : { left: `${x}px`, top: `${at.bottom - room.top + 6}px` },
    }
  }
  const problems = (node) => ({ kind: 'problems', list: node.data.view.problems })
  function port(node, el) {
    const { view } = node.data
    const output = el.dataset.tip === 'out'
    const found = (output ? view.outputs : view.inputs).find((p) => p.name === el.dataset.port)
    if (!found) return null
    const state = output ? '' : found.required ? (found.connected ? 'Required' : 'Required, not connected') : 'Optional'
    const last = output ? [{ text: values.get(view.id)?.[found.name] }] : arriving(node, found.name)
    return {
      kind: 'port',
      name: found.name,
      type: found.type,
      state: [state, found.many ? 'takes several wires' : ''].filter(Boolean).join(', '),
      help: found.help || types.value[found.type]?.help || '',
      last: last.filter((entry) => entry.text),
    }
  }
  const arriving = (node, name) =>
    flow.getEdges.value
      .filter((e) => e.target === node.id && e.targetHandle === toFlow(name))
      .map((e) => ({
        from: flow.findNode(e.source)?.data.view.title,
        text: values.get(fromFlow(e.source))?.[fromFlow(e.sourceHandle)],
      }))

  onBeforeUnmount(hide)
  return {
    tip,
    hover,
    focus,
    hide,
    setValues(given) {
      values.clear()
      for (const [node, ports] of Object.entries(given ?? {})) values.set(node, Object.freeze(ports))
    },
  }
}
