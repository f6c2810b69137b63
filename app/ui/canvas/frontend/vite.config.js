import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

// One ES module for NiceGUI's import map, which also serves Vue itself.
export default defineConfig({
  plugins: [vue()],
  define: { 'process.env.NODE_ENV': '"production"', __VUE_PROD_DEVTOOLS__: 'false' },
  build: {
    outDir: '../dist',
    emptyOutDir: true,
    target: 'es2022',
    license: { fileName: 'LICENSES.md' },
    lib: { entry: 'src/index.js', formats: ['es'], fileName: () => 'index.js' },
    rolldownOptions: { external: ['vue'] },
  },
})
