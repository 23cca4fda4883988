package io.virtnvme.slave.blk;

/**
 * Where requests that ended are counted. Two kinds at most on the data path, so that calls stay
 * inlined. Reactor thread.
 */
public interface IoCounters {
  /** A read ended well. */
  void onRead(long bytes, long ns);

  /** A write, of data or zeroes, ended well. */
  void onWrite(long bytes, long ns);

  /** A flush ended well. */
  void onFlush();

  /** Blocks were given back. */
  void onUnmap(long bytes);

  /** A request failed. */
  void onError();
}
