import { shallowReactive } from 'vue'

// Differences shown on the graph: between two versions, or two runs. A card and a wire read only
// their own key. Never colour alone: each mark has an icon and a word.

export const MARKS = {
  added: { icon: 'add_circle', word: 'Added' },
  removed: { icon: 'remove_circle', word: 'Removed' },
  changed: { icon: 'edit', word: 'Changed' },
  moved: { icon: 'open_with', word: 'Moved' },
  config: { icon: 'tune', word: 'Settings differ' },
  input: { icon: 'login', word: 'Input differs' },
  output: { icon: 'logout', word: 'Output differs' },
  missing: { icon: 'block', word: 'Only in one' },
  same: { icon: 'check', word: 'Same' },
}

export function useMarks() {
  const nodes = shallowReactive(new Map())
  const edges = shallowReactive(new Map())
  const fill = (map, entries) => {
    map.clear()
    for (const [id, kind] of Object.entries(entries ?? {})) if (MARKS[kind]) map.set(id, kind)
  }
  return {
    nodes,
    edges,
    set(marks) {
      fill(nodes, marks?.nodes)
      fill(edges, marks?.edges)
    },
  }
}
