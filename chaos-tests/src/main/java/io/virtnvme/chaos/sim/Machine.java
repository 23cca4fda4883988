package io.virtnvme.chaos.sim;

/**
 * What is at the other end of a session: a guest, its front-end, and the oracle that judges what
 * the guest and the disk see.
 */
interface Machine extends AutoCloseable {
  /** One action of the guest. */
  void stepGuest();

  /** One action of the front-end. */
  void stepFrontEnd();

  /** Asks for a change that guest or front-end makes, as soon as nothing else is going on. */
  void want(Fault.Kind kind);

  /** The front-end hangs up, and connects again. */
  void hangUp();

  /** Nothing goes wrong any more: a few more requests, and completions only when called. */
  void calm();

  /** Whether everything that guest and front-end wanted is done. */
  boolean isDone();

  /**
   * A slave asks the disk for something; throws {@link Violation} when no guest wants that now.
   *
   * @param operation of {@link io.virtnvme.slave.bdev.BlockChannel}
   */
  void onSubmit(int slave, int operation, long offsetBytes, long lengthBytes);

  /** The disk tells a slave of an error. Only disks of NVMe controllers have any. */
  void onIoError(int operation, long offsetBytes, long lengthBytes);

  long postedCount();

  long completedCount();

  /** After everything has ended. */
  void checkEnd();

  /** What is still going on, for a failure's text. */
  String outstanding();

  @Override
  void close();
}
