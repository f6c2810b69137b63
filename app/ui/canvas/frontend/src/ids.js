// Vue Flow puts ids into CSS selectors, so a quote or a backslash in a file's node id would break
// it. Ordinary ids are left as they are. Notes are elements of Vue Flow too; no id of a node can
// look like theirs, for a colon in it would be encoded.

export const toFlow = (id) => encodeURIComponent(id)
export const fromFlow = (id) => decodeURIComponent(id)
export const toNote = (id) => `note:${encodeURIComponent(id)}`

export const isNote = (element) => element.type === 'note'
export const isCard = (element) => element.type === 'card'
/** What Python calls a card or a note. */
export const idOf = (element) => element.data.view.id

export const edgeId = (source, sourcePort, target, targetPort) =>
  [source, sourcePort, target, targetPort].map(encodeURIComponent).join('|')
