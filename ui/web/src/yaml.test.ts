import { expect, test } from 'vitest'
import { toYaml } from './yaml'

test('objects, lists and texts read as people write them', () => {
  const value = {
    name: 'tune',
    goal: 0.99,
    min: '0.01',
    on: true,
    nothing: null,
    list: ['adam', 'sgd', 'no'],
    parameters: [{ name: 'lr', feasibleSpace: { min: '1e-3', max: '1' } }, {}],
    empty: [],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder of trial templates
    reference: '${trialParameters.lr}',
    colon: 'a: b',
    script: 'set -e\npython train.py\n',
  }
  expect(toYaml(value)).toBe(
    [
      'name: tune',
      'goal: 0.99',
      'min: "0.01"',
      '"on": true',
      'nothing: null',
      'list:',
      '- adam',
      '- sgd',
      '- "no"',
      'parameters:',
      '- name: lr',
      '  feasibleSpace:',
      '    min: "1e-3"',
      '    max: "1"',
      '- {}',
      'empty: []',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder of trial templates
      'reference: ${trialParameters.lr}',
      'colon: "a: b"',
      'script: |',
      '  set -e',
      '  python train.py',
    ].join('\n'),
  )
})

test('text that a block would change is quoted', () => {
  expect(toYaml({ a: '  b\nc' })).toBe('a: "  b\\nc"')
  expect(toYaml({ a: 'b \nc' })).toBe('a: "b \\nc"')
  expect(toYaml({ a: '' })).toBe('a: ""')
})
