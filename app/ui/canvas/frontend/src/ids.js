// Vue Flow puts ids into CSS selectors, so a quote or a backslash in a file's node id would break
// it. Ordinary ids are left as they are.

export const toFlow = (id) => encodeURIComponent(id)
export const fromFlow = (id) => decodeURIComponent(id)

export const edgeId = (source, sourcePort, target, targetPort) =>
  [source, sourcePort, target, targetPort].map(encodeURIComponent).join('|')
