import { defineFunction, groupBy } from 'concord'

/** Asks somebody else for each order, which takes 2 ms, and counts what each customer has ordered. */
export default defineFunction({
  metadata: { name: 'desk', istreams: { orders: groupBy }, ostreams: ['receipts'] },

  async processRecord(ctx, record) {
    await new Promise<void>((resolve) => setTimeout(resolve, 2))
    const orders = ctx.counter(record.key).add()
    ctx.produceRecord('receipts', record.key, `${record.text()} ${orders}`)
  },
})
