package io.virtnvme.slave.benchmark;

import io.virtnvme.slave.bdev.Bdev;
import io.virtnvme.slave.ring.RingSetup;

/** A guest with one queue of its disk. */
public interface Guest extends AutoCloseable {
  /** Which protocol and which layout. */
  enum Kind {
    SPLIT,
    PACKED,
    NVME
  }

  /** Bytes of a request; they begin a page. */
  int REQUEST_BYTES = 4096;

  static Guest of(final Kind kind) {
    return switch (kind) {
      case SPLIT -> new BlkGuest(false, true);
      case PACKED -> new BlkGuest(true, true);
      case NVME -> new NvmeGuest();
    };
  }

  /** Its ring, as a slave is told of it. */
  RingSetup setup(Bdev bdev);

  /** Adds a read of one block. */
  void add(long block);

  /** Makes what was added visible. */
  void publish();

  /**
   * Takes what is completed.
   *
   * @return how many requests
   * @throws IllegalStateException if one of them failed
   */
  int reap();

  @Override
  void close();
}
