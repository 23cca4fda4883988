package io.virtnvme.slave.qpair;

import io.virtnvme.journal.NvmeCqJournal;
import io.virtnvme.journal.NvmeSqJournal;

/**
 * Where the two journals of a queue pair lie in their memfd, which only slaves and master have:
 * that of the completions first, that of the requests behind it.
 */
public final class QpairJournal {
  private QpairJournal() {}

  /** Bytes of both. */
  public static long length(final int entryCount) {
    return NvmeCqJournal.regionLength() + NvmeSqJournal.regionLength(entryCount);
  }

  static long completions(final long address) {
    return address;
  }

  static long requests(final long address) {
    return address + NvmeCqJournal.regionLength();
  }
}
