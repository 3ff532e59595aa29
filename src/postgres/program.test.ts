import assert from 'node:assert/strict'
import { readlinkSync } from 'node:fs'
import { test } from 'node:test'
import { isErrorKind } from '../base/error.ts'
import { openNamelessFile } from '../base/nameless-file.ts'
import { collect, single } from '../pipe/pipe.ts'
import { feed, outputOf, pathOfFile, type ProgramCall } from './program.ts'

function shell(script: string, rest: Partial<ProgramCall> = {}): ProgramCall {
  return {
    path: '/bin/sh',
    args: ['-c', script],
    env: { PATH: '/usr/bin:/bin' },
    signal: new AbortController().signal,
    ...rest,
  }
}

test('a program gives its output, and its messages line by line', async () => {
  const messages: string[] = []
  const message = (line: string): void => {
    messages.push(line)
  }

  const output = await collect(outputOf(shell('echo a; echo b >&2; echo c', { message })), 100)

  assert.equal(output.toString(), 'a\nc\n')
  assert.deepEqual(messages, ['b'])
})

test('a program writes in pieces of 64 KiB where coreutils can make it do so, else as it does', async () => {
  const expected = { '/none:/usr/bin:/bin': '65536\n', '/none': '\n' }
  for (const [PATH, pieceBytes] of Object.entries(expected)) {
    const output = outputOf(shell('echo "$_STDBUF_O"', { env: { PATH } }))
    assert.equal((await collect(output, 100)).toString(), pieceBytes)
  }
})

test('what a program wrote before it failed does not end as if it were whole', async () => {
  const script = 'echo part; echo "x: error: no such table" >&2; exit 3'
  let seen = ''
  const taking = (async () => {
    for await (const chunk of outputOf(shell(script))) seen += chunk.toString()
  })()

  await assert.rejects(taking, (error) => {
    assert(isErrorKind(error, 'execute'))
    assert.match(error.message, /exit code 3\nx: error: no such table$/)
    return true
  })
  assert.equal(seen, 'part\n')
  const killed = collect(outputOf(shell('echo part; kill -9 $$')), 100)
  await assert.rejects(killed, { kind: 'execute', message: /SIGKILL/ })
  await assert.rejects(collect(outputOf(shell('', { path: '/none/such' })), 100), {
    kind: 'execute',
    message: /ENOENT/,
  })
})

test('a program is ended when nobody wants its output any more, or the signal comes', async () => {
  for await (const chunk of outputOf(shell('exec yes'))) {
    assert.match(chunk.toString(), /^y/)
    break
  }
  const stopped = new Error('stopped')
  const controller = new AbortController()
  const taking = (async () => {
    for await (const _chunk of outputOf(shell('exec yes', { signal: controller.signal }))) {
      controller.abort(stopped)
    }
  })()
  await assert.rejects(taking, stopped)
})

test('a program is fed as much as it wants, and its end is told', async () => {
  const text = Buffer.alloc(1_000_000, 'x')
  const messages: string[] = []
  const message = (line: string): void => {
    messages.push(line)
  }

  const counted = await feed(shell('wc -c >&2', { message }), single(text))
  assert.deepEqual([counted.code, messages.map(Number)], [0, [1_000_000]])

  const early = await feed(shell('head -c 3 >/dev/null; exit 4'), single(text))
  assert.equal(early.code, 4)

  const broken = (async function* () {
    yield text
    throw new Error('cannot be read')
  })()
  await assert.rejects(feed(shell('cat >/dev/null'), broken), /cannot be read/)
})

test('a program and what it forks read files without a name from their beginning, each on its own', async () => {
  await using first = await openNamelessFile()
  await using second = await openNamelessFile()
  assert.match(readlinkSync(`/proc/self/fd/${first.fd}`), / \(deleted\)$/)
  await first.writeFile('one')
  await second.writeFile('two')
  const [one, two] = [pathOfFile(0), pathOfFile(1)]
  const script = `cat ${one}; (cat ${two} ${one}) & wait; cat ${two}`

  const output = await collect(outputOf(shell(script, { files: [first, second] })), 100)

  assert.equal(output.toString(), 'onetwoonetwo')
})
