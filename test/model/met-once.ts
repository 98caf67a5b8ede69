/**
 * MetOnce: histories that once failed, shrunk as far as possible. Each run begins with them.
 * @module
 */
import type { Step } from './histories.ts'

export const metOnce: readonly (readonly Step[])[] = [
  // A producer had lost its connection while the next owner worked and said so; then the word that names that one came, late,
  // and it was taken for one that had touched nothing. Its successor was sent what it had put out.
  [
    { kind: 'move', share: 1, which: 0, heard: 0 },
    { kind: 'befalls', fate: 'twice' },
    { kind: 'send', source: 0, share: 1, count: 1 },
    { kind: 'deliver', steps: 42, seed: 1565342089 },
    { kind: 'break', which: 0, noticed: false },
    { kind: 'send', source: 1, share: 1, count: 1 },
    { kind: 'move', share: 2, which: 0, heard: 0 },
    { kind: 'time', ms: 10 },
    { kind: 'deliver', steps: 52, seed: 738220179 },
    { kind: 'process', which: 0, records: 1 },
    { kind: 'process', which: 0, records: 1 },
    { kind: 'deliver', steps: 1, seed: 0 },
    { kind: 'process', which: 0, records: 1 },
    { kind: 'send', source: 0, share: 0, count: 1 },
    { kind: 'look', heard: 0 },
    { kind: 'send', source: 0, share: 0, count: 1 },
    { kind: 'look', heard: 0 },
    { kind: 'time', ms: 10 },
    { kind: 'process', which: 0, records: 1 },
    { kind: 'process', which: 0, records: 1 },
    { kind: 'time', ms: 10 },
    { kind: 'time', ms: 10 },
    { kind: 'read' },
    { kind: 'deliver', steps: 1, seed: 0 },
    { kind: 'deliver', steps: 1, seed: 0 },
    { kind: 'deliver', steps: 18, seed: 335241507 },
    { kind: 'kill', which: 0 },
  ],
  // A credit was late; its owner said later what it had taken, while the producer's connection was lost. Behind the reconnect the late one
  // came, and the producer took it for the last word: the successor was sent what the owner had put out.
  [
    { kind: 'delay', count: 1 },
    { kind: 'send', source: 0, share: 0, count: 1 },
    { kind: 'deliver', steps: 53, seed: 0 },
    { kind: 'break', which: 0, noticed: false },
    { kind: 'process', which: 0, records: 1 },
    { kind: 'deliver', steps: 8, seed: 0 },
    { kind: 'send', source: 0, share: 0, count: 1 },
    { kind: 'reconnect', which: 0 },
    { kind: 'send', source: 0, share: 0, count: 1 },
    { kind: 'kill', which: 0 },
    { kind: 'delay', count: 0 },
    { kind: 'kill', which: 0 },
    { kind: 'arrive' },
    { kind: 'process', which: 0, records: 1 },
    { kind: 'kill', which: 0 },
    { kind: 'deliver', steps: 1, seed: 0 },
  ],
  // An owner lost its connection, and took what lay in its queue. When it was back its outputs went ahead of the word that it had touched them;
  // it was killed between the two, and its successor was sent the same.
  [
    { kind: 'deliver', steps: 250, seed: 20 },
    { kind: 'send', source: 0, share: 0, count: 1 },
    { kind: 'deliver', steps: 250, seed: 20 },
    { kind: 'process', which: 0, records: 9 },
    { kind: 'process', which: 1, records: 9 },
    { kind: 'process', which: 2, records: 9 },
    { kind: 'deliver', steps: 250, seed: 20 },
    { kind: 'read' },
    { kind: 'deliver', steps: 250, seed: 20 },
    { kind: 'send', source: 0, share: 0, count: 1 },
    { kind: 'deliver', steps: 250, seed: 20 },
    { kind: 'break', which: 2, noticed: true },
    { kind: 'process', which: 0, records: 9 },
    { kind: 'reconnect', which: 2 },
    { kind: 'deliver', steps: 7, seed: 20 },
    { kind: 'kill', which: 0 },
  ],
  // A share came back to its giver when its taker was killed. What the giver had said of it before was late, and came behind what it
  // claimed anew: it was sent again what it had done itself.
  [
    { kind: 'befalls', fate: 'late' },
    { kind: 'send', source: 0, share: 1, count: 10 },
    { kind: 'deliver', steps: 103, seed: 595956765 },
    { kind: 'delay', count: 3 },
    { kind: 'move', share: 1, which: 0, heard: 1 },
    { kind: 'deliver', steps: 83, seed: 74561908 },
    { kind: 'process', which: 4, records: 12 },
    { kind: 'read' },
    { kind: 'deliver', steps: 21, seed: 722125322 },
    { kind: 'deliver', steps: 197, seed: 1373241549 },
    { kind: 'send', source: 1, share: 0, count: 2 },
    { kind: 'kill', which: 3 },
    { kind: 'deliver', steps: 190, seed: 1544919435 },
  ],
]
