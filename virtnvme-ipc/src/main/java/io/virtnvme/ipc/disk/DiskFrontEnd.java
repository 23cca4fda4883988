package io.virtnvme.ipc.disk;

/** A disk that a back-end serves, as a guest would use it. Polled by one thread. */
public interface DiskFrontEnd extends AutoCloseable {
  /** A request queue, from 0; polled by the caller. */
  DiskQueue queue(int index);

  /** Wakes the back-end for a queue; no allocation. */
  void kick(int index);

  /** Length of the disk. */
  long capacityBytes();

  /** Guest address of the first byte that is free for data; begins a page. */
  long dataGuestAddress();

  /** Bytes free for data. */
  long dataBytes();

  /** Where a guest address of this front-end's memory lies in this process; not checked. */
  long toHost(long guestAddress);

  /** False once the back-end has hung up. A system call: not for every turn of a polling loop. */
  boolean isConnected();

  /**
   * Connects anew after the back-end went away, and goes on with what was in flight.
   *
   * @return false when nobody is there yet; may be called again
   * @throws IllegalStateException when there is no way to go on
   */
  boolean tryReconnect();

  /** Process that listens on the back-end's socket; 0 if that is not known. */
  int peerPid();

  /** Hangs up and gives back memory and descriptors. */
  @Override
  void close();
}
