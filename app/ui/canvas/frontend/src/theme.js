import { computed, ref } from 'vue'

/** Whether the canvas is dark: as it is told, else as the page around it. */
export function useTheme(told) {
  const pageDark = ref(false)
  const read = () => {
    pageDark.value = document.documentElement.dataset.theme === 'dark' || document.body.classList.contains('body--dark')
  }
  read()
  const watcher = new MutationObserver(read)
  watcher.observe(document.documentElement, { attributeFilter: ['data-theme', 'class'] })
  watcher.observe(document.body, { attributeFilter: ['class'] })
  return { isDark: computed(() => told() ?? pageDark.value), stop: () => watcher.disconnect() }
}
