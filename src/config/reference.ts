/** The pages of docs/reference, from the tables. */
import type { CommandRow } from './command-row.ts'
import { COMMAND_NAMES, COMMANDS } from './command-table.ts'
import { isShown, optionFacts } from './help.ts'
import { displayName } from './option-name.ts'
import { optionRow, optionTopics, type OptionName } from './option-table.ts'

/** File name → Markdown. */
export function renderReference(): ReadonlyMap<string, string> {
  return new Map([
    ['commands.md', renderCommands()],
    ['options.md', renderOptions()],
  ])
}

function renderCommands(): string {
  const sections = COMMAND_NAMES.map((name) => {
    const row: CommandRow = COMMANDS[name]
    const notes = [
      ...(row.support === 'not-yet' ? ['Not yet supported.'] : []),
      ...(row.internal === true ? ['For maintainers.'] : []),
      ...(row.origin === undefined ? [] : ['Not in pgBackRest.']),
    ]
    const parameters = row.parameters.map(
      (parameter) => ` ${parameter.startsWith('[') ? parameter : `<${parameter}>`}`,
    )
    const examples = row.examples.map(({ text, command }) => `# ${text}\n${command}`)
    return [
      `## ${name}`,
      ...(notes.length === 0 ? [] : [`*${notes.join(' ')}*`]),
      `\`pgsurety [options] ${name}${parameters.join('')}\``,
      ...row.description,
      `\`\`\`sh\n${examples.join('\n\n')}\n\`\`\``,
    ].join('\n\n')
  })
  return page('Commands', sections)
}

function renderOptions(): string {
  const intro = [
    'Options come from the command line (`--repo1-path=/backup`), the environment (`PGSURETY_REPO1_PATH`, else',
    '`PGBACKREST_REPO1_PATH`) and configuration files, in that order. Names, types and defaults are those of pgBackRest',
    '2.60, except where an option says that it is not in pgBackRest. An option that is not yet supported is refused when',
    'it has any value but its default. Some defaults are only for repositories that have backups: see *New repository*.',
  ].join('\n')
  const topics = optionTopics().map(({ title, names }) =>
    [`## ${title}`, ...names.map(renderOption)].join('\n\n'),
  )
  return page('Options', [intro, ...topics])
}

function renderOption(name: OptionName): string {
  const row = optionRow(name)
  const shown = row.commands.filter((command) => isShown(row, command))
  const facts = [
    ...optionFacts(row, undefined),
    ...(shown.length === 0 ? [] : [['Commands', shown.join(', ')] as const]),
    ...(row.internal === true ? [['For', 'maintainers'] as const] : []),
    ...(row.origin === undefined ? [] : [['Origin', 'not in pgBackRest'] as const]),
    ...shown.flatMap((command) => exceptionsFor(name, command)),
  ]
  return [
    `### ${displayName(name, 1)}`,
    row.summary,
    facts.map(([title, text]) => `- ${title}: ${text}`).join('\n'),
  ].join('\n\n')
}

/** What differs for one command from what is said for all. */
function exceptionsFor(
  name: OptionName,
  command: (typeof COMMAND_NAMES)[number],
): readonly (readonly [string, string])[] {
  const row = optionRow(name)
  if (row.byCommand?.[command] === undefined) return []
  const common = new Map(optionFacts(row, undefined))
  const own = optionFacts(row, command).filter(([title, text]) => common.get(title) !== text)
  if (own.length === 0) return []
  return [
    [`For ${command}`, own.map(([title, text]) => `${title.toLowerCase()} ${text}`).join('; ')],
  ]
}

function page(title: string, sections: readonly string[]): string {
  const origin =
    '<!-- Written by `node scripts/docs.ts` from the tables in src/config. Do not edit. -->'
  return `${[`# ${title}`, origin, ...sections].join('\n\n')}\n`
}
