package io.virtnvme.tools.load;

/** What ended otherwise than it should, and what the first of it was. One thread; no allocation. */
final class RequestErrors {
  private static final int NONE = -1;

  private long count;
  private long deviceErrorCount;
  private int firstStatus = NONE;
  private int firstType;
  private int firstBlock;

  /** Requests with a status that they should not have, and blocks with wrong bytes. */
  long count() {
    return count;
  }

  /** Errors that the device made, as it should. */
  long deviceErrorCount() {
    return deviceErrorCount;
  }

  void onError(final int status, final int type, final int block) {
    if (count == 0) {
      firstStatus = status;
      firstType = type;
      firstBlock = block;
    }
    count++;
  }

  void onWrongBlocks(final int wrongCount) {
    count += wrongCount;
  }

  /** One more; how many there are. */
  long onDeviceError() {
    deviceErrorCount++;
    return deviceErrorCount;
  }

  /** The request that was the first of them, or empty when wrong bytes were. Allocates. */
  String first() {
    return firstStatus == NONE
        ? ""
        : "request of type "
            + firstType
            + " at block "
            + firstBlock
            + " ended with status "
            + firstStatus;
  }
}
