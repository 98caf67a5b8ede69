/** `concord up` and `down` with the real platform. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { bin, concord, plainNode } from '../test-cli.ts'
import { nextText } from './up.ts'

/** A state folder whose platform is down after the test, whatever happened, before the folder goes. */
function homeOf(t: TestContext): string {
  const home = mkdtempSync(join(tmpdir(), 'concord-cli-'))
  t.after(async () => {
    await concord(['down', '--home', home])
    rmSync(home, { recursive: true, force: true })
  })
  return home
}

/** Ends when nothing answers at the URL any more. */
async function untilGone(url: string): Promise<void> {
  const deadlineMs = performance.now() + 60_000
  while (performance.now() < deadlineMs) {
    const answered = await fetch(`${url}/healthz`).then(
      () => true,
      () => false,
    )
    if (!answered) return
    await sleep(20)
  }
  assert.fail(`${url} still answers`)
}

test('up says how to stop the platform that it started', () => {
  assert.match(nextText({ detach: true }), /^'concord down' stops it\. .*'concord fn deploy \.' runs it\.$/)
  assert.match(
    nextText({ detach: true, home: '/tmp/try', agents: 3 }),
    /^'concord cluster down --home \/tmp\/try' stops it\./,
  )
  assert.match(
    nextText({ home: '/tmp/try' }),
    /^Ctrl-C stops it\. .*'concord fn deploy \. --home \/tmp\/try' runs it\.$/,
  )
})

test('up --detach returns when the platform is ready, a second one is refused, and down stops it', async (t) => {
  const home = homeOf(t)
  const up = await concord(['up', '--detach', '--home', home, '--ports', 'free', '--json'])
  assert.equal(up.code, 0, up.stderr)
  const { ready, url } = JSON.parse(up.stdout)
  assert.equal(ready, true)
  assert.equal(statSync(join(home, 'client.json')).mode & 0o777, 0o600)
  assert.deepEqual(JSON.parse((await concord(['fn', 'ls', '--home', home, '--json'])).stdout), [])
  const nobody = await concord(['cluster', 'kill', 'agent-9', '--home', home])
  assert.equal(nobody.code, 4, nobody.stderr)
  const again = await concord(['up', '--detach', '--home', home, '--ports', 'free'])
  assert.equal(again.code, 5)
  const already = new RegExp(`^concord: [^\\n]*already[^\\n]*'concord down --home ${home}'[^\\n]*\\n$`)
  assert.match(again.stderr, already)
  const inFront = await concord(['up', '--home', home, '--ports', 'free'])
  assert.equal(inFront.code, 5)
  assert.match(inFront.stderr, /already.*\nconcord: The platform was not started; it says why above\n$/)
  // Said before the set-up for ZooKeeper, which compiles where that was never done: nothing of it is in what is said.
  const cluster = await concord(['cluster', 'up', '--zookeeper', '--detach', '--home', home])
  assert.equal(cluster.code, 5)
  assert.match(cluster.stderr, already)
  const own = await concord(['up', '--detach', '--ports', 'free'], { env: { CONCORD_HOME: home } })
  assert.match(own.stderr, /already[^\n]*'concord down',/)
  const down = await concord(['down', '--home', home])
  assert.deepEqual([down.code, /^Concord is down \(.* s\)/.test(down.stdout)], [0, true], down.stdout)
  await untilGone(url)
  const nowhere = await concord(['fn', 'ls', '--home', home])
  assert.equal(nowhere.code, 8)
  assert.match(nowhere.stderr, /^concord: No server is known in .*: start one with 'concord up'/)
  const { code, stdout } = await concord(['down', '--home', home])
  assert.deepEqual([code, stdout], [0, `Nothing was running with ${home}.\n`])
  const { ms: _, ...said } = JSON.parse((await concord(['down', '--home', home, '--json'])).stdout)
  const lost = { killed: false, givenUpRecords: 0, killedInstances: [], tasksLeft: 0 }
  assert.deepEqual(said, { stopped: true, wasRunning: false, ...lost })
})

test('up and cluster refuse what they cannot do, with the exit code for the reason', async (t) => {
  const home = homeOf(t)
  const refused = async (...words: string[]) => {
    const { code, stderr } = await concord([...words, '--home', home])
    assert.match(stderr, /^concord: [^\n]*\n$/)
    return [code, stderr] as const
  }
  const [ports, choices] = await refused('up', '--ports', 'foo')
  assert.deepEqual([ports, /--ports.*'foo'.*free/.test(choices)], [2, true], choices)
  const [masters, takes] = await refused('cluster', 'up', '--masters', '2')
  assert.deepEqual([masters, /--masters 2 takes --zookeeper too/.test(takes)], [2, true], takes)
  const [same, both] = await refused('up', '--detach', '--gateway-port', '7001', '--nats-port', '7001')
  assert.deepEqual([same, /--gateway-port and --nats-port are both 7001/.test(both)], [2, true], both)
  const file = join(home, 'file')
  writeFileSync(file, '')
  for (const [where, why] of [
    ['/proc/x', /Cannot make the folder \/proc\/x.*: no folder can be made there; name another one\n/],
    [file, /Cannot make the folder .*file.*: a file .*; name another one\n/],
  ] as const)
    for (const detach of [[], ['--detach']]) {
      const { code, stderr } = await concord(['up', ...detach, '--home', where])
      assert.match(stderr, why)
      assert.equal(code, 1)
    }
  assert.equal((await concord(['down', '--home', file])).stdout, `Nothing was running with ${file}.\n`)
  const [nothing, isUp] = await refused('cluster', 'kill', 'agent-1')
  assert.deepEqual([nothing, /Nothing is up in .*concord cluster up/.test(isUp)], [8, true], isUp)
})

test('up in the foreground stops the platform when it is interrupted, and when it is killed', async (t) => {
  const home = homeOf(t)
  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    const child = spawn(plainNode, [bin, 'up', '--home', home, '--ports', 'free'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const exited = once(child, 'exit')
    const complaints = text(child.stderr)
    const said = await Promise.race([once(child.stdout, 'data'), exited])
    assert.match(String(said), /^Concord is up at /, child.exitCode === null ? '' : await complaints)
    const { url } = JSON.parse(readFileSync(join(home, 'client.json'), 'utf8'))
    child.kill(signal)
    assert.deepEqual(await exited, signal === 'SIGINT' ? [0, null] : [null, 'SIGKILL'])
    await untilGone(url)
    if (signal === 'SIGINT')
      assert.match(
        await complaints,
        /^Ctrl-C stops it\.[^\n]*\nConcord is down\. What you deployed is kept: [^\n]*\n$/,
      )
  }
})

test('down says that nobody knows what was lost if up was killed', async (t) => {
  const home = homeOf(t)
  const started = await concord(['up', '--detach', '--home', home, '--ports', 'free'])
  assert.equal(started.code, 0, started.stderr)
  process.kill(JSON.parse(readFileSync(join(home, 'up.json'), 'utf8')).up.pid, 'SIGKILL')
  const { stdout } = await concord(['down', '--home', home])
  assert.match(
    stdout,
    /^Concord is down \(.* s\)\. Not known: how many records were given up, and whether all instances ended in order, since a process ended before it could say so; 'concord fn inspect' [^\n]*\.\n$/,
  )
})

test('up --detach says that the disk is full if its log cannot', async (t) => {
  const disk = mkdtempSync(join(tmpdir(), 'concord-cli-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk], { stdio: 'ignore' })
  } catch {
    rmdirSync(disk)
    return t.diagnostic('no disk could be mounted here: not tried')
  }
  t.after(() => {
    execFileSync('umount', ['-l', disk])
    rmdirSync(disk)
  })
  const log = join(disk, 'home', 'logs', 'up.log')
  mkdirSync(join(disk, 'home', 'logs'), { recursive: true })
  writeFileSync(log, '')
  try {
    for (;;) writeFileSync(join(disk, 'filler'), Buffer.alloc(4096), { flag: 'a' })
  } catch {} // it is full
  const { code, stderr } = await concord(['up', '--detach', '--home', join(disk, 'home'), '--ports', 'free'])
  assert.equal(stderr, `concord: Cannot start the platform: the disk of ${log} is full. Make room for it\n`)
  assert.notEqual(code, 0)
})

test('up that is interrupted before the platform is ready stops it, and does not say that it is up', async (t) => {
  const home = homeOf(t)
  for (const detach of [[], ['--detach']]) {
    rmSync(join(home, 'up.json'), { force: true })
    const child = spawn(plainNode, [bin, 'up', ...detach, '--home', home, '--ports', 'free'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const ended = Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)])
    while (!existsSync(join(home, 'up.json'))) await sleep(5)
    child.kill('SIGINT')
    const [[code], data, said] = await ended
    assert.equal(data, '')
    assert.equal(code, detach.length)
    assert.match(
      said,
      detach.length === 0 ? /^Concord is down\./ : /^concord: .* stop before it was ready\n$/,
    )
    assert.match((await concord(['down', '--home', home])).stdout, /^Nothing was running/)
  }
})

test('up that is interrupted before its supervisor has begun says that it stops, and what stays', async (t) => {
  const home = homeOf(t)
  const begins = join(home, 'begins')
  const waits = `require('node:fs').writeFileSync('${begins}','');Atomics.wait(new Int32Array(new SharedArrayBuffer(4)),0,0)`
  const hook = join(home, 'hook.cjs')
  writeFileSync(hook, `if(process.argv[1].endsWith('local-up.js')){${waits}}`)
  const child = spawn(plainNode, [bin, 'up', '--home', home, '--ports', 'free'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: `--require=${hook}` },
  })
  const ended = Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)])
  while (!existsSync(begins)) await sleep(5)
  child.kill('SIGINT')
  const [[code], data, said] = await ended
  assert.deepEqual([code, data], [0, ''])
  assert.equal(
    said,
    `The platform was not started: it was told to stop before it was ready. What you deployed is kept: 'concord up --home ${home}' brings it back.\n`,
  )
})
