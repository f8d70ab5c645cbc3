import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { precompress } from './precompress.ts';

// `npm run dev` talks to a demo that already runs: PAYONCE_URL=http://127.0.0.1:8080 npm run dev
const api = process.env['PAYONCE_URL'] ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [svelte(), precompress()],
  build: {
    // Nothing is inlined as a data: URL, because the content security policy allows 'self' only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
  },
  server: { proxy: { '/v1': api, '/docs': api, '/openapi.yaml': api } },
  resolve: { conditions: ['browser'] },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
