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
