import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';

export default ts.config(
  { ignores: ['dist/', '.svelte-check/', 'test-results/', 'pictures/', 'src/api/*schema.ts'] },
  ts.configs.strict,
  svelte.configs.recommended,
  {
    languageOptions: { globals: { ...globals.browser, ...globals.node } },
    rules: {
      // The content security policy forbids inline styles; say so in the editor already.
      'svelte/no-inline-styles': ['error', { allowTransitions: false }],
      'svelte/no-at-html-tags': 'error',
      // Maps and URLs here are plain bookkeeping; what the page shows is copied into $state.
      'svelte/prefer-svelte-reactivity': 'off',
    },
  },
  {
    // A browser may refuse its storage or have no room; one file knows what to do then.
    files: ['src/**'],
    ignores: ['src/view/storage.svelte.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector:
            ':matches(Identifier[name=/^(local|session)Storage$/], Literal[value=/^(local|session)Storage$/])',
          message: 'Use tabStorage or browserStorage of view/storage.svelte.ts.',
        },
      ],
    },
  },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: ts.parser } },
  },
);
