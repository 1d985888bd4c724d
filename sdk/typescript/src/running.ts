// An instance at work: its envelopes are judged one after the other.
import { envelopeFromWire, verdictToWire, verdicts } from "./convert";
import type { Batch, WireEnvelope, WireVerdict } from "./protocol";
import type { Instance } from "./stage";

export class Running {
  /** Envelopes that have no verdict yet. */
  unfinished = 0;

  private tail: Promise<unknown> = Promise.resolve(); // settles when the last batch so far has its verdicts
  private ended: Promise<void> | undefined;

  constructor(private readonly instance: Instance) {}

  /** Judges a batch, after all batches that came before it. Rejects when the signal is aborted. */
  judge(batch: Batch, signal: AbortSignal): Promise<object> {
    this.unfinished += batch.envelopes.length;
    const answer = this.tail.then(() => this.judgeNow(batch, signal));
    this.tail = answer.catch(() => {});
    return answer.finally(() => { this.unfinished -= batch.envelopes.length; });
  }

  private async judgeNow(batch: Batch, signal: AbortSignal): Promise<object> {
    const exceptions: WireVerdict[] = [];
    for (const [index, envelope] of batch.envelopes.entries()) {
      signal.throwIfAborted();
      const judged = this.judgeOne(index, envelope, signal);
      const verdict = judged instanceof Promise ? await judged : judged; // no turn of the event loop unless the stage waits
      if (verdict !== undefined) exceptions.push(verdict);
    }
    return { seq: batch.seq, count: batch.envelopes.length, defaultVerdict: verdicts.continue, exceptions };
  }

  // What the stage throws is the failure of one envelope, not of the batch.
  private judgeOne(index: number, wire: WireEnvelope, signal: AbortSignal): WireVerdict | undefined | Promise<WireVerdict | undefined> {
    const failed = (err: unknown): WireVerdict => ({ index, verdict: 0, error: String(err) });
    try {
      const decision = this.instance.judge(envelopeFromWire(wire), signal);
      if (decision instanceof Promise) {
        return decision.then((d) => verdictToWire(index, d)).catch(failed);
      }
      return verdictToWire(index, decision);
    } catch (err) {
      return failed(err);
    }
  }

  /** Closes the instance when all batches so far are done. Further calls wait for the first. */
  end(): Promise<void> {
    this.ended ??= this.tail.then(() => this.instance.close?.());
    return this.ended;
  }
}
