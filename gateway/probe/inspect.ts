/**
 * Inspect: the script that examines a loaded bundle from inside its isolate, where a getter, a proxy or a `toJSON`
 * can do no more harm than the bundle itself. It returns one string, since only primitives leave the isolate.
 *
 * It runs before the bundle, and keeps references to the built-ins that it needs.
 * @module
 */
import { callbackNames, metadataCharsMax } from './protocol.ts'

/**
 * What the script is given: the bundle as a module of its own, which is evaluated when the bundle's top level has finished. Until then
 * its default export cannot be read.
 */
export const inspectedModule = "import * as bundle from 'bundle'\nexport default bundle"

/** The script's answers: what is wrong; or `ok`, the callbacks, and the metadata as JSON, each on a line. */
export const inspectAnswers = {
  unfinished: 'unfinished',
  noDefault: 'noDefault',
  noMetadata: 'noMetadata',
  tooLarge: 'tooLarge',
} as const

export const inspectScript = `'use strict';
((stringify, names, lengthMax) => (inspected) => {
  let bundle
  try {
    bundle = inspected.default
  } catch {
    return '${inspectAnswers.unfinished}'
  }
  const definition = bundle.default
  if (definition === null || typeof definition !== 'object') return '${inspectAnswers.noDefault}'
  const metadata = definition.metadata
  if (metadata === null || typeof metadata !== 'object') return '${inspectAnswers.noMetadata}'
  let callbacks = ''
  for (let i = 0; i < names.length; i++) if (typeof definition[names[i]] === 'function') callbacks += names[i] + ' '
  const json = stringify(metadata)
  if (typeof json !== 'string') return '${inspectAnswers.noMetadata}'
  if (json.length > lengthMax) return '${inspectAnswers.tooLarge}'
  return 'ok\\n' + callbacks + '\\n' + json
})(JSON.stringify, ${JSON.stringify(callbackNames)}, ${metadataCharsMax})`
