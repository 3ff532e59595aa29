import { inspect } from 'node:util'

/** A string that cannot print itself: `String(secret)`, JSON and `console.log` all give `<redacted>`. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The one way to the text. Call it only where the secret is used. */
  reveal(): string {
    return this.#value
  }

  toString(): string {
    return '<redacted>'
  }

  toJSON(): string {
    return '<redacted>'
  }

  [inspect.custom](): string {
    return '<redacted>'
  }
}
