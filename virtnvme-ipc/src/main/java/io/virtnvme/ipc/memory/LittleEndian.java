package io.virtnvme.ipc.memory;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Little-endian numbers in a byte array: messages, records, NVMe data structures (vhost-user and
 * vfio-user say "machine native": all machines that we run on are little endian).
 */
public final class LittleEndian {
  private static final VarHandle SHORT =
      MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private LittleEndian() {}

  public static int getUnsignedShort(final byte[] bytes, final int offset) {
    return (short) SHORT.get(bytes, offset) & 0xFFFF;
  }

  public static int getInt(final byte[] bytes, final int offset) {
    return (int) INT.get(bytes, offset);
  }

  public static long getLong(final byte[] bytes, final int offset) {
    return (long) LONG.get(bytes, offset);
  }

  public static void putShort(final byte[] bytes, final int offset, final int value) {
    SHORT.set(bytes, offset, (short) value);
  }

  public static void putInt(final byte[] bytes, final int offset, final int value) {
    INT.set(bytes, offset, value);
  }

  public static void putLong(final byte[] bytes, final int offset, final long value) {
    LONG.set(bytes, offset, value);
  }
}
