package io.virtnvme.slave.virtqueue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.slave.blk.BlkTask;
import java.util.ArrayList;
import java.util.List;

/**
 * Dirty logging of one ring: turns host addresses back into the guest's and marks their pages.
 * Knows the memory maps that running requests still use. One reactor thread.
 */
final class RingLog {
  private final List<GuestMemory> maps = new ArrayList<>();
  private DirtyLog log;

  RingLog(final GuestMemory memory, final DirtyLog log) {
    maps.add(memory);
    this.log = log;
  }

  /** Takes over a new map and log (null when off); the old maps stay known. */
  void update(final GuestMemory memory, final DirtyLog newLog) {
    maps.add(0, memory);
    log = newLog;
  }

  /** Forgets the maps before the current one. */
  void forgetPrevious() {
    while (maps.size() > 1) {
      maps.remove(maps.size() - 1);
    }
  }

  boolean isOn() {
    return log != null;
  }

  /** Marks what a request wrote into the guest's memory. */
  void markTask(final BlkTask task) {
    markHost(task.statusAddress(), 1);
    if (task.bringsData()) {
      long iovec = task.writableIovecs();
      for (int i = 0; i < task.writableCount(); i++) {
        markHost(Mem.getLong(iovec), Mem.getLong(iovec + Long.BYTES));
        iovec += BlkTask.IOVEC_LENGTH;
      }
    }
  }

  /** Marks a range given by host address; nothing happens if it is in no map. */
  void markHost(final long hostAddress, final long lengthBytes) {
    for (int i = 0; i < maps.size(); i++) {
      final long guestAddress = maps.get(i).guestAddressOf(hostAddress);
      if (guestAddress != -1) {
        log.mark(guestAddress, lengthBytes);
        return;
      }
    }
  }

  void markGuest(final long guestAddress, final long lengthBytes) {
    log.mark(guestAddress, lengthBytes);
  }
}
