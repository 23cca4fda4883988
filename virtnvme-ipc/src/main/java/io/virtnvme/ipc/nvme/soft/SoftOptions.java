package io.virtnvme.ipc.nvme.soft;

/**
 * What a device in software is like.
 *
 * @param blockBytes 512 or 4096
 * @param blockCount blocks of the only namespace, number 1
 * @param entryCountMax entries of an I/O queue at most (CAP.MQES + 1)
 * @param queuePairMax I/O queue pairs at most
 * @param transferShift MDTS: a command moves 4096 bytes shifted by it at most; 0 for no limit
 * @param strideShift CAP.DSTRD
 * @param readySteps steps that CSTS.RDY takes to follow CC.EN; negative: for ever
 * @param nvmCommands ONCS
 */
public record SoftOptions(
    int blockBytes,
    int blockCount,
    int entryCountMax,
    int queuePairMax,
    int transferShift,
    int strideShift,
    int readySteps,
    int nvmCommands) {
  /** A small disk of 512-byte blocks that knows all commands. */
  public static SoftOptions small() {
    return new SoftOptions(512, 8192, 1024, 4, 5, 0, 1, 1 << 3 | 1 << 2);
  }

  public SoftOptions {
    if (blockBytes != 512 && blockBytes != 4096) {
      throw new IllegalArgumentException("block size must be 512 or 4096: " + blockBytes);
    }
  }

  public SoftOptions withReadySteps(final int steps) {
    return new SoftOptions(
        blockBytes,
        blockCount,
        entryCountMax,
        queuePairMax,
        transferShift,
        strideShift,
        steps,
        nvmCommands);
  }

  public SoftOptions withNvmCommands(final int oncs) {
    return new SoftOptions(
        blockBytes,
        blockCount,
        entryCountMax,
        queuePairMax,
        transferShift,
        strideShift,
        readySteps,
        oncs);
  }

  int transferBytesMax() {
    return transferShift == 0 ? Integer.MAX_VALUE : 4096 << transferShift;
  }
}
