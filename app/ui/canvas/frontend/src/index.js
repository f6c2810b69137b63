import flowStyles from '@vue-flow/core/dist/style.css?inline'
import minimapStyles from '@vue-flow/minimap/dist/style.css?inline'
import canvasStyles from './canvas.css?inline'
import tokens from './tokens.css?inline'

const id = 'ragloom-canvas-styles'
if (!document.getElementById(id)) {
  const style = document.createElement('style')
  style.id = id
  style.textContent = [tokens, flowStyles, minimapStyles, canvasStyles].join('\n')
  document.head.append(style)
}

export { default as RagloomCanvas } from './RagloomCanvas.vue'
