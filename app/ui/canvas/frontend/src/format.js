export function seconds(ms) {
  if (ms < 1) return '<0.01 s'
  if (ms < 10_000) return `${(ms / 1000).toFixed(2)} s`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  const total = Math.round(ms / 1000)
  return `${Math.floor(total / 60)} min ${String(total % 60).padStart(2, '0')} s`
}

export function elapsed(ms) {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  return seconds(ms)
}

export function count(n) {
  if (n < 1000) return String(n)
  if (n < 1_000_000) return `${(n / 1000).toFixed(n < 10_000 ? 1 : 0)}k`
  return `${(n / 1_000_000).toFixed(1)}M`
}

export function firstSentence(text) {
  const match = /^.*?[.!?](?=\s|$)/s.exec(text ?? '')
  return (match ? match[0] : (text ?? '')).trim()
}

const STATES = { waiting: 'waiting', running: 'running', asking: 'waits for a person', done: 'done', cached: 'cached', skipped: 'skipped', failed: 'failed', cancelled: 'cancelled' }

/** A card in words, for screen readers. */
export function spoken(view, status, mark, others) {
  const problems = view.problems.length
  return [
    view.title,
    view.type === view.title ? '' : view.type.replaceAll('_', ' '),
    view.summary,
    view.disabled ? 'disabled' : '',
    status?.word?.toLowerCase() ?? STATES[status?.state] ?? 'not run yet',
    status?.state === 'asking' ? (status.message ?? '') : '',
    status?.stale ? 'out of date' : '',
    status?.state === 'failed' ? firstSentence(status.error) : '',
    problems ? `${problems} ${problems === 1 ? 'problem' : 'problems'}: ${view.problems.map((p) => p.message).join(' ')}` : '',
    mark ?? '',
    others ? others.map((p) => (p.editing ? `${p.name} is editing` : `${p.name} is here`)).join(', ') : '',
  ]
    .filter(Boolean)
    .join(', ')
}
