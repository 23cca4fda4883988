package io.virtnvme.ipc.nvme.client;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.Doorbells;
import io.virtnvme.ipc.vfiouser.VfioUserClient;

/** Rings doorbells: by a store where they are mapped, else by a message without reply. */
final class DoorbellPort {
  private final VfioUserClient client;
  private final long mapped;

  /**
   * A port.
   *
   * @param mapped address of the first doorbell, 0 when they are not mapped
   */
  DoorbellPort(final VfioUserClient client, final long mapped) {
    this.client = client;
    this.mapped = mapped;
  }

  /** The entries before this tail are written. */
  void ringTail(final int queueId, final int tail) {
    ring(Doorbells.sqTailOffset(queueId), tail);
  }

  /** The entries before this head were read. */
  void ringHead(final int queueId, final int head) {
    ring(Doorbells.cqHeadOffset(queueId), head);
  }

  private void ring(final int offset, final int value) {
    if (mapped != 0) {
      Mem.putIntRelease(mapped + offset, value);
    } else {
      client.postDoorbell(Doorbells.BASE_OFFSET + offset, value);
    }
  }
}
