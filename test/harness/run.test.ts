import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { test } from 'node:test'
import { runAs, temporaryFolder, unprivileged } from './run.ts'

test('programs run as somebody who is not root, with nothing of our environment', async () => {
  process.env['PGSURETY_LEAK'] = 'yes'

  const { stdout } = await runAs(['sh', '-c', 'id -un; id -Gn; env | grep -v -e PWD -e _='], {
    env: { NODE_V8_COVERAGE: '', TZ: 'Asia/Tokyo' },
  })

  assert.doesNotMatch(stdout, /^root|root$|PGSURETY_LEAK/m)
  assert.equal(stdout.split('\n')[0], unprivileged.name)
  assert.match(stdout, /^TZ=Asia\/Tokyo$/m)
})

test('input goes in, both outputs and the exit code come out', async () => {
  const script = 'cat; echo wrong >&2; exit 3'

  const result = await runAs(['sh', '-c', script], { input: 'text', allowFailure: 'allow' })

  assert.deepEqual(
    { ...result, durationMs: 0 },
    {
      code: 3,
      signal: null,
      stdout: 'text',
      stderr: 'wrong\n',
      durationMs: 0,
    },
  )
})

test('a failure is thrown with what the program said', async () => {
  await assert.rejects(
    runAs(['sh', '-c', 'echo broken >&2; exit 3']),
    /ended with exit code 3\nbroken/,
  )
  await assert.rejects(runAs(['/nonexistent/program']), /ENOENT/)
})

test('a program that does not end is killed', async () => {
  await assert.rejects(runAs(['sleep', '60'], { timeoutMs: 50 }), /no end after 50 ms/)
})

test('a temporary folder belongs to the unprivileged user and goes with its content', async () => {
  const folder = await temporaryFolder('test')
  await runAs(['mkdir', '-p', `${folder.path}/a/b`])

  const { uid, mode } = await stat(folder.path)
  assert.deepEqual([uid, mode & 0o777], [unprivileged.uid, 0o711])
  await folder[Symbol.asyncDispose]()

  await assert.rejects(stat(folder.path), { code: 'ENOENT' })
})
