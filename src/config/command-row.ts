/** What the table says of a command. */
export interface CommandRow {
  /** One phrase, lower case, for lists of commands. */
  readonly summary: string
  /** Paragraphs. */
  readonly description: readonly string[]
  readonly examples: readonly { readonly text: string; readonly command: string }[]
  /** Names of the parameters in order; those in square brackets are optional. */
  readonly parameters: readonly string[]
  /** `not-yet`: known from pgBackRest, refused by name. */
  readonly support: 'works' | 'not-yet'
  /** Absent: it is pgBackRest's (2.60). */
  readonly origin?: 'pgsurety'
  /** Not shown in lists. */
  readonly internal?: true
}
