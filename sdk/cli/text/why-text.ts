/**
 * WhyText: the text of `concord fn why`: the function's placement, then each instance with its reasons.
 * @module
 */
import type { Why } from '../../api/index.ts'
import { dim, table } from '../terminal.ts'
import { heldBackText } from './held-back-text.ts'

export function whyText(answer: Why): string {
  const { name, version, live = version, instancesWanted, instancesRunning, byHand } = answer
  const { noScheduler, noStore, unheard, noJetStream, rollbackTo, heldBackBy, placement, instances } = answer
  const wishes = [
    ...placement.constraints,
    ...(placement.priority > 0 ? [`priority ${placement.priority}`] : []),
  ]
  const by = byHand === undefined ? '' : `; ${byHand}`
  const versions = live === version ? `v${version}` : `v${live} → v${version}`
  const head = `${name} ${versions}: ${instancesRunning} of ${instancesWanted} instances run${by}`
  const asks = wishes.length === 0 ? '' : dim(`It asks for: ${wishes.join('; ')}`)
  const rows = instances.flatMap(({ id, state, hostname = '-', why }) =>
    why.length === 0
      ? [[id, state, hostname, '']]
      : why.map((sentence, i) => (i === 0 ? [id, state, hostname, sentence] : ['', '', '', sentence])),
  )
  const list = rows.length === 0 ? '' : table([['INSTANCE', 'STATE', 'WHERE', 'WHY'], ...rows])
  const back =
    rollbackTo === undefined ? '' : `It fails: 'concord fn rollback ${name}' goes back to v${rollbackTo}`
  const cutOff = [noScheduler ?? noStore ?? '', unheard ?? noJetStream ?? '']
  return [...cutOff, head, back, heldBackText(heldBackBy), asks, list]
    .filter((part) => part !== '')
    .join('\n')
}
