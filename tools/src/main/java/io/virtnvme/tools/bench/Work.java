package io.virtnvme.tools.bench;

import java.util.Locale;

/** Kinds of load. */
enum Work {
  RANDREAD(4096, 100, false),
  RANDWRITE(4096, 0, false),
  /** 70 % reads. */
  MIXED(4096, 70, false),
  SEQREAD(128 * 1024, 100, true),
  SEQWRITE(128 * 1024, 0, true);

  private final int ioBytes;
  private final int readPercent;
  private final boolean sequential;

  Work(final int ioBytes, final int readPercent, final boolean sequential) {
    this.ioBytes = ioBytes;
    this.readPercent = readPercent;
    this.sequential = sequential;
  }

  /** Bytes of each request. */
  int ioBytes() {
    return ioBytes;
  }

  /** Share of reads, 0..100. */
  int readPercent() {
    return readPercent;
  }

  boolean sequential() {
    return sequential;
  }

  /** As on the command line. */
  String label() {
    return name().toLowerCase(Locale.ROOT);
  }
}
