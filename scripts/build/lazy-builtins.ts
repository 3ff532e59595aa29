/**
 * Makes a bundled file load each part of Node when it is first used: `node:crypto`, `node:fs/promises` and `node:child_process`
 * take milliseconds each, and most commands need few of them.
 */

/** As rolldown writes an import of a part of Node; the second line when all of it was imported by one name. */
const IMPORT =
  /^let (node_\w+) = require\("(node:[\w/]+)"\);\n(?:\1 = [\w.]+\.__toESM\(\1(?:, 1)?\);\n)?/gm

export function lazyBuiltins(code: string): string {
  const names: string[] = []
  const declared = code.replace(IMPORT, (_, name: string, id: string) => {
    names.push(name)
    return `let ${name}_; const ${name} = () => (${name}_ ??= require("${id}"));\n`
  })
  return names.reduce(
    (text, name) => text.replaceAll(new RegExp(`\\b${name}\\.`, 'g'), `(${name}()).`),
    declared,
  )
}
