package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.master.relay.EventLoop;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * Limits of bdevs for a moment, beside those that the operator has set: the lower ones count. They
 * end by themselves unless whoever wants them says so again. Conductor thread.
 *
 * <p>They are on no record: a new master tells slaves what is, and until one comes they keep them.
 */
final class Throttles {
  private final SlaveRequests requests;
  private final EventLoop loop;
  private long lastId;

  Throttles(final SlaveRequests requests, final EventLoop loop) {
    this.requests = requests;
    this.loop = loop;
  }

  /**
   * Limits a bdev from now on, in place of what was said before.
   *
   * @param limitMs when that ends
   */
  CompletableFuture<Void> throttle(
      final BdevEntry entry, final BdevLimits limits, final int limitMs) {
    final long id = ++lastId;
    final BdevLimits before = entry.limits();
    entry.throttle(limits, id);
    loop.after(TimeUnit.MILLISECONDS.toNanos(limitMs), () -> end(entry, id));
    if (entry.limits().equals(before)) {
      // Said again, only to go on. Slaves that are told forgive what was used.
      return CompletableFuture.completedFuture(null);
    }
    // All of them: a standby takes over by itself.
    return requests
        .askAll(entry, RelayMessageType.BDEV_LIMITS, entry.limits()::write)
        .thenCompose(
            answer -> {
              if (answer.errno() != 0) {
                end(entry, id);
              }
              return answer.stage();
            });
  }

  private void end(final BdevEntry entry, final long id) {
    if (entry.throttleId() == id) {
      entry.throttle(BdevLimits.NONE, 0);
      requests.tellAll(entry, RelayMessageType.BDEV_LIMITS, entry.limits()::write);
    }
  }
}
