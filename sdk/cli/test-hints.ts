/**
 * TestHints: what to do about a test file that Node cannot load, though `fn deploy` takes what it imports: the bundler knows
 * more of TypeScript than Node, which only removes types.
 * @module
 */

/** A module for `node --import`, which the processes of all test files load. */
export const testHints = `data:text/javascript,${encodeURIComponent(`(${explainLoading})()`)}`

/** Self-contained: it runs from its text. */
function explainLoading(): void {
  const adviceOn = ({ code, message }: NodeJS.ErrnoException): string | undefined => {
    const found = /^Cannot find (package|module) '([^']+)'/.exec(message)
    switch (code) {
      case 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX':
        return "enums, namespaces and parameter properties are more than types. Write them without, as in const Level = { low: 0, high: 1 } as const; with 'erasableSyntaxOnly' in tsconfig.json the type check shows each place"
      case 'ERR_IMPORT_ATTRIBUTE_MISSING':
        return "write with { type: 'json' } behind the import of a JSON file; fn deploy takes that too"
      case 'ERR_UNSUPPORTED_DIR_IMPORT':
        return "name the file, as in './lib/index.ts'; fn deploy takes that too"
      case 'ERR_MODULE_NOT_FOUND':
        if (found?.[1] === 'package')
          return `if '${found[2]}' stands in the 'paths' of tsconfig.json: only fn deploy follows those. What both follow is a path, as in './lib/util.ts', or 'imports' in package.json, as in "imports": { "#lib/*": "./lib/*" }. If it is a package, npm install it`
        return /\.\w+$/.test(found?.[2] ?? '.')
          ? undefined
          : "name the file with its ending, as in './util.ts'; fn deploy takes that too"
      default:
        return undefined
    }
  }
  process.on('uncaughtExceptionMonitor', (error) => {
    const advice = adviceOn(error)
    if (advice !== undefined)
      process.stderr.write(`\nconcord test: Node, which runs the tests, cannot load this: ${advice}.\n\n`)
  })
}
