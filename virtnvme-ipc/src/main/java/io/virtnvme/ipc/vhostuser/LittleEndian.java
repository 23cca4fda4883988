package io.virtnvme.ipc.vhostuser;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Numbers in a message. vhost-user says "machine native": all machines that we run on are little
 * endian.
 */
final class LittleEndian {
  private static final VarHandle SHORT =
      MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private LittleEndian() {}

  static int getUnsignedShort(final byte[] bytes, final int offset) {
    return (short) SHORT.get(bytes, offset) & 0xFFFF;
  }

  static int getInt(final byte[] bytes, final int offset) {
    return (int) INT.get(bytes, offset);
  }

  static long getLong(final byte[] bytes, final int offset) {
    return (long) LONG.get(bytes, offset);
  }

  static void putShort(final byte[] bytes, final int offset, final int value) {
    SHORT.set(bytes, offset, (short) value);
  }

  static void putInt(final byte[] bytes, final int offset, final int value) {
    INT.set(bytes, offset, value);
  }

  static void putLong(final byte[] bytes, final int offset, final long value) {
    LONG.set(bytes, offset, value);
  }
}
