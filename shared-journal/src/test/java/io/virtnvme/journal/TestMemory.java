package io.virtnvme.journal;

import io.virtnvme.ipc.memory.Mem;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/** A piece of off-heap memory that can be photographed before each store into it. */
final class TestMemory implements AutoCloseable {
  private final long allocation;
  private final int lengthBytes;

  TestMemory(final int lengthBytes) {
    this.lengthBytes = lengthBytes;
    this.allocation = Mem.allocate(lengthBytes + 64L);
  }

  long address() {
    return (allocation + 63) & -64L;
  }

  int lengthBytes() {
    return lengthBytes;
  }

  byte[] bytes() {
    final byte[] bytes = new byte[lengthBytes];
    Mem.copyOut(address(), bytes, 0, lengthBytes);
    return bytes;
  }

  ByteBuffer copy() {
    return ByteBuffer.wrap(bytes()).order(ByteOrder.LITTLE_ENDIAN);
  }

  void set(final byte[] bytes) {
    Mem.copyIn(bytes, 0, address(), lengthBytes);
  }

  /** Runs an action and returns the memory as it was before each of its stores. */
  List<byte[]> photographed(final Runnable action) {
    final List<byte[]> photographs = new ArrayList<>();
    Mem.listener(
        (address, length) -> {
          if (address < address() || address + length > address() + lengthBytes) {
            throw new AssertionError("store outside: offset=" + (address - address()));
          }
          photographs.add(bytes());
        });
    try {
      action.run();
    } finally {
      Mem.listener(null);
    }
    return photographs;
  }

  @Override
  public void close() {
    Mem.free(allocation);
  }
}
