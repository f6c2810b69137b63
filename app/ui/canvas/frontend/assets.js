// Copies what pages serve from the package instead of a CDN: Swagger UI and the two type families.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const modules = join(here, 'node_modules')
const dist = join(here, '..', 'dist')

mkdirSync(join(dist, 'swagger'), { recursive: true })
for (const name of ['swagger-ui.css', 'swagger-ui-bundle.js', 'LICENSE', 'favicon-32x32.png']) {
  cpSync(join(modules, 'swagger-ui-dist', name), join(dist, 'swagger', name))
}

const RANGES = {
  latin:
    'U+0000-00FF,U+0131,U+0152-0153,U+02BB-02BC,U+02C6,U+02DA,U+02DC,U+0304,U+0308,U+0329,U+2000-206F,U+20AC,U+2122,U+2191,U+2193,U+2212,U+2215,U+FEFF,U+FFFD',
  'latin-ext':
    'U+0100-02BA,U+02BD-02C5,U+02C7-02CC,U+02CE-02D7,U+02DD-02FF,U+1D00-1DBF,U+1E00-1E9F,U+1EF2-1EFF,U+2020,U+20A0-20AB,U+20AD-20C0,U+2113,U+2C60-2C7F,U+A720-A7FF',
  greek: 'U+0370-0377,U+037A-037F,U+0384-038A,U+038C,U+038E-03A1,U+03A3-03FF',
  cyrillic: 'U+0301,U+0400-045F,U+0490-0491,U+04B0-04B1,U+2116',
}
const FAMILIES = [
  { pkg: 'inter', name: 'Inter Variable', file: 'inter', weights: '100 900' },
  { pkg: 'jetbrains-mono', name: 'JetBrains Mono Variable', file: 'mono', weights: '100 800' },
]
const fonts = join(dist, 'fonts')
mkdirSync(fonts, { recursive: true })
let css = ''
for (const { pkg, name, file, weights } of FAMILIES) {
  const from = join(modules, '@fontsource-variable', pkg)
  for (const [subset, range] of Object.entries(RANGES)) {
    const target = subset === 'latin' ? `${file}-variable.woff2` : `${file}-variable-${subset}.woff2`
    cpSync(join(from, 'files', `${pkg}-${subset}-wght-normal.woff2`), join(fonts, target))
    css += `@font-face{font-family:"${name}";font-style:normal;font-display:swap;font-weight:${weights};src:url("${target}") format("woff2");unicode-range:${range}}\n`
  }
  writeFileSync(join(fonts, `${file}-LICENSE.txt`), readFileSync(join(from, 'LICENSE')))
}
writeFileSync(join(fonts, 'fonts.css'), css)
