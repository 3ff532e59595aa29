import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageReader, type RestoreMessage, severityOf } from './messages.ts'

/** What pg_restore 15 to 18 have said. */
const SAID = `pg_restore: while INITIALIZING:
pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"
Command was: SET transaction_timeout = 0;
pg_restore: while PROCESSING TOC:
pg_restore: from TOC entry 5; 2615 2200 SCHEMA public postgres
pg_restore: error: could not execute query: FEHLER:  Schema »public« existiert bereits
Command was: CREATE SCHEMA public;


pg_restore: from TOC entry 3211; 1259 16409 INDEX a_b_idx app
pg_restore: error: could not execute query: ERROR:  relation "public.a" does not exist
Command was: CREATE INDEX a_b_idx ON public.a USING btree (b)
WHERE (b > 0);


pg_restore: from TOC entry 3361; 0 16398 TABLE DATA a app
pg_restore: error: COPY failed for table "a": ERROR:  invalid input syntax for type integer: "x"
CONTEXT:  COPY a, line 3, column b: "x"
pg_restore: warning: errors ignored on restore: 4
`

function messagesIn(text: string): readonly RestoreMessage[] {
  const reader = new MessageReader()
  const messages = text
    .trimEnd()
    .split('\n')
    .map((line) => reader.line(line))
  return [...messages, reader.end()].filter((message) => message !== undefined)
}

test('only what makes a difference to what was restored is serious', () => {
  const messages = messagesIn(SAID)

  assert.deepEqual(messages.map(severityOf), [
    'frame',
    'harmless',
    'frame',
    'frame',
    'harmless',
    'frame',
    'serious',
    'frame',
    'serious',
    'frame',
  ])
})

test('a serious message has the SQL that failed and the entry it belongs to', () => {
  const serious = messagesIn(SAID).filter((message) => severityOf(message) === 'serious')

  assert.deepEqual(serious, [
    {
      text: 'error: could not execute query: ERROR:  relation "public.a" does not exist',
      entry: '3211; 1259 16409 INDEX a_b_idx app',
      command: 'CREATE INDEX a_b_idx ON public.a USING btree (b)\nWHERE (b > 0);',
    },
    {
      text: 'error: COPY failed for table "a": ERROR:  invalid input syntax for type integer: "x"\nCONTEXT:  COPY a, line 3, column b: "x"',
      entry: '3361; 0 16398 TABLE DATA a app',
      command: undefined,
    },
  ])
})

function told(command: string): string {
  return severityOf({
    text: 'error: could not execute query: ERROR:  no',
    entry: undefined,
    command,
  })
}

test('a setting that changes what rows mean is serious, a time limit is not', () => {
  assert.equal(told('CREATE SCHEMA "public";'), 'harmless')
  assert.equal(told('SET statement_timeout = 0;'), 'harmless')
  assert.equal(told("SET default_table_access_method = 'columnar';"), 'serious')
  assert.equal(told("COMMENT ON EXTENSION plpgsql IS 'PL/pgSQL';"), 'harmless')
  assert.equal(told("COMMENT ON TABLE public.a IS 'a';"), 'serious')
})

test('a message of any length takes little memory', () => {
  const long = ['pg_restore: error: x', ...Array.from({ length: 1000 }, () => 'y'.repeat(100))]
  const [message] = messagesIn(long.join('\n'))

  assert((message?.text.length ?? 0) <= 4000)
})
