package io.virtnvme.chaos.sim;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.PrpEntry;

/**
 * The machine's memory: the queues of all kinds, buffers that stay, and buffers that can be taken
 * away. It is another memory after each start of the machine.
 */
final class SimNvmeMemory implements AutoCloseable {
  static final int QUEUE_COUNT_MAX = 3;
  static final int QUEUE_ENTRIES_MAX = 16;
  static final int PAGE = PrpEntry.PAGE_BYTES;
  static final int BUFFER_BYTES = 2 * PAGE;

  private static final long QUEUES_ADDRESS = 0x10_0000;
  private static final long DATA_ADDRESS = 0x2000_0000;
  private static final long EXTRA_ADDRESS = 0x4000_0000;
  private static final int SHADOW_PAGE = 2 * (QUEUE_COUNT_MAX + 1);
  private static final int EVENT_INDEX_PAGE = SHADOW_PAGE + 1;
  private static final int QUEUES_PAGES = EVENT_INDEX_PAGE + 1;
  private static final int BUFFERS = (QUEUE_COUNT_MAX + 1) * QUEUE_ENTRIES_MAX;
  private static final long POISON = 0x5A5A5A5A5A5A5A5AL;

  /** The queues of all kinds, shadow doorbells included. */
  SimGuest.Region queues;

  /** Buffers that stay. */
  SimGuest.Region data;

  /** Buffers that can be taken away. */
  SimGuest.Region extra;

  /** Whether the controller has the buffers that can be taken away. */
  boolean isPlugged = true;

  /** Whether a new command may use them. */
  boolean mayUseExtra;

  /** The machine starts: all is new, and the controller is to have it. */
  void renew() {
    close();
    queues = new SimGuest.Region("queues", QUEUES_ADDRESS, QUEUES_ADDRESS, QUEUES_PAGES * PAGE);
    data = new SimGuest.Region("data", DATA_ADDRESS, DATA_ADDRESS, BUFFERS * BUFFER_BYTES);
    extra = new SimGuest.Region("extra", EXTRA_ADDRESS, EXTRA_ADDRESS, BUFFERS * BUFFER_BYTES);
    isPlugged = true;
    mayUseExtra = true;
  }

  private static long page(final int index) {
    return QUEUES_ADDRESS + (long) index * PAGE;
  }

  static long submissionAddress(final int id) {
    return page(2 * id);
  }

  static long completionAddress(final int id) {
    return page(2 * id + 1);
  }

  static long shadowDoorbells() {
    return page(SHADOW_PAGE);
  }

  static long eventIndices() {
    return page(EVENT_INDEX_PAGE);
  }

  /** A page for the data of admin commands: no I/O queue has the first buffers. */
  static long adminBuffer() {
    return DATA_ADDRESS;
  }

  /** The buffer of a command. */
  static long buffer(final int queueId, final int tag, final boolean isExtra) {
    return (isExtra ? EXTRA_ADDRESS : DATA_ADDRESS)
        + (long) (queueId * QUEUE_ENTRIES_MAX + tag) * BUFFER_BYTES;
  }

  static boolean isExtra(final long address) {
    return address >= EXTRA_ADDRESS;
  }

  /** Where this process has an address of the guest. */
  long host(final long address) {
    final SimGuest.Region region =
        isExtra(address) ? extra : address >= DATA_ADDRESS ? data : queues;
    return region.host(address);
  }

  /** What memory holds that nobody has written. */
  static void poison(final long host, final long lengthBytes) {
    Mem.fill(host, lengthBytes, (byte) POISON);
  }

  static long poison() {
    return POISON;
  }

  /** The controller lost the second buffers. */
  void unplugged() {
    isPlugged = false;
    poison(extra.mapping.address(), extra.mapping.lengthBytes());
  }

  /** The controller has them again. */
  void plugged() {
    isPlugged = true;
    mayUseExtra = true;
  }

  /** Nobody writes to what was taken away. */
  void checkTakenAway() {
    if (isPlugged) {
      return;
    }
    for (long i = 0; i < extra.mapping.lengthBytes(); i += Long.BYTES) {
      if (Mem.getLong(extra.mapping.address() + i) != POISON) {
        throw new Violation("somebody wrote to memory that was taken away: offset=" + i);
      }
    }
  }

  @Override
  public void close() {
    if (queues != null) {
      queues.close();
      data.close();
      extra.close();
      queues = null;
    }
  }
}
