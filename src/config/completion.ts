/** Completion scripts for shells, from the tables. */
import { AppError } from '../base/error.ts'
import type { CommandRow } from './command-row.ts'
import { COMMAND_NAMES, COMMANDS, type CommandName } from './command-table.ts'
import { isShown } from './help.ts'
import { displayName, isNegatable } from './option-name.ts'
import { ruleFor } from './option-row.ts'
import { OPTION_NAMES, optionRow, type OptionName } from './option-table.ts'

const SHELLS = { bash: renderBash, zsh: renderZsh, fish: renderFish } as const

/** Throws `param-invalid` for a shell other than bash, zsh and fish. */
export function renderCompletion(shell: string): string {
  if (shell === 'bash' || shell === 'zsh' || shell === 'fish') return SHELLS[shell]()
  throw new AppError('param-invalid', `no completion for shell '${shell}'`, {
    hint: `shells are ${Object.keys(SHELLS).join(', ')}`,
  })
}

function shownCommands(): readonly CommandName[] {
  return COMMAND_NAMES.filter((name) => {
    const row: CommandRow = COMMANDS[name]
    return row.support === 'works' && row.internal !== true
  })
}

/** Options that work for the command; secrets are refused on the command line and so are not offered. */
function optionsFor(command: CommandName): readonly OptionName[] {
  return OPTION_NAMES.filter((name) => {
    const row = optionRow(name)
    return isShown(row, command) && row.secret !== true && row.support !== 'not-yet'
  })
}

/** `--name=` for options that take a value, so that the shell adds no blank. */
function spellings(name: OptionName): readonly string[] {
  const row = optionRow(name)
  const shown = displayName(name, 1)
  const own = row.kind === 'boolean' ? `--${shown}` : `--${shown}=`
  return isNegatable(row) ? [own, `--no-${shown}`] : [own]
}

function valuesOf(command: CommandName): readonly string[] {
  return optionsFor(command).flatMap((name) => {
    const rule = ruleFor(optionRow(name), command)
    const values = rule.supported ?? rule.allowed
    return values === undefined ? [] : [`--${displayName(name, 1)}) words='${values.join(' ')}' ;;`]
  })
}

function renderBash(): string {
  const cases = shownCommands().map((command) => {
    const words = optionsFor(command).flatMap(spellings).join(' ')
    return `    ${command}) words='${words}' ;;`
  })
  return `# bash completion for pgsurety: source <(pgsurety completion bash)
_pgsurety() {
  local word command='' words='' current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local index commands='${shownCommands().join(' ')}'
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=\${COMP_WORDS[index]}
    [[ " $commands " == *" $word "* ]] && command=$word
  done
  if [[ $current == '=' || $previous == '=' ]]; then
    [[ $current == '=' ]] && { current=''; index=$((COMP_CWORD - 1)); } || index=$((COMP_CWORD - 2))
    case \${COMP_WORDS[index]} in
${valueCases()}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    return
  fi
  case $command in
${cases.join('\n')}
    *) words="$commands --stanza=" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ \${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _pgsurety pgsurety
`
}

function valueCases(): string {
  const cases = new Map<string, Set<string>>()
  for (const line of shownCommands().flatMap(valuesOf)) {
    const [, name = '', values = ''] = /^(\S+)\) words='([^']*)'/.exec(line) ?? []
    const known = cases.get(name) ?? new Set()
    for (const value of values.split(' ')) known.add(value)
    cases.set(name, known)
  }
  return [...cases]
    .map(([name, values]) => `      ${name}) words='${[...values].join(' ')}' ;;`)
    .join('\n')
}

function renderZsh(): string {
  const cases = shownCommands().map((command) => {
    const options = optionsFor(command).flatMap((name) =>
      spellings(name).map((spelling) => `      ${quote(`${spelling}:${optionRow(name).summary}`)}`),
    )
    return `    ${command}) options=(\n${options.join('\n')}\n    ) ;;`
  })
  const commands = shownCommands().map(
    (name) => `    ${quote(`${name}:${COMMANDS[name].summary}`)}`,
  )
  return `#compdef pgsurety
_pgsurety() {
  local command='' word
  local -a commands options
  commands=(
${commands.join('\n')}
  )
  for word in "\${(@)words[2,CURRENT-1]}"; do
    [[ -n \${(M)commands:#$word:*} ]] && command=$word
  done
  case $command in
${cases.join('\n')}
    *) _describe command commands; return ;;
  esac
  _describe -o option options -S ''
  _files
}
compdef _pgsurety pgsurety
`
}

function renderFish(): string {
  const all = shownCommands().join(' ')
  const commands = shownCommands().map(
    (name) =>
      `complete -c pgsurety -n 'not __fish_seen_subcommand_from ${all}' -f -a ${name} -d ${quote(COMMANDS[name].summary)}`,
  )
  const options = shownCommands().flatMap((command) =>
    optionsFor(command).map((name) => {
      const row = optionRow(name)
      const rule = ruleFor(row, command)
      const values = rule.supported ?? rule.allowed
      const argument =
        row.kind === 'boolean' ? '' : values === undefined ? ' -r' : ` -x -a '${values.join(' ')}'`
      return `complete -c pgsurety -n '__fish_seen_subcommand_from ${command}' -l ${displayName(name, 1)}${argument} -d ${quote(row.summary)}`
    }),
  )
  return `# fish completion for pgsurety\n${[...commands, ...options].join('\n')}\n`
}

/** For shells: single quotes, those inside doubled the POSIX way. */
function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`
}
