package io.virtnvme.slave.nvme;

/** The 16 dwords of a command, put together by hand. */
final class TestCommand {
  final int[] dwords = new int[16];

  TestCommand(final int opcode, final int commandId, final int namespaceId) {
    dwords[0] = opcode | commandId << 16;
    dwords[1] = namespaceId;
  }

  TestCommand prps(final long first, final long second) {
    return pointer(0, first, second);
  }

  /** One SGL descriptor: address, length, and the type in the upper half of the last byte. */
  TestCommand sgl(final long address, final int length, final int type) {
    return pointer(1, address, (length & 0xFFFF_FFFFL) | (long) type << 60);
  }

  TestCommand pointer(final int psdt, final long first, final long second) {
    dwords[0] |= psdt << 14;
    dwords[6] = (int) first;
    dwords[7] = (int) (first >>> 32);
    dwords[8] = (int) second;
    dwords[9] = (int) (second >>> 32);
    return this;
  }

  /** First block and number of blocks, 1 or more. */
  TestCommand blocks(final long start, final int count) {
    dwords[10] = (int) start;
    dwords[11] = (int) (start >>> 32);
    dwords[12] |= count - 1;
    return this;
  }

  TestCommand dword(final int index, final int value) {
    dwords[index] = value;
    return this;
  }

  TestCommand fused(final int kind) {
    dwords[0] |= kind << 8;
    return this;
  }
}
