import { h } from 'vue'

// A few marks of Markdown for notes: headings, lists, bold, italics, code, links. It makes elements,
// never HTML text, so whatever a note holds is shown as text.

const INLINE = /(\*\*[^*\n]+\*\*|\*[^*\s][^*\n]*\*|`[^`\n]+`|\[[^\]\n]+\]\(https?:\/\/[^\s)]+\)|https?:\/\/[^\s<>"')\]]+)/

function inline(text) {
  return text.split(INLINE).map((part, i) => {
    if (i % 2 === 0) return part
    if (part.startsWith('**')) return h('strong', part.slice(2, -2))
    if (part.startsWith('*')) return h('em', part.slice(1, -1))
    if (part.startsWith('`')) return h('code', part.slice(1, -1))
    const [, words, href] = /^\[([^\]]+)\]\((.+)\)$/.exec(part) ?? [null, part, part]
    return h('a', { href, target: '_blank', rel: 'noopener noreferrer nofollow', class: 'nodrag' }, words)
  })
}

/** Elements for a note's text. */
export function blocks(text) {
  const found = []
  let list = null
  for (const line of text.split('\n')) {
    const item = /^\s*(?:[-*]|\d+[.)])\s+(.*)$/.exec(line)
    if (item) {
      const tag = /^\s*\d/.test(line) ? 'ol' : 'ul'
      if (list?.tag !== tag) found.push((list = { tag, items: [] }))
      list.items.push(h('li', inline(item[1])))
      continue
    }
    list = null
    const heading = /^(#{1,3})\s+(.*)$/.exec(line)
    if (heading) found.push({ tag: 'h4', items: inline(heading[2]) })
    else found.push({ tag: 'p', items: line.trim() ? inline(line) : ['\u00a0'] })
  }
  return found.map(({ tag, items }) => h(tag, items))
}
