import { idOf, isCard, isNote } from './ids.js'

// Copied nodes are a workflow file of their own: plain text that can be pasted into another tab,
// a chat, or an editor.

/** Workflow-file text of the selected nodes and notes, the wires between them, and whole groups. */
export function fragment(elements, edges, groups = []) {
  const cards = elements.filter(isCard)
  const ids = new Set(cards.map(idOf))
  const notes = elements.filter(isNote).map(({ data: { view }, position }) => ({ ...view, x: position.x, y: position.y }))
  return JSON.stringify(
    {
      directed: true,
      multigraph: true,
      graph: {
        format: 'ragloom/1',
        name: '',
        description: '',
        outputs: {},
        ...(notes.length ? { notes } : {}),
        ...(groups.length ? { groups } : {}),
      },
      nodes: cards.map(({ data: { view }, position }) => ({ ...view.spec, position: [position.x, position.y] })),
      edges: edges
        .map((e) => e.data.view)
        .filter((e) => ids.has(e.source) && ids.has(e.target))
        .map((e) => ({ source: e.source, target: e.target, key: `${e.source_port}>${e.target_port}` })),
    },
    null,
    1,
  )
}

/** Whether keys and clipboard events belong to a text field rather than to the canvas. */
export function isTyping(target) {
  return target instanceof Element && Boolean(target.closest('input, textarea, select, [contenteditable=""], [contenteditable="true"]'))
}
